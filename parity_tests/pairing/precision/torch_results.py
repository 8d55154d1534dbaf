"""Results of torch's operations changed as they come: of every one, and what products are given."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

Change = Callable[[Tensor], Tensor]
Sum = Callable[[Tensor, int], Tensor]
ATEN = torch.ops.aten
PRODUCTS = {
    ATEN.mm: (0, 1),
    ATEN.bmm: (0, 1),
    ATEN.mv: (0, 1),
    ATEN.dot: (0, 1),
    ATEN.addmm: (1, 2),
    ATEN.addmv: (1, 2),
    ATEN.baddbmm: (1, 2),
    ATEN.convolution: (0, 1),
    ATEN.convolution_backward: (0, 1, 2),
}
"""Which arguments are multiplied; a bias is not."""
SUMS = (ATEN.sum, ATEN.mean)
NORMS = (ATEN.native_layer_norm_backward, ATEN.native_group_norm_backward, ATEN.native_batch_norm_backward)
"""They give the gradient by the input, and two that are sums: by the scale and by the shift."""


def same(tensor: Tensor) -> Tensor:
    """No change."""
    return tensor


@contextmanager
def changed_results(
    operand: Change = same, product: Change = same, summand: Sum | None = None, result: Change = same
) -> Iterator[None]:
    """Change what torch's operations are given and give, backwards too.

    Attention is written out meanwhile: a fused one has no results in between.

    Args:
        operand: of what matrix products and convolutions are given, a bias excepted.
        product: of what these and sums give.
        summand: of what a sum is given, and how many numbers go into one of its results.
        result: of what anything else gives that makes a new array.
    """
    with sdpa_kernel(SDPBackend.MATH), _Changed(operand, product, summand, result):
        yield


class _Changed(TorchDispatchMode):
    def __init__(self, operand: Change, product: Change, summand: Sum | None, result: Change) -> None:
        super().__init__()
        self.operand, self.product, self.summand, self.result = operand, product, summand, result

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet, kwargs = func.overloadpacket, kwargs or {}
        if packet in PRODUCTS:
            given = tuple(_of_floats(a, self.operand) if i in PRODUCTS[packet] else a for i, a in enumerate(args))
            found = func(*given, **kwargs)
            if packet is ATEN.convolution_backward and found[2] is not None:  # of the bias: a sum and no product
                found = (*found[:2], self._sum(ATEN.sum.dim_IntList, args[0], [0, *range(2, args[0].dim())]))
            return _of_floats(found, self.product)
        if packet in SUMS:
            return _of_floats(self._sum(func, *args, **kwargs), self.product)
        found = func(*args, **kwargs)
        if packet in NORMS:
            of_scale = (self._summed(value, args[0].numel()) for value in found[1:])
            return (_of_floats(found[0], self.result), *of_scale)
        is_view = any(value.alias_info for value in func._schema.returns)
        return found if is_view else _of_floats(found, self.result)

    def _sum(self, func: Any, summed: Tensor, *others: Any, **kwargs: Any) -> Tensor:
        found = func(summed, *others, **kwargs)
        if self.summand is None or not summed.is_floating_point():
            return found
        return func(self.summand(summed, summed.numel() // max(1, found.numel())), *others, **kwargs)

    def _summed(self, found: Any, count: int) -> Any:
        """A sum that another operation made, of so many numbers in all."""
        return found if found is None or self.summand is None else self.summand(found, count // found.numel())


def _of_floats(value: Any, change: Change) -> Any:
    if isinstance(value, Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(_of_floats(part, change) for part in value)
    return value


def round_to(bits: int) -> Change:
    """Round float32 to so many bits of the fraction, to the nearest, ties to even; other types stay as they are."""
    dropped = 23 - bits

    def rounded(tensor: Tensor) -> Tensor:
        if tensor.dtype != torch.float32:
            return tensor
        number = tensor.contiguous().view(torch.int32)
        last = (number >> dropped) & 1
        return (((number + ((1 << (dropped - 1)) - 1) + last) >> dropped) << dropped).view(torch.float32)

    return rounded
