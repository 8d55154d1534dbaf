"""Numbers with bounds: one rule, for the parser, for Python and for checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from jsonargparse import ArgumentError, ArgumentParser

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.errors import UserError
from lightning_nsd.model.dit import DiT
from lightning_nsd.model.unet import UNet
from lightning_nsd.settings.numbers import Classes, Depth, Probability, Ratio, Width, bounded

NO_COUNT = ["0", "-1", "nan", "inf", "1e30", "2.5", str(10**12), "", "x", "true", "[1]", "null"]


@bounded("part")
class Part:
    """Every form in which a bound stands in a signature."""

    def __init__(
        self,
        width: Width = 8,
        widths: Sequence[Width] = (1, 2),
        rate: Probability = 0.0,
        ratio: Ratio | None = None,
        classes: Classes | list[str] | None = None,
        kind: Literal["round", "square"] | None = None,
        steps: Depth | Literal["all"] = "all",
    ) -> None:
        self.given = (width, widths, rate, ratio, classes)


def parser():
    made = ArgumentParser(exit_on_error=False)
    made.add_class_arguments(Part, "part")
    return made


@pytest.mark.parametrize("text", NO_COUNT)
def test_the_parser_refuses_what_lies_outside_a_bound_and_names_the_bound(text):
    with pytest.raises(ArgumentError, match="it must be a whole number from 1 to 65,536"):
        parser().parse_args([f"--part.width={text}"])


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e30, 2.5, 10**12, "x", True, None, [1]])
def test_the_constructor_refuses_what_lies_outside_a_bound_and_names_setting_and_bound(value):
    with pytest.raises(UserError, match=r"^part.width is .*; it must be a whole number from 1 to 65,536\.$"):
        Part(width=value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": [1, 0]}, "part.widths is .*whole number from 1 to"),
        ({"widths": 3}, "part.widths is 3; it must be a list"),
        ({"rate": 1.0}, "part.rate is 1.0; it must be a number from 0 below 1"),
        ({"ratio": 0.0}, "part.ratio is 0.0; it must be a number above 0 to 64"),
        ({"ratio": -1}, "part.ratio is -1"),
        ({"classes": 0}, "part.classes is 0"),
        ({"kind": "oval"}, "part.kind is 'oval'; it must be one of round, square"),
        ({"steps": "none"}, "part.steps is 'none'; it must be one of all"),
        ({"steps": 0}, "part.steps is 0; it must be a whole number from 1"),
    ],
)
def test_a_bound_within_a_list_or_beside_null_counts_as_well(arguments, message):
    with pytest.raises(UserError, match=message):
        Part(**arguments)


def test_a_name_that_there_is_is_taken():
    assert Part(kind="round", steps="all").given == Part(kind=None, steps=3).given


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prediction": "epsilon"}, "model.diffusion.prediction is 'epsilon'; it must be one of eps, x_0, v"),
        ({"schedule": "sigmoid"}, "model.diffusion.schedule is 'sigmoid'; it must be one of linear, cosine"),
        ({"variance": "fixed"}, "model.diffusion.variance is 'fixed'"),
    ],
)
def test_another_library_s_name_makes_no_other_process(wrong, message):
    with pytest.raises(UserError, match=message):
        GaussianDiffusion(**wrong)


def test_values_are_plain_numbers_whatever_they_were_given_as():
    given = Part(np.int64(3), (np.int32(2),), np.float32(0.5), 2, None).given
    assert given == (3, (2,), 0.5, 2.0, None)
    assert [type(value) for value in given] == [int, tuple, float, float, type(None)]
    assert type(given[1][0]) is int
    parsed = (
        parser().instantiate(parser().parse_args(["--part.width=3", "--part.rate=0", "--part.classes=[a, b]"])).part
    )
    assert parsed.given == (3, [1, 2], 0.0, None, ["a", "b"])
    assert type(parsed.given[0]) is int
    assert type(parsed.given[2]) is float


def test_help_shows_the_bound():
    assert "whole number from 1 to 65,536" in " ".join(parser().format_help().split())


def test_a_dataclass_is_checked_too():
    @bounded("schedule")
    @dataclass(frozen=True)
    class Schedule:
        steps: Depth = 3

    assert Schedule(4).steps == 4
    with pytest.raises(UserError, match=r"schedule\.steps is 0"):
        Schedule(0)


def test_a_network_built_in_python_names_the_setting():
    with pytest.raises(UserError, match=r"model\.denoiser\.depth is 0; it must be a whole number from 1 to 1,000"):
        DiT(8, 3, 3, 8, depth=0)
    with pytest.raises(UserError, match=r"model\.denoiser\.num_res_blocks is -1"):
        UNet(8, 3, 3, 8, num_res_blocks=-1)
