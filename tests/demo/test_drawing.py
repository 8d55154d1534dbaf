"""What the page draws: what `sample` draws, bit for bit, and sentences for everything that cannot be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.commands import sample as command
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.demo import drawing
from lightning_nsd.demo.drawing import MOST_IMAGES, MOST_WORK, Stage, draw, own
from lightning_nsd.demo.examples import class_names, examples, readable_name, take
from lightning_nsd.demo.offered import Offered
from lightning_nsd.demo.support import Kind
from lightning_nsd.diffusion.sampler import DDIM, DPMSolverPP
from lightning_nsd.errors import UserError
from tests.demo.conftest import N_SHOT, make_offered, url

USUAL = {"kind": "letters", "num": 4, "sampler": "ddim", "steps": 6, "guidance": 1.0, "seed": 0}


def stages(offered: Offered, fields: list[str], **changes: object) -> list[Stage]:
    return list(draw(offered, fields, **{**USUAL, **changes}))


def last(offered: Offered, fields: list[str], **changes: object) -> np.ndarray:
    grid = stages(offered, fields, **changes)[-1].grid
    assert grid is not None
    return np.asarray(grid)


@pytest.mark.parametrize("kind", ["letters", "photographs"])
@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, []),
        ({"num": 7, "seed": 3}, ["--seed=3"]),
        ({"sampler": "dpm++", "steps": 4}, ["--sampler=dpm++", "--steps=4"]),
        ({"guidance": 2.5, "steps": 11}, ["--guidance=2.5", "--steps=11"]),
        ({"sampler": "ddpm", "num": MOST_IMAGES}, ["--sampler=ddpm"]),
    ],
)
def test_the_page_draws_the_bits_that_sample_draws(
    kind: Kind, settings: dict, options: list, offered: Offered, photographs: list, tmp_path: Path, monkeypatch
) -> None:
    fields = list(map(url, photographs)) if kind == "photographs" else take(offered, "test", "hebrew/05D0", N_SHOT, 0)
    (tmp_path / "five").mkdir()
    for number, field in enumerate(fields):
        data = drawing_bytes(field)
        (tmp_path / "five" / f"{number}.png").write_bytes(data)
    monkeypatch.setattr(command, "load_checkpoint", lambda *_: offered.model)
    out = tmp_path / "grid.png"
    places = ["--ckpt_path=a.ckpt", f"--support={tmp_path / 'five'}", f"--out={out}"]
    command.main([*places, f"--num={settings.get('num', 4)}", *options])
    found = last(offered, fields, kind=kind, **settings)
    assert np.array_equal(found, np.asarray(Image.open(out)))


def drawing_bytes(field: str) -> bytes:
    from lightning_nsd.demo.field import read_field

    data = read_field(field, "Picture")
    assert data is not None
    return data


def test_the_steps_of_a_model_end_with_what_it_samples(offered: Offered) -> None:
    support = torch.rand(1, 5, 1, 8, 8) * 2 - 1
    with_noise = {"num": 3, "sampler": DDIM(6, eta=0.7)}
    expected = offered.model.sample(support, generator=torch.Generator().manual_seed(1), **with_noise)
    for every in (1, 4, 100):
        noise = torch.Generator().manual_seed(1)
        found = list(offered.model.sample_steps(support, generator=noise, every=every, **with_noise))
        assert torch.equal(found[-1], expected)
        assert [images is not None for images in found] == [(k + 1) % every == 0 or k == 5 for k in range(6)]
        assert torch.is_grad_enabled()


def test_the_seed_decides_what_is_drawn(offered: Offered, five: list[str]) -> None:
    assert np.array_equal(last(offered, five), last(offered, five))
    assert not np.array_equal(last(offered, five), last(offered, five, seed=1))


def test_the_grid_appears_every_few_steps(offered: Offered, five: list[str]) -> None:
    every = stages(offered, five, steps=50)
    assert [stage.step for stage in every] == list(range(1, 51)) and {stage.total for stage in every} == {50}
    shown = [stage for stage in every if stage.grid is not None]
    assert 10 <= len(shown) <= 14 and shown[-1] is every[-1]
    pictures = {stage.grid.tobytes() for stage in shown}
    assert len(pictures) == len(shown)
    assert sorted(stage.seconds for stage in every) == [stage.seconds for stage in every] and every[0].seconds > 0


def test_a_drawing_that_is_closed_takes_no_further_step(offered: Offered, five: list[str], monkeypatch) -> None:
    asked: list[int] = []
    trajectory = DDIM.trajectory

    def counted(*arguments: object):
        for number, x in enumerate(trajectory(*arguments)):
            asked.append(number)
            yield x

    monkeypatch.setattr(DDIM, "trajectory", counted)
    under_way = draw(offered, five, **USUAL)
    next(under_way), next(under_way)
    under_way.close()
    assert asked == [0, 1]


def test_a_model_draws_as_it_does_by_itself_where_nothing_else_is_chosen(five: list[str]) -> None:
    for sampler in (DDIM(timesteps=[1, 9, 30], guidance=2.0, guidance_interval=[5, 20]), DPMSolverPP(5)):
        offered = make_offered()
        offered.model.sampler = sampler
        by_itself = own(offered)
        chosen = drawing._sampler(offered, by_itself.sampler, by_itself.steps, by_itself.guidance)
        assert describe(chosen) == describe(choose_sampler(offered.model, None, None, None))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "cats"}, "Pictures are letters or photographs"),
        ({"kind": None}, "Pictures are letters or photographs"),
        ({"num": 0}, "Number of images is 0; it must be a whole number from 1 to 64"),
        ({"num": 10**9}, "Number of images is 1000000000; it must be a whole number from 1 to 64"),
        ({"num": None}, "Number of images is empty; it must be"),
        ({"num": 2.5}, "Number of images is 2.5; it must be"),
        ({"num": "many"}, "Number of images is 'many'; it must be"),
        ({"sampler": "euler"}, "The sampler is one of ddpm, ddim, dpm"),
        ({"sampler": None}, "The sampler is one of"),
        ({"sampler": ["ddim"]}, "The sampler is one of"),
        ({"steps": 51}, "Steps is 51; it must be a whole number from 1 to 50"),
        ({"steps": 0}, "Steps is 0; it must be"),
        ({"guidance": None}, "Guidance is empty; it must be a number"),
        ({"guidance": float("nan")}, "Guidance is nan; it must be a number"),
        ({"guidance": 1e9}, "Guidance is 1000000000.0; it must be"),
        ({"seed": -1}, "Seed is -1; it must be a whole number from 0 to 4,294,967,295"),
        ({"seed": None}, "Seed is empty"),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_sentence(changes, said: str, offered: Offered, five: list[str]) -> None:
    with pytest.raises(UserError, match=f"^{said}"):
        stages(offered, five, **changes)


def test_whole_numbers_may_come_as_fractions_without_one(offered: Offered, five: list[str]) -> None:
    assert np.array_equal(last(offered, five, num=4.0, steps=6.0, seed=0.0), last(offered, five))


def test_a_click_has_bounded_work(offered: Offered, five: list[str], monkeypatch) -> None:
    assert MOST_WORK >= 18 * 500
    monkeypatch.setattr(drawing, "MOST_WORK", 100)
    assert len(stages(offered, five, num=10, steps=10)) == 10
    with pytest.raises(UserError, match=r"11 images in 10 steps are too many.* at most 10 images, or 9 steps"):
        stages(offered, five, num=11, steps=10)


def test_a_model_of_one_set_size_says_how_many_it_takes(
    of_one_size: Offered, offered: Offered, five: list[str]
) -> None:
    assert len(stages(of_one_size, five)) == 6
    with pytest.raises(UserError, match="takes exactly 5 pictures, and 4 are there: fill 5 fields"):
        stages(of_one_size, [*five[:4], ""])
    with pytest.raises(UserError, match="takes exactly 5 pictures, and one is there"):
        stages(of_one_size, five[:1])
    assert len(stages(offered, ["", five[1], ""])) == 6


def test_images_that_are_not_finite_are_a_sentence(five: list[str]) -> None:
    broken = make_offered()
    for parameter in broken.model.model.denoiser.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(UserError, match="came out not finite"):
        stages(broken, five)


def test_guidance_of_a_model_without_null_context_is_a_sentence(five: list[str]) -> None:
    offered = make_offered()
    offered.model.model.null_context = None
    with pytest.raises(UserError, match=r"guidance is 2.0, which needs"):
        stages(offered, five, guidance=2.0)


# ---- examples ----


def test_five_are_taken_of_a_class_as_they_are_in_the_data(offered: Offered) -> None:
    images = offered.data.image_set("val")
    of_class = images.of_class(images.class_names.index("georgian/10D3"))
    taken = drawing.seen(offered, take(offered, "val", "georgian/10D3", 5, 0), "letters")
    numbers = [[torch.equal(image, other / 127.5 - 1) for other in of_class].index(True) for image in taken]
    assert len(set(numbers)) == 5
    assert take(offered, "val", "georgian/10D3", 5, 0) != take(offered, "val", "georgian/10D3", 5, 1)


def test_the_row_of_examples_is_spread_over_the_split(offered: Offered) -> None:
    names = class_names(offered, "test")
    found = [example.name for example in examples(offered, "test")]
    assert len(found) == 12 and len(set(found)) == 12 and set(found) <= set(names)
    assert found == sorted(found, key=names.index) and names.index(found[-1]) > len(names) * 0.8


def test_a_class_is_shown_with_its_character() -> None:
    assert readable_name("hebrew/05D0") == "hebrew/05D0 א"
    assert [readable_name(name) for name in ("cat", "a/0007", "a/beef!")] == ["cat", "a/0007", "a/beef!"]


def test_classes_that_cannot_be_had_are_a_sentence(offered: Offered) -> None:
    with pytest.raises(UserError, match="There is no class klingon in the test split"):
        take(offered, "test", "klingon", 5, 0)
    with pytest.raises(UserError, match="Choose a class first"):
        take(offered, "test", None, 5, 0)
    unknown = Offered("a.ckpt", offered.model, "letters", 1.0, None)
    with pytest.raises(UserError, match=r"not known which data a.ckpt was trained on"):
        class_names(unknown, "test")
