"""What an accelerator computes in float32, beside what the CPU computes: output, loss and gradients, samples."""

import copy
from typing import Any

import torch
from one_step import load_config, use_precision
from torch import Tensor

from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.model.guidance import guided_network
from lightning_nsd.module import FewShotDiffusion
from parity_tests.compare import errors_of, worst_of
from parity_tests.tolerances import GRADIENT_FLOOR, TOLERANCES

EPISODES, DRAWN, STEPS = 2, 2, 5


def check(config: str, device: torch.device) -> dict[str, Any]:
    """Rungs 3, 4 and 6 of the ladder, with the tolerances that hold float32 against the reference.

    Returns:
        For `model`, `loss` and `sampler` the worst relative error, what it is of, its tolerance, and whether it is in.
    """
    use_precision("float32", device)
    torch.manual_seed(0)
    module = load_config(config).eval()  # without dropout, whose numbers are the device's own
    for parameter in module.model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)  # what starts at zero would hide what is behind it
    results = {}
    sides = [computed(copy.deepcopy(module).to(where), where) for where in (device, torch.device("cpu"))]
    for rung, floor in (("model", 0.0), ("loss", GRADIENT_FLOOR["float32"]), ("sampler", 0.0)):
        worst = worst_of(errors_of(sides[0][rung], sides[1][rung], floor))
        tolerance = TOLERANCES[rung]["float32"]
        results[rung] = {
            "error": worst.error,
            "of": worst.name,
            "tolerance": tolerance,
            "passed": worst.error <= tolerance,
        }
    return results


def computed(module: FewShotDiffusion, device: torch.device) -> dict[str, dict[str, Any]]:
    """The arrays of every rung, by their names, from the same random numbers on every device."""
    draw = torch.Generator().manual_seed(1)
    n, shape = module.n_shot + 1, module.model.image_shape

    def randn(*of: int) -> Tensor:
        return torch.randn(*of, generator=draw).to(device)

    images, t = randn(EPISODES, n, *shape).clamp(-1, 1), torch.tensor([10, 700]).to(device)
    x, noise = randn(EPISODES * n, *shape), randn(EPISODES * n, *shape)
    network = module.model
    with torch.no_grad():
        output = network(images, x, t).output  # (B·N, C_out, H, W)
    loss = module.loss_terms(images, t, noise)["loss"]
    loss.backward()
    gradients = {f"gradient of {k}": p.grad for k, p in network.named_parameters() if p.grad is not None}
    x_T = randn(EPISODES * DRAWN, *shape)
    with torch.no_grad():
        predict = guided_network(network, images[:, :-1], DRAWN, guidance=1.0)
        drawn = DDIM(STEPS).sample(module.diffusion, predict, x_T, lambda _: x_T)
    return {
        "model": {"output": array(output)},
        "loss": {"loss": array(loss), **{name: array(value) for name, value in gradients.items()}},
        "sampler": {"samples": array(drawn)},
    }


def array(value: Tensor) -> Any:
    """On the host."""
    return value.detach().cpu().numpy()
