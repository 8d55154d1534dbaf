"""A report that says where the first difference is."""

import pytest
import torch
from torch import nn

from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.rungs import model

MODULES = {
    "SetViT-DiT": ("encoder.blocks.0.norm_2", "denoiser.blocks.1.attention.to_out", "context.linear_1"),
    "UNetEncoder-UNet": ("encoder.blocks.0.conv_1", "denoiser.middle_attention.norm", "denoiser.upsample.0.conv"),
    "SetViT-SpatialContext-UNet": ("spatial_context.blocks.0.conv_1",),
}


@pytest.mark.parametrize(("case", "module"), [(case, module) for case, names in MODULES.items() for module in names])
def test_the_first_module_that_differs_is_named(case: str, module: str) -> None:
    def disturb(ours: nn.Module) -> None:
        with torch.no_grad():
            ours.get_parameter(f"model.{module}.bias")[0] += 1e-7

    pair = Pair(cases.EVERY_MODULE[case], mutate=disturb)
    assert next(model.check(pair, pair.inputs())).first_failure == module
