"""Shapes in signatures are checked while tests run, and nowhere else: training is as fast as without them."""

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.metrics.frechet import frechet_distance
from lightning_nsd.model.patches import patchify
from lightning_nsd.training.episode_loss import batch_means
from tests.cli.conftest import ROOT
from tests.conftest import make_model

IMAGES = torch.zeros(2, 3, 8, 8)
WRONG = {
    "model": lambda: patchify(IMAGES[0], 2),
    "diffusion": lambda: GaussianDiffusion().q_sample(IMAGES, torch.tensor([1]), IMAGES),
    "training": lambda: batch_means({"loss": torch.zeros(2, 2)}),
    "metrics": lambda: frechet_distance(torch.zeros(3, 2), torch.zeros(3, 4)),
}
PLAIN = """
import sys, torch, lightning_nsd.commands.training
from lightning_nsd.training.episode_loss import batch_means
assert "beartype" not in sys.modules and not hasattr(batch_means, "__wrapped__")
batch_means({"loss": torch.zeros(2, 2)})
"""


@pytest.mark.parametrize("room", WRONG)
def test_a_wrong_shape_is_an_error_in_every_room(room):
    with pytest.raises(TypeCheckError, match="Expected type"):
        WRONG[room]()


def test_a_network_that_is_given_another_number_of_images_than_announced_is_an_error():
    with pytest.raises(TypeCheckError, match="x_t"):
        make_model().model(IMAGES[None], IMAGES[:1], torch.tensor([1]))


def test_nothing_is_checked_outside_the_tests():
    assert hasattr(batch_means, "__wrapped__")
    subprocess.run([sys.executable, "-c", PLAIN], cwd=ROOT, check=True)
