"""Muon for the hidden matrices of a network, AdamW for the rest, as one optimiser."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial of degree five that is iterated (Jordan 2024, *Muon*)."""
STEPS = 5
SMALLEST_NORM = 1e-7


class MuonWithAdamW(Optimizer):
    """Muon (Jordan 2024; arXiv 2502.16982) for the groups that `use_muon`, AdamW (arXiv 1711.05101) for the others.

    A hidden matrix moves by its momentum, made orthogonal: every direction that its gradients have moves it as much as
    the largest one. `training/groups.py` says which matrices are hidden. The kernel of a convolution is taken as the
    matrix `(out, in · height · width)`. An update's root mean square is that of AdamW's, so that one rate fits both.

    `torch.optim.Muon` takes matrices alone, and rounds to bfloat16 whatever the weights are in; here the weights' own
    type is kept, which is what the JAX reference can be held to.

    Args:
        params: parameter groups, see `matrix_groups`.
        lr: rate of a group without one of its own.
        momentum: weight of what was before, with Nesterov's look ahead.
        betas: decays of AdamW's first and second moment.
        eps: added to the root of AdamW's second moment.
        weight_decay: decoupled, times the rate, of all parameters.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        for name, value in (("momentum", momentum), ("betas", betas[0]), ("betas", betas[1])):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is {value}; it must be a number from 0 to 1, and less than 1")
        for name, value in (("eps", eps), ("weight_decay", weight_decay)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}; it must be a number from 0")
        settings = {"lr": lr, "momentum": momentum, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "use_muon": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["use_muon"]:
                self._muon(group, trained)
            else:
                self._adamw(group, trained)
        return loss

    def _muon(self, group: dict[str, Any], trained: list[Tensor]) -> None:
        for parameter in trained:
            gradient, state = parameter.grad, self.state[parameter]
            assert gradient is not None
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(momentum, group["momentum"]).flatten(1)  # (out, in · height · width)
            rate = group["lr"] * 0.2 * max(ahead.shape) ** 0.5
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(newton_schulz(ahead).view_as(parameter), alpha=-rate)

    def _adamw(self, group: dict[str, Any], trained: list[Tensor]) -> None:
        for parameter in trained:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in trained]
        adamw(
            trained,
            [parameter.grad for parameter in trained if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def newton_schulz(
    matrix: Tensor,
    coefficients: tuple[float, float, float] = COEFFICIENTS,
    steps: int = STEPS,
    eps: float = SMALLEST_NORM,
) -> Tensor:
    """U S V of a matrix with its singular values S brought near to 1, by Newton and Schulz's iteration.

    Args:
        matrix: `(m, n)`; of its own type is what is returned.
        coefficients: of X, X³ and X⁵.
        steps: iterations.
        eps: smallest norm that a matrix is divided by.
    """
    a, b, c = coefficients
    x = matrix.T if matrix.size(0) > matrix.size(1) else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.size(0) > matrix.size(1) else x
