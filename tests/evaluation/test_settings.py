"""One list of settings, found by every command that takes them."""

import re
from dataclasses import fields

import pytest
from docstring_parser import parse
from jsonargparse import ArgumentParser

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.commands.evaluate import evaluate
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.settings import EvaluationSettings

NAMES = [field.name for field in fields(EvaluationSettings)]
OF_FIT_ALONE = {"strict"}
OF_EVALUATE = {"sampler"}
"""Settings of which `evaluate` has options of its own: a sampler's name and what changes it."""


def flat(text):
    return " ".join(text.split())


def offered(option, text):
    """Whether a help has an option; from Python 3.13 on a comma follows one that has another form."""
    return re.search(rf" --{re.escape(option)}[ ,]", text) is not None


def of_fit():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PerClassFID, "fid")
    return parser


def of_evaluate():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(evaluate, as_positional=False)
    return parser


@pytest.mark.parametrize("field", fields(EvaluationSettings), ids=NAMES)
def test_every_setting_is_an_option_with_its_own_default_and_description(field):
    described = {each.arg_name: each.description for each in parse(EvaluationSettings.__doc__).params}
    description = flat(described[field.name])
    help_of_fit, help_of_evaluate = flat(of_fit().format_help()), flat(of_evaluate().format_help())
    assert of_fit().get_defaults().fid[field.name] == field.default
    assert offered(f"fid.{field.name}", help_of_fit) and description in help_of_fit
    is_offered = field.name not in OF_FIT_ALONE
    assert offered(field.name, help_of_evaluate) == is_offered
    assert (description in help_of_evaluate) == (is_offered and field.name not in OF_EVALUATE)


def test_only_what_was_given_is_given():
    given = of_evaluate().parse_args(["--classes=null", "--num_samples=7"], defaults=False)
    assert given.as_dict() == {"classes": None, "num_samples": 7}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 1}, r"^fid\.num_samples is 1; it must be a whole number from 2 to 10,000,000\.$"),
        ({"batch_size": 0}, r"^fid\.batch_size is 0"),
        ({"classes": 0}, r"^fid\.classes is 0"),
        ({"classes": []}, r"^fid\.classes is \[\]; give names of classes"),
        ({"mixture_samples": -1}, r"^fid\.mixture_samples is -1"),
        ({"bits_samples": -1}, r"^fid\.bits_samples is -1"),
        ({"bits_timesteps": 2}, r"^fid\.bits_timesteps is 2; it must be a whole number from 3 to 100,000\.$"),
        (
            {"inception_scores": True, "extractor": "glyphnet"},
            r"^fid\.inception_scores is true, and fid\.extractor is gl",
        ),
        ({"extractor": None}, r"^fid\.extractor is None; it must be the name"),
        ({"extractor": "glyphnett"}, "no extractor glyphnett"),
    ],
)
@pytest.mark.parametrize("build", [EvaluationSettings, PerClassFID])
def test_what_lies_outside_is_refused_by_its_key(build, settings, message):
    with pytest.raises(UserError, match=message):
        build(**settings)


def test_a_setting_that_there_is_not_is_refused():
    with pytest.raises(TypeError, match="nosuch"):
        PerClassFID(nosuch=1)
