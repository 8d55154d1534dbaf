"""Tables that are computed once in float64 and used in the dtype of whatever they meet."""

import numpy as np
import torch
from torch import Tensor


class Constant:
    """A float64 table, handed out in the dtype and on the device of a tensor and copied there only once.

    A registered buffer would not do: `module.double()` after a float32 start would keep float32's rounding.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def like(self, tensor: Tensor) -> Tensor:
        """The table in `tensor`'s dtype and on its device; its own shape."""
        key = (tensor.device, tensor.dtype)
        if key not in self._copies:
            with torch.inference_mode(False):  # a copy made during evaluation must serve training too
                self._copies[key] = torch.from_numpy(self.values).to(tensor.dtype).to(tensor.device)
        return self._copies[key]

    def __getstate__(self) -> dict[str, object]:
        return {"values": self.values, "_copies": {}}
