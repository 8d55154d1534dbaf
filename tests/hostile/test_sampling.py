"""Settings of samplers and of the trainer's precision that cannot be meant, in `fit`, and of `sample`."""

import pytest
import torch

from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from tests.cli.conftest import TINY
from tests.conftest import make_model
from tests.hostile.answer import assert_refused


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_weights_of_sixteen_bits_are_refused_and_the_mixed_precision_is_named(precision, answer):
    given = answer("fit", *TINY, "--trainer.precision", precision, "--trainer.max_steps", 1)
    assert_refused(given, f"trainer.precision is {precision}", precision.replace("true", "mixed"))


INTERVALS = ("[]", "[5]", "5", "[3,1]", "[1,2,3]", "[-1,5]", "[.nan,2]", "[0,1e12]", "[0,1000000000000]", "[0.5,2]",
             "[[1,2],3]", "much", "{a: 1}")  # fmt: skip


@pytest.mark.parametrize("place", ["model.sampler", "fid.sampler"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("guidance", value) for value in ("nan", "inf", "-inf", "1e30", "much")),
        *(("eta", value) for value in ("nan", "inf", "2", "-0.1")),
        *(("num_steps", value) for value in ("0", "-1", "2.5", "nan", "1000000000000", "1001")),
        *(("timesteps", value) for value in ("[3,3]", "[-1,5]", "[0.5]", "[1000]", "[]")),
        *(("guidance_interval", value) for value in INTERVALS),
        *(("spacing", value) for value in ("karras", "1", "[linspace]")),
        *(("ilvr_factor", value) for value in ("1", "3")),
        *(("ilvr_until", value) for value in ("-1", "5")),
    ],
)
def test_settings_of_a_sampler_that_cannot_be_meant_name_the_setting(place, name, value, answer):
    steps = (
        "--model.sampler=DDIM",
        "--model.sampler.num_steps=null",
        "--fid.sampler=DDIM",
        "--fid.sampler.num_steps=null",
    )
    given = answer("fit", *TINY, *steps, f"--{place}.{name}={value}", "--trainer.max_steps=1")
    assert_refused(given, f"sampler.{name}")


@pytest.mark.parametrize("place", ["model.sampler", "fid.sampler"])
def test_a_solver_that_has_no_ilvr_says_so(place, answer):
    given = answer("fit", *TINY, f"--{place}=DPMSolverPP", f"--{place}.ilvr_factor=2", "--trainer.max_steps=1")
    assert_refused(given, "ilvr_factor")


def test_what_sample_is_not_asked_to_change_is_as_the_checkpoint_has_it():
    model = make_model(sampler=DDIM(7, eta=0.5, clip=False, spacing="trailing"))
    fewer = choose_sampler(model, None, 5, None)
    assert (fewer.num_steps, fewer.eta, fewer.clip, fewer.spacing) == (5, 0.5, False, "trailing")
    other = choose_sampler(model, "dpm++", 5, None)
    assert (other.num_steps, other.clip, other.spacing) == (5, False, "log_snr")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_of_sixteen_bits_is_not_drawn_from(dtype):
    model = make_model()
    with pytest.raises(UserError, match=r"autocast"):
        model.to(dtype).sample(torch.zeros(1, 3, 3, 8, 8), 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.float().sample(torch.zeros(1, 3, 3, 8, 8), 1).isfinite().all()
