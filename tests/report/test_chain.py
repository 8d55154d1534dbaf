"""One chain from noise, drawn on the way of the sampler."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.report import chain
from lightning_nsd.report.chain import IMAGES, write_chain
from lightning_nsd.report.collect import collect
from tests.conftest import N_SHOT, StripedData, make_model


def test_it_has_every_step_of_a_short_sampler(tmp_path):
    path = write_chain(tmp_path, make_model(sampler=DDIM(4)), StripedData())
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["steps"] == [1, 2, 3, 4]
    assert (about["of"], about["examples"], about["split"]) == (4, N_SHOT, "val")
    assert Image.open(path).height % 4 == 0
    assert len(collect(tmp_path).chain) == 4


def test_of_a_long_sampler_it_has_some_steps_and_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(chain, "MOST_MOMENTS", 3)
    path = write_chain(tmp_path, make_model(sampler=DDIM(9)), StripedData())
    assert json.loads(path.with_suffix(".json").read_text())["steps"] == [3, 6, 9]


def test_its_end_is_what_the_sampler_gives(tmp_path, monkeypatch):
    model, made = make_model(sampler=DDIM(4)), []
    drawn_on_the_way = model.sample_steps
    monkeypatch.setattr(model, "sample_steps", lambda *a, **k: (made.append(x) or x for x in drawn_on_the_way(*a, **k)))
    last = np.asarray(collect_last(write_chain(tmp_path, model, StripedData())))
    drawn = made[-1]
    pixels = ((drawn[0, IMAGES - 1].permute(1, 2, 0) + 1) * 127.5).round().numpy()
    factor = 32 // drawn.shape[-1]
    corner = last[-1 - factor - 1 :: -factor][: drawn.shape[-1]][::-1, -1 - factor - 1 :: -factor][:, : drawn.shape[-1]]
    assert np.abs(corner[:, ::-1].astype(float) - pixels).max() <= 1


def collect_last(path):
    picture = Image.open(path)
    steps = len(json.loads(path.with_suffix(".json").read_text())["steps"])
    height = picture.height // steps
    return picture.crop((0, picture.height - height, picture.width, picture.height))


def test_it_is_the_same_every_time_and_touches_no_other_randomness(tmp_path):
    model, data = make_model(sampler=DDIM(4)), StripedData()
    state = torch.get_rng_state()
    first = write_chain(tmp_path / "a", model, data).read_bytes()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert write_chain(tmp_path / "b", model, data).read_bytes() == first
    assert write_chain(tmp_path / "c", model, StripedData(eval_seed=1)).read_bytes() != first


@pytest.mark.parametrize("count", [1, 20, 50])
def test_samplers_of_any_length_have_one(tmp_path, count):
    path = write_chain(tmp_path, make_model(sampler=DDIM(count)), StripedData())
    steps = json.loads(path.with_suffix(".json").read_text())["steps"]
    assert (steps[-1] == count and 10 < len(steps) <= 20) or steps == [*range(1, count + 1)]
