"""`sample`: the sampler of a checkpoint with what a command line changes of it."""

import inspect
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.commands import sample as command
from lightning_nsd.commands.sampler_options import SamplerName, choose_sampler
from lightning_nsd.diffusion.sampler import DDIM, SAMPLERS
from lightning_nsd.errors import UserError
from tests.conftest import make_model

UNUSUAL = {"num_steps": 7, "timesteps": None, "guidance": 2.0, "clip": False, "spacing": "trailing", "eta": 0.5,
           "guidance_interval": [10, 40], "ilvr_factor": 4, "ilvr_until": 3}  # fmt: skip
"""A value of every argument of every sampler that is the default of none."""
CHOSEN = {**UNUSUAL, "num_steps": None, "timesteps": [1, 5, 9]}
NO_ILVR = {"ilvr_factor": None, "ilvr_until": 0}
PAIRS = [(own, other) for own in SAMPLERS for other in SAMPLERS if own != other]


def settings(name: str, values: dict) -> dict:
    """The values that a sampler has arguments for."""
    return {argument: values[argument] for argument in inspect.signature(SAMPLERS[name]).parameters}


def chosen(own: str, values: dict, name: str | None = None, steps: int | None = None, **of_guidance):
    """What is made of a sampler with some settings: its class, and its settings."""
    model = make_model(sampler=SAMPLERS[own](**settings(own, values)), context_dropout=0.1)
    sampler = choose_sampler(model, name, steps, **{"guidance": None, **of_guidance})
    return type(sampler), describe(sampler)["init_args"]


def test_the_command_line_knows_every_registered_sampler():
    assert get_args(SamplerName) == tuple(SAMPLERS)


@pytest.mark.parametrize("values", [UNUSUAL, CHOSEN], ids=["a number of steps", "chosen timesteps"])
@pytest.mark.parametrize("own", SAMPLERS)
def test_nothing_is_changed_that_is_not_asked_for(own, values):
    mine = settings(own, values)
    assert chosen(own, values) == (SAMPLERS[own], mine)
    assert chosen(own, values, name=own) == (SAMPLERS[own], mine)
    assert chosen(own, values, guidance=3.0) == (SAMPLERS[own], {**mine, "guidance": 3.0})
    assert chosen(own, values, guidance_interval=[0, 9]) == (SAMPLERS[own], {**mine, "guidance_interval": [0, 9]})
    assert chosen(own, values, steps=4) == (SAMPLERS[own], {**mine, "num_steps": 4, "timesteps": None})
    if "ilvr_factor" in mine:
        assert chosen(own, values, ilvr_factor=2, ilvr_until=0) == (SAMPLERS[own], {**mine, "ilvr_factor": 2,
                                                                                   "ilvr_until": 0})  # fmt: skip


@pytest.mark.parametrize("values", [UNUSUAL, CHOSEN], ids=["a number of steps", "chosen timesteps"])
@pytest.mark.parametrize(("own", "other"), PAIRS)
def test_another_sampler_takes_over_all_but_the_spacing_and_what_the_own_has_not(own, other, values):
    values = {**values, **NO_ILVR}  # which not every sampler has
    default = {name: p.default for name, p in inspect.signature(SAMPLERS[other]).parameters.items()}
    shared = {name: value for name, value in settings(own, values).items() if name in default and name != "spacing"}
    assert chosen(own, values, name=other) == (SAMPLERS[other], {**default, **shared})


def test_another_sampler_takes_as_many_steps_as_the_own():
    model = make_model(sampler=DDIM())
    for name in SAMPLERS:
        assert len(choose_sampler(model, name, None, None).chain(model.diffusion)) == 50


@pytest.mark.parametrize("own", [DDIM(7, ilvr_factor=4), DDIM(7)])
def test_ilvr_goes_from_one_sampler_to_another_that_has_it_and_is_not_dropped_in_silence(own):
    model = make_model(sampler=own)
    ddpm = choose_sampler(model, "ddpm", None, None, ilvr_factor=2)
    assert (ddpm.ilvr_factor, ddpm.num_steps) == (2, 7)
    of_ilvr = {} if own.ilvr_factor else {"ilvr_until": 3}
    with pytest.raises(UserError, match="ilvr_factor: DPMSolverPP has no ILVR"):
        choose_sampler(model, "dpm++", None, None, **of_ilvr)
    with pytest.raises(UserError, match="ilvr_factor is 3; it must divide the 8 pixels"):
        choose_sampler(model, None, None, None, ilvr_factor=3)
    assert choose_sampler(model, None, None, None, own=DDIM(3, eta=0.5)).eta == 0.5


def test_the_images_are_written_as_one_file_too(monkeypatch, tmp_path):
    drawn = torch.linspace(-1, 1, 5 * 3 * 8 * 8).reshape(5, 3, 8, 8)
    monkeypatch.setattr(command, "load_checkpoint", lambda *_: make_model())
    monkeypatch.setattr(command, "read_support", lambda *_: torch.zeros(3, 3, 8, 8))
    monkeypatch.setattr(command, "new_images", lambda *_: drawn)
    options = ["--ckpt_path=a.ckpt", "--support=pictures", f"--out={tmp_path / 'g.png'}", "--num=5"]
    command.main([*options, f"--npz={tmp_path / 'new' / 'g.npz'}"])
    with np.load(tmp_path / "new" / "g.npz", allow_pickle=False) as found:
        images, labels = found["arr_0"], found["arr_1"]
        assert sorted(found.files) == ["arr_0", "arr_1"]
    assert images.dtype == np.uint8 and images.shape == (5, 8, 8, 3)
    assert labels.tolist() == [0] * 5 and labels.dtype.kind == "i"
    for number, image in enumerate(images):
        assert np.array_equal(image, np.array(Image.open(tmp_path / "g" / f"{number:03d}.png")))
    with pytest.raises(UserError, match="is there already"):
        command.main([*options, f"--npz={tmp_path / 'new' / 'g.npz'}"])


def test_a_command_line_changes_the_interval_and_keeps_the_rest(monkeypatch, tmp_path):
    own, used = DDIM(7, guidance=2.0, eta=0.5, guidance_interval=[5, 9]), []
    monkeypatch.setattr(command, "load_checkpoint", lambda *_: make_model(sampler=own, context_dropout=0.1))
    monkeypatch.setattr(command, "read_support", lambda *_: torch.zeros(3, 3, 8, 8))
    monkeypatch.setattr(command, "new_images", lambda model, support, num, sampler, seed: used.append(sampler))
    monkeypatch.setattr(command, "write_samples", lambda *_: None)
    for options in ([], ["--guidance_interval=[10, 40]"], ["--guidance-interval", "[0, 49]", "--guidance=3"]):
        command.main(["--ckpt_path=a.ckpt", "--support=pictures", f"--out={tmp_path / 'grid.png'}", *options])
    assert [(s.guidance, s.guidance_interval) for s in used] == [(2.0, [5, 9]), (2.0, [10, 40]), (3.0, [0, 49])]
    assert {(s.num_steps, s.eta) for s in used} == {(7, 0.5)}
