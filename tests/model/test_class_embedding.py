"""The class-conditional baseline: it knows the classes of training by their numbers, and no others."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import lightning_nsd
from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.callbacks.sample_grid import SampleGrid
from lightning_nsd.commands.sample import sample
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.evaluator import Evaluator
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.model import SpatialContext
from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes
from tests.conftest import StripedData, make_model, randomized
from tests.training.conftest import run

CLASSES = 8  # of StripedData
KNOWS = r"knows the 8 classes of training, and none that is held out"


def conditional(num_classes: int = CLASSES, **settings: Any) -> FewShotDiffusion:
    encoder = partial(ClassEmbedding, num_classes=num_classes, context_dim=16)
    settings = {"context_dropout": 0.2, "sampler": DDIM(2), "ema_decay": 0.5, **settings}
    return make_model(encoder=encoder, **settings)


def known(**settings: Any) -> FewShotDiffusion:
    """One whose vectors and null context are of a size to be noticed."""
    module = conditional(**settings)
    randomized(module.model, scale=1.0)
    module.evaluation_model.load_state_dict(module.model.state_dict())
    return module.eval()


def loss_of(module: FewShotDiffusion, classes: list[int], images: torch.Tensor, **draws: Any) -> torch.Tensor:
    noise = torch.randn(images.flatten(0, 1).shape, generator=torch.Generator().manual_seed(1))
    t = torch.full((len(images),), 9)
    return module.loss_terms(images, t, noise, classes=torch.tensor(classes), **draws)["mse"]


def images_of(episodes: int) -> torch.Tensor:
    return torch.randn(episodes, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_context_is_the_vector_of_the_class_whatever_the_images_are():
    model = known().model
    expected = model.encoder.table[torch.tensor([5, 5, 5, 5, 2, 2, 2, 2])]
    for scale in (1.0, 0.0):
        found = model.episode_context(scale * images_of(2), None, None, torch.tensor([5, 2]))
        assert torch.equal(found.context, expected)
    with pytest.raises(ValueError, match="ClassEmbedding sees no images: give the classes"):
        model.episode_context(images_of(2))


def test_the_loss_depends_on_the_class_and_of_a_held_out_one_it_is_that_of_the_null_context():
    module = known()
    images = images_of(1).repeat(3, 1, 1, 1, 1)
    noise = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).repeat(3, 1, 1, 1)
    terms = module.loss_terms(images, torch.full((3,), 9), noise, classes=torch.tensor([0, 1, -1]))
    first, second, unseen = terms["mse"].chunk(3)
    assert not torch.isclose(first, second).any()
    dropped = loss_of(module, [3], images[:1], dropped=torch.ones(4, dtype=torch.bool))
    torch.testing.assert_close(unseen, dropped)


def test_only_the_vectors_of_the_episodes_classes_get_a_gradient_and_dropped_ones_none():
    module = known()
    dropped = torch.tensor([False] * 4 + [True] * 4 + [False] * 4)
    loss_of(module, [1, 4, 6], images_of(3), dropped=dropped).sum().backward()
    moved = module.model.encoder.table.grad.abs().sum(dim=1) > 0
    assert moved.nonzero().flatten().tolist() == [1, 6]


def test_training_batches_know_their_classes_and_those_of_other_splits_have_none():
    data = StripedData()
    batch = data.training_batch(3)
    train = data.image_set("train")
    for episode, number in zip(batch.images, batch.class_numbers().tolist(), strict=True):
        own = train.of_class(number)
        assert all(any(torch.equal(image, other) for other in own) for image in episode)
    assert data.evaluation_batch("val", 0).class_numbers().tolist() == [-1] * 4


def test_images_are_drawn_from_numbers_of_classes_and_guidance_leads_away_from_the_null_class():
    module = known()
    draw = partial(module.sample, num=2)

    def of(*classes, sampler=None):
        return draw(torch.tensor(classes), generator=torch.Generator().manual_seed(0), sampler=sampler)

    both = of(3, 5)
    assert both.shape == (2, 2, 3, 8, 8)
    assert not torch.equal(of(3), of(5))
    assert not torch.equal(of(3), of(3, sampler=DDIM(2, guidance=3.0, guidance_interval=[0, 49])))


@pytest.mark.parametrize("asked", [torch.tensor([8]), torch.tensor([-1]), torch.zeros(1, 3, 3, 8, 8)])
def test_what_is_no_class_of_training_is_not_drawn(asked):
    with pytest.raises(UserError, match=KNOWS + r"\. It draws from their numbers, 0 to 7\."):
        conditional().sample(asked, 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"context_dropout": 0.0}, "model.context_dropout is 0, and ClassEmbedding needs the null context"),
        (
            {"spatial_context": SpatialContext},
            "model.spatial_context is of example images, and Class",
        ),
        ({"num_classes": 0}, "model.encoder.num_classes is 0"),
    ],
)
def test_parts_that_do_not_go_with_it_are_errors(settings, words):
    with pytest.raises(UserError, match=words):
        conditional(**settings)


@pytest.mark.parametrize(
    ("num_classes", "data", "words"),
    [
        (9, {}, "num_classes is 9, and the train split has 8 classes of at least 4 images. Set it to 8"),
        (8, {"episode_symmetries": True}, "data.episode_symmetries makes classes that have no number of their own"),
    ],
)
def test_data_of_other_classes_than_it_was_made_for_are_an_error_before_training(num_classes, data, words, tmp_path):
    with pytest.raises(UserError, match=words):
        run(tmp_path, 1, conditional(num_classes), data=data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder, its module, and what it warned of."""
    root = tmp_path_factory.mktemp("conditional")
    module = conditional()
    distances = PerClassFID(when="last", splits=["train"], extractor="glyphnet", num_samples=4, classes=2)
    settings = {"limit_val_batches": 1, "val_check_interval": 1, "num_sanity_val_steps": 1}
    with pytest.warns(UserWarning, match="held-out classes") as said:
        run(root, 2, module, callbacks=[SampleGrid(["train", "val"], 2, 2), distances], **settings)
    return root, module, [str(each.message) for each in said]


def test_a_run_draws_and_compares_the_classes_of_training(trained):
    root, _, said = trained
    assert len([text for text in said if "The loss on held-out classes is that of the null context" in text]) == 1
    assert (root / "samples" / "train_step=00000002.png").is_file()
    assert not list((root / "samples").glob("val*"))
    assert any("could not be written or shown" in text and "none that is held out" in text for text in said)
    (report,) = (root / "distances").glob("train*/*.csv")
    assert len(report.read_text().splitlines()) > 2


def test_its_checkpoint_gives_it_back(trained):
    root, module, _ = trained
    loaded = lightning_nsd.load(root / "last.ckpt")
    assert loaded.hyperparameters["encoder"]["init_args"] == {"num_classes": 8, "context_dim": 16}
    assert torch.equal(loaded.model.encoder.table, module.ema.encoder.table)
    assert module.ema.encoder.table.std() > 0


def test_its_command_and_its_evaluation_say_what_can_be_drawn(trained, tmp_path):
    root, module, _ = trained
    for asked in ({"support": tmp_path}, {}, {"support": tmp_path, "class_number": 1}):
        with pytest.raises(UserError, match=rf"--class_number: .*{KNOWS}\. It draws one of them by its number"):
            sample(root / "last.ckpt", out=tmp_path / "grid.png", **asked)
    with pytest.raises(UserError, match=rf"--class_number is 8: .*{KNOWS}\. Their numbers begin at 0"):
        sample(root / "last.ckpt", out=tmp_path / "grid.png", class_number=8)
    evaluator = Evaluator(EvaluationSettings(extractor="glyphnet"))
    with pytest.raises(UserError, match=rf"{KNOWS}\. Distances are of the train split"):
        evaluator.run(module, StripedData(), "val", 2, Processes())


def test_its_command_draws_a_class_by_its_number(trained, tmp_path, capsys, monkeypatch):
    root, *_ = trained
    asked, draw = [], FewShotDiffusion.sample

    def recorded(self, support, *arguments, **named):
        asked.append(support.tolist())
        return draw(self, support, *arguments, **named)

    monkeypatch.setattr(FewShotDiffusion, "sample", recorded)
    for number in (0, 7):
        out, npz = tmp_path / f"{number}.png", tmp_path / f"{number}.npz"
        sample(root / "last.ckpt", num=3, out=out, steps=2, npz=npz, class_number=number)
        assert out.is_file() and len(list(out.with_suffix("").iterdir())) == 3
        assert "3 images; each in" in capsys.readouterr().out.replace("\n", "")
        assert (np.load(npz)["arr_1"] == number).all()
    assert asked == [[0], [7]]
