"""A network that is another one at other timesteps."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class ByTimestep:
    """What a sampler asks for the network of a timestep that the host knows, instead of looking at t on the device.

    Args:
        at: the network of a timestep.
        anywhere: the same for any t of a batch, at the price of the dearest.
    """

    at: Callable[[int], Callable[[Tensor, Tensor], Tensor]]
    anywhere: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"]) -> Float[Tensor, "b C_out H W"]:
        return self.anywhere(x_t, t)
