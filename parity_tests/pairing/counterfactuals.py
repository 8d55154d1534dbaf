"""What a torch module would give if one operation in it were another: what the other side may have instead."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

MOST = 12
"""An operation that is done more often is not tried at each place."""
EPSILONS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0.0)


class Variant(NamedTuple):
    """One operation done otherwise.

    Attributes:
        function: torch's.
        instead: takes the function and its arguments.
        words: what that is, for a sentence.
    """

    function: Callable[..., Any]
    instead: Callable[..., Any]
    words: str


class Replaced(TorchFunctionMode):
    """While it is active, an operation is another one: everywhere, or at its `only`th time, from 0."""

    def __init__(self, variants: Sequence[Variant], only: int | None = None) -> None:
        super().__init__()
        self.instead = {variant.function: variant.instead for variant in variants}
        self.only = only
        self.times = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.instead:
            self.times += 1
            if self.only is None or self.only == self.times - 1:
                return self.instead[func](func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class Seen(TorchFunctionMode):
    """Keeps which operations are done while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.functions.append(func)
        return func(*args, **(kwargs or {}))


def changes(functions: list[Any]) -> Iterator[tuple[list[Variant], int | None]]:
    """What might be done instead, of operations that were seen: everywhere, then at one place of several."""
    possible = [variant for variant in _all() if variant.function in functions]
    yield from (([variant], None) for variant in possible)
    waves = [variant for variant in possible if "sine" in variant.words]
    if len(waves) > 1:
        yield waves, None
    for variant in possible:
        times = functions.count(variant.function)
        if 1 < times <= MOST:
            yield from (([variant], time) for time in range(times))


def _setting(name: str, value: Any) -> Callable[..., Any]:
    """The same operation with one argument changed, whether it was given by place or by name."""

    def instead(function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = inspect.signature(function).bind(*args, **kwargs)
            bound.arguments[name] = value
            return function(*bound.args, **bound.kwargs)
        except (TypeError, ValueError):  # a built-in one, without a signature
            return function(*args, **{**kwargs, name: value})

    return instead


def _all() -> Iterator[Variant]:
    yield Variant(F.gelu, lambda f, x, approximate="none": f(x, approximate="tanh"), "GELU by tanh")
    yield Variant(F.gelu, lambda f, x, approximate="none": f(x, approximate="none"), "GELU by erf")
    yield from _norms()
    yield from _activations()
    yield from _statistics()
    yield from _attention()
    yield from _geometry()
    yield from _arithmetic()
    yield Variant(torch.sin, lambda f, *a, **k: torch.cos(*a, **k), "a cosine for a sine")
    yield Variant(torch.cos, lambda f, *a, **k: torch.sin(*a, **k), "a sine for a cosine")
    yield Variant(torch.Tensor.sin, lambda f, *a, **k: torch.cos(*a, **k), "a cosine for a sine")
    yield Variant(torch.Tensor.cos, lambda f, *a, **k: torch.sin(*a, **k), "a sine for a cosine")
    yield Variant(
        F.linear,
        lambda f, x, w, b=None: f(x, w.T, b) if w.shape[0] == w.shape[1] else f(x, w, b),
        "a transposed kernel",
    )
    yield Variant(F.linear, lambda f, x, w, b=None: f(x, w), "no bias")
    yield Variant(F.embedding, lambda f, x, w, *a, **k: f(x, w, *a, **k) * w.shape[1] ** 0.5, "embeddings times √width")
    yield Variant(F.dropout, lambda f, x, *a, **k: x, "no dropout")


def _norms() -> Iterator[Variant]:
    for function, name in ((F.layer_norm, "LayerNorm"), (F.group_norm, "GroupNorm"), (F.batch_norm, "BatchNorm"),
                           (F.instance_norm, "InstanceNorm"), (F.rms_norm, "RMSNorm")):  # fmt: skip
        for eps in EPSILONS:
            yield Variant(function, _setting("eps", eps), f"{name} with eps = {eps:g}")
    yield Variant(F.layer_norm, _unbiased_layer_norm, "LayerNorm by the unbiased variance")
    yield Variant(F.group_norm, _unbiased_group_norm, "GroupNorm by the unbiased variance")
    yield Variant(
        F.layer_norm,
        lambda f, x, shape, weight=None, bias=None, eps=1e-5: F.rms_norm(x, shape, weight, eps),
        "RMSNorm for LayerNorm",
    )
    for groups in (1, 2, 4, 8, 16, 32, 64):
        yield Variant(F.group_norm, _groups(groups), f"GroupNorm with {groups} groups")


def _groups(groups: int) -> Callable[..., Any]:
    def instead(f: Any, x: Any, num_groups: int, *args: Any, **kwargs: Any) -> Any:
        return f(x, groups if x.shape[1] % groups == 0 else num_groups, *args, **kwargs)

    return instead


def _unbiased_layer_norm(f: Any, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    dims = tuple(range(-len(shape), 0))
    y = (x - x.mean(dims, keepdim=True)) / (x.var(dims, keepdim=True, correction=1) + eps).sqrt()
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _unbiased_group_norm(f: Any, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    parts = x.reshape(len(x), groups, -1)
    y = ((parts - parts.mean(2, keepdim=True)) / (parts.var(2, keepdim=True, correction=1) + eps).sqrt()).reshape(
        x.shape
    )
    along = (1, -1, *[1] * (x.dim() - 2))
    y = y if weight is None else y * weight.reshape(along)
    return y if bias is None else y + bias.reshape(along)


def _over_queries(f: Any, q: Any, k: Any, v: Any, *rest: Any, **kw: Any) -> Any:
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-2) @ v


ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "ReLU": (F.relu, torch.relu, torch.Tensor.relu),
    "SiLU": (F.silu,),
    "GELU by erf": (F.gelu,),
    "tanh": (torch.tanh, torch.Tensor.tanh, F.tanh),
    "sigmoid": (torch.sigmoid, torch.Tensor.sigmoid, F.sigmoid),
    "ELU": (F.elu,),
    "leaky ReLU": (F.leaky_relu,),
    "softplus": (F.softplus,),
    "ReLU6": (F.relu6,),
    "hard swish": (F.hardswish,),
    "Mish": (F.mish,),
}
INSTEAD: dict[str, Callable[[Any], Any]] = {
    "ReLU": F.relu,
    "SiLU": F.silu,
    "GELU by erf": F.gelu,
    "GELU by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick GELU, x·sigmoid(1.702 x)": lambda x: x * torch.sigmoid(1.702 * x),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "ELU": F.elu,
    "leaky ReLU of slope 0.01": lambda x: F.leaky_relu(x, 0.01),
    "leaky ReLU of slope 0.2": lambda x: F.leaky_relu(x, 0.2),
    "softplus": F.softplus,
    "ReLU6": F.relu6,
    "hard swish": F.hardswish,
    "Mish": F.mish,
    "no activation": lambda x: x * 1,
}


def _activations() -> Iterator[Variant]:
    for name, functions in ACTIVATIONS.items():
        for function in functions:
            for other, instead in INSTEAD.items():
                if other != name:
                    yield Variant(function, lambda f, x, *a, g=instead, **k: g(x), f"{other} for {name}")


def _statistics() -> Iterator[Variant]:
    for function in (torch.var, torch.std, torch.Tensor.var, torch.Tensor.std):
        for correction, words in ((0, "the biased variance"), (1, "the unbiased variance")):

            def instead(f: Any, x: Any, *a: Any, c: int = correction, **k: Any) -> Any:
                k.pop("unbiased", None)
                a = tuple(part for part in a if not isinstance(part, bool))
                return f(x, *a, **{**k, "correction": c})

            yield Variant(function, instead, words)


def _attention() -> Iterator[Variant]:
    for function in (F.softmax, torch.softmax, torch.Tensor.softmax):
        for dim in (-1, -2, -3, 1):
            yield Variant(function, lambda f, x, *a, d=dim, **k: torch.softmax(x, d), f"a softmax along axis {dim}")
    sdpa = F.scaled_dot_product_attention
    scales: dict[str, Callable[[Any], float]] = {
        "not scaled": lambda q: 1.0,
        "scaled by 1/width": lambda q: 1 / q.shape[-1],
        "scaled by 1/√(width of all heads)": lambda q: 1 / math.sqrt(q.shape[-1] * q.shape[1]),
    }
    for words, scale in scales.items():
        yield Variant(
            sdpa, lambda f, q, k, v, *a, s=scale, **kw: f(q, k, v, *a, **{**kw, "scale": s(q)}), f"attention {words}"
        )
    yield Variant(sdpa, _over_queries, "a softmax over the queries instead of the keys")
    yield Variant(
        sdpa, lambda f, q, k, v, *a, **kw: f(q, k, v, is_causal=not kw.get("is_causal", False)), "another causal mask"
    )


def _arithmetic() -> Iterator[Variant]:
    for name in ("__add__", "__radd__", "add", "__iadd__"):
        function = getattr(torch.Tensor, name)
        yield Variant(function, lambda f, a, b, **k: a * 1, "a sum without its last term")
        yield Variant(function, lambda f, a, b, **k: b * torch.ones_like(a), "a sum without its first term")
    for name in ("__mul__", "__rmul__", "mul"):
        yield Variant(getattr(torch.Tensor, name), lambda f, a, b, **k: a * 1, "a product without its last factor")
    for function in (torch.chunk, torch.Tensor.chunk, torch.split, torch.Tensor.split):
        yield Variant(
            function, lambda f, *a, **k: tuple(reversed(f(*a, **k))), "the parts of a tensor in reverse order"
        )
    for function in (torch.cat, torch.concat):
        yield Variant(
            function, lambda f, parts, *a, **k: f(list(reversed(parts)), *a, **k), "parts put together in reverse"
        )


def _geometry() -> Iterator[Variant]:
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
        for corners in (None, True, False) if mode.startswith("bi") else (None,):
            words = mode + (f", align_corners={corners}" if corners is not None else "")

            def resize(f: Any, x: Any, *a: Any, m: str = mode, c: Any = corners, **k: Any) -> Any:
                return f(x, *a[:2], **{**{n: v for n, v in k.items() if n in ("size", "scale_factor")}, "mode": m,
                                       "align_corners": c})  # fmt: skip

            yield Variant(F.interpolate, resize, f"interpolation by {words}")
    yield Variant(F.avg_pool2d, _setting("count_include_pad", False), "average pooling that leaves padding out")
    yield Variant(F.avg_pool2d, _setting("count_include_pad", True), "average pooling that counts padding")
    yield Variant(F.conv2d, _other_side, "a strided convolution padded at the end only (JAX's SAME)")
    yield Variant(F.conv2d, lambda f, x, w, *a, **k: f(x, w.flip(2, 3), *a, **k), "a kernel turned round")
    yield Variant(
        F.conv2d, lambda f, x, w, *a, **k: f(x, w.transpose(2, 3), *a, **k), "a kernel with height and width swapped"
    )
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield Variant(F.pad, lambda f, x, pad, *a, m=mode, **k: f(x, pad, mode=m), f"padding by {mode}")


def _other_side(f: Any, x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, *rest: Any, **kw: Any) -> Any:
    steps = (stride, stride) if isinstance(stride, int) else tuple(stride)
    if not isinstance(padding, int | tuple):
        return f(x, w, b, stride, padding, *rest, **kw)
    pads: list[int] = []
    for n, k, s in reversed(list(zip(x.shape[2:], w.shape[2:], steps, strict=True))):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pads += [total // 2, total - total // 2]
    return f(F.pad(x, pads), w, b, stride, 0, *rest, **kw)
