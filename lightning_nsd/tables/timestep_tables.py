"""A noise schedule's tables as tensors, looked up by timestep."""

from typing import Generic, TypeVar

from torch import Tensor

from lightning_nsd.tables.constant import Constant

T = TypeVar("T")


class TimestepTables(Generic[T]):
    """The arrays `(T,)` of a schedule.

    Args:
        schedule: has an attribute for every table.
    """

    def __init__(self, schedule: T) -> None:
        self.schedule = schedule
        self._constants: dict[str, Constant] = {}

    def at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        """Table `name` at the timesteps `(b,)`, in the dtype of `like` `(b, C, H, W)`: `(b, 1, 1, 1)`."""
        if name not in self._constants:
            self._constants[name] = Constant(getattr(self.schedule, name))
        return self._constants[name].like(like)[t][:, None, None, None]
