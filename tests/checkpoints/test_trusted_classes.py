"""A class that a file names has to be of the kind that its place takes, allowed or not."""

import pytest

from lightning_nsd.checkpoints.trusted_classes import trusted_class
from lightning_nsd.errors import UserError

ALLOWED = ["subprocess.Popen", "torch.nn.Linear", "lightning_nsd.model.dit.DiT"]


@pytest.mark.parametrize("name", ALLOWED)
def test_an_allowed_class_of_another_kind_is_refused(name):
    with pytest.raises(UserError, match="which is no SetEncoder"):
        trusted_class("encoder", name, "a file", allow=[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_a_class_that_is_not_allowed_is_refused_before_its_kind_matters(name):
    with pytest.raises(UserError, match="nor allowed"):
        trusted_class("encoder", name, "a file")
