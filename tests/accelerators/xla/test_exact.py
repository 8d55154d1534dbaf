"""In float64 the operations on XLA are eager's, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from lightning_nsd.accelerators.xla.exact import use_exact_operations

OPERATIONS = {
    "GELU": F.gelu,
    "GELU, tanh form": lambda x: F.gelu(x, approximate="tanh"),
    "LayerNorm": lambda x: F.layer_norm(x, (8,), eps=1e-6),
    "LayerNorm with weights": lambda x: F.layer_norm(x, (8,), torch.ones_like(x[0, 0, 0]) * 3, x[0, 0, 0] * 2),
    "GroupNorm": lambda x: F.group_norm(x, 2),
    "GroupNorm with weights": lambda x: F.group_norm(x, 2, torch.ones_like(x[0, :, 0, 0]) * 3, x[0, :, 0, 0] * 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_and_its_gradient_are_eagers(name, randn):
    use_exact_operations()
    values, weights = randn(3, 4, 5, 8), randn(3, 4, 5, 8, seed=1)
    results = []
    for device in ("cpu", "xla"):
        x = values.to(device).detach().clone().requires_grad_(True)
        with torch.no_grad():
            plain = OPERATIONS[name](x)
        y = OPERATIONS[name](x)
        (y * weights.to(device)).sum().backward()
        results.append((plain.cpu(), y.detach().cpu(), x.grad.cpu()))
    for eager, xla in zip(*results, strict=True):
        torch.testing.assert_close(xla, eager, rtol=1e-13, atol=1e-13)
