"""The key table of the JAX source: every parameter of its trees, and how it becomes one of ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lightning_nsd.errors import UserError

Arrays = Mapping[str, np.ndarray]
ENCODER, DENOISER, POSTERIOR = "encoder/params/", "dit/params/", "posterior/params/"
TIME_EMBEDDING = "time_embed/params/"
CONSTANT = DENOISER + "pos_embed"  # the fixed position table, which the source stores, and shrinks by weight decay


@dataclass(frozen=True)
class Entry:
    """One parameter of `FewShotDenoiser` and what it is made of.

    Attributes:
        key: in the network's state_dict.
        sources: keys of the source's parameters.
        convert: their arrays to one of ours.
    """

    key: str
    sources: tuple[str, ...]
    convert: Callable[..., np.ndarray]


def _same(value: np.ndarray) -> np.ndarray:
    return value


def _transposed(kernel: np.ndarray) -> np.ndarray:
    return kernel.T


def _convolution(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(3, 2, 0, 1)  # (p, p, C, D) → (D, C, p, p)


def _joined_kernels(*kernels: np.ndarray) -> np.ndarray:
    return np.concatenate([k.reshape(k.shape[0], -1).T for k in kernels])  # each (D_in, heads, D_head)


def _joined_biases(*biases: np.ndarray) -> np.ndarray:
    return np.concatenate([b.reshape(-1) for b in biases])  # each (heads, D_head)


def _out_kernel(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(-1, kernel.shape[-1]).T  # (heads, D_head, D)


def linear(key: str, source: str, bias: bool = True) -> list[Entry]:
    """A dense layer: kernel (in, out) → weight (out, in)."""
    weight = Entry(f"{key}.weight", (f"{source}/kernel",), _transposed)
    return [weight, Entry(f"{key}.bias", (f"{source}/bias",), _same)] if bias else [weight]


def norm(key: str, source: str) -> list[Entry]:
    """A LayerNorm."""
    return [Entry(f"{key}.weight", (f"{source}/scale",), _same), Entry(f"{key}.bias", (f"{source}/bias",), _same)]


def attention(key: str, source: str, projections: Mapping[str, tuple[str, ...]]) -> list[Entry]:
    """A multi-head attention, whose query, key and value are fused here as `projections` says."""
    entries = []
    for name, parts in projections.items():
        kernels = tuple(f"{source}/{part}/kernel" for part in parts)
        biases = tuple(f"{source}/{part}/bias" for part in parts)
        entries.append(Entry(f"{key}.{name}.weight", kernels, _joined_kernels))
        entries.append(Entry(f"{key}.{name}.bias", biases, _joined_biases))
    entries.append(Entry(f"{key}.to_out.weight", (f"{source}/out/kernel",), _out_kernel))
    entries.append(Entry(f"{key}.to_out.bias", (f"{source}/out/bias",), _same))
    return entries


def set_vit_entries(depth: int, mlp_head: bool, knows_time: bool) -> list[Entry]:
    """The SetViT."""
    entries = [
        Entry("encoder.cls_token", (f"{ENCODER}cls_token",), _same),
        Entry("encoder.position", (f"{ENCODER}pos_embedding",), _same),
        *norm("encoder.patch_norm", f"{ENCODER}to_patch_embedding/norm"),
        *linear("encoder.patch_embedding", f"{ENCODER}to_patch_embedding/proj"),
        *norm("encoder.head_norm", f"{ENCODER}mlp_norm"),
        *(_mlp_head("mlp_head_ff") if mlp_head else linear("encoder.head", f"{ENCODER}mlp_dense")),
        *(_time_entries() if knows_time else []),
    ]
    for i in range(depth):
        key, source = f"encoder.blocks.{i}", f"{ENCODER}transformer/layer_{i}"
        entries += norm(f"{key}.norm_1", f"{source}/LayerNorm_0") + norm(f"{key}.norm_2", f"{source}/LayerNorm_1")
        entries += linear(f"{key}.attention.to_qkv", f"{source}/LSA_0/Dense_0", bias=False)
        entries += linear(f"{key}.attention.to_out", f"{source}/LSA_0/Dense_1")
        entries.append(Entry(f"{key}.attention.temperature", (f"{source}/LSA_0/temperature",), _same))
        entries += linear(f"{key}.mlp.linear_1", f"{source}/FeedForward_0/Dense_0")
        entries += linear(f"{key}.mlp.linear_2", f"{source}/FeedForward_0/Dense_1")
    return entries


def vit_entries(depth: int, mlp_head: bool) -> list[Entry]:
    """The ViT, which knows the time."""
    entries = [
        Entry("encoder.cls_token", (f"{ENCODER}cls_token",), _same),
        Entry("encoder.position", (f"{ENCODER}pos_embedding",), _same),
        *linear("encoder.patch_embedding", f"{ENCODER}to_patch_embedding"),
        *norm("encoder.head_norm", f"{ENCODER}cls_norm"),
        *(_mlp_head("mlp_head") if mlp_head else linear("encoder.head", f"{ENCODER}cls_dense")),
        *_time_entries(),
    ]
    for i in range(depth):
        key, source = f"encoder.blocks.{i}", f"{ENCODER}transformer/TransformerBlock_{i}"
        entries += norm(f"{key}.norm_1", f"{source}/LayerNorm_0") + norm(f"{key}.norm_2", f"{source}/LayerNorm_1")
        entries += attention(f"{key}.attention", f"{source}/SelfAttention_0", {"to_qkv": ("query", "key", "value")})
        entries += linear(f"{key}.mlp.linear_1", f"{source}/FeedForward_0/Dense_0")
        entries += linear(f"{key}.mlp.linear_2", f"{source}/FeedForward_0/Dense_1")
    return entries


def _mlp_head(name: str) -> list[Entry]:
    return [
        *linear("encoder.head.linear_1", f"{ENCODER}{name}/Dense_0"),
        *linear("encoder.head.linear_2", f"{ENCODER}{name}/Dense_1"),
    ]


def _time_entries() -> list[Entry]:
    return [
        *linear("encoder.time_embedding.linear_1", f"{TIME_EMBEDDING}Dense_0"),
        *linear("encoder.time_embedding.linear_2", f"{TIME_EMBEDDING}Dense_1"),
        *linear("encoder.time_token", f"{ENCODER}to_time_embedding"),
    ]


def denoiser_entries(depth: int, cross_attention: bool, cond_norm: bool, stored_position: bool) -> list[Entry]:
    """The DiT."""
    entries = [Entry("denoiser.stored_position", (CONSTANT,), _same)] if stored_position else []
    entries += [
        Entry("denoiser.patch_embedding.weight", (f"{DENOISER}PatchEmbed_0/Conv_0/kernel",), _convolution),
        Entry("denoiser.patch_embedding.bias", (f"{DENOISER}PatchEmbed_0/Conv_0/bias",), _same),
        *linear("denoiser.time_embedding.linear_1", f"{DENOISER}TimestepEmbedder_0/Dense_0"),
        *linear("denoiser.time_embedding.linear_2", f"{DENOISER}TimestepEmbedder_0/Dense_1"),
        *linear("denoiser.final.modulation", f"{DENOISER}FinalLayer_0/Dense_0"),
        *linear("denoiser.final.linear", f"{DENOISER}FinalLayer_0/Dense_1"),
    ]
    if not cross_attention:
        entries += linear("denoiser.context_projection", f"{DENOISER}Dense_0")
    for i in range(depth):
        key, source = f"denoiser.blocks.{i}", f"{DENOISER}DiTBlock_{i}"
        entries += linear(f"{key}.modulation", f"{source}/Dense_0")
        if cond_norm:
            entries.append(Entry(f"{key}.cond_norm.weight", (f"{source}/context_scale",), _same))
        fused: dict[str, tuple[str, ...]] = {"to_qkv": ("query", "key", "value")}
        entries += attention(f"{key}.attention", f"{source}/MultiHeadDotProductAttention_0", fused)
        if cross_attention:
            entries += linear(f"{key}.context_projection", f"{source}/Dense_1")
            fused = {"to_q": ("query",), "to_kv": ("key", "value")}
            entries += attention(f"{key}.cross_attention", f"{source}/MultiHeadDotProductAttention_1", fused)
        entries += linear(f"{key}.mlp.linear_1", f"{source}/MlpBlock_0/Dense_0")
        entries += linear(f"{key}.mlp.linear_2", f"{source}/MlpBlock_0/Dense_1")
    return entries


def context_entries() -> list[Entry]:
    """The variational context's two layers."""
    return linear("context.linear_1", f"{POSTERIOR}Dense_0") + linear("context.linear_2", f"{POSTERIOR}Dense_1")


def to_state_dict(entries: list[Entry], network: nn.Module, arrays: Arrays, source: str) -> dict[str, Tensor]:
    """The source's parameters (or Adam's moments of them) as a state of the network.

    Raises:
        UserError: a parameter that is missing, mis-shaped, or left over; names its key and what was expected.
    """
    expected = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    unmapped = sorted(expected.keys() ^ {entry.key for entry in entries})
    if unmapped:
        raise UserError(f"{source}: the JAX source has no counterpart of {', '.join(unmapped)}.")
    state = {}
    for entry in entries:
        missing = [key for key in entry.sources if key not in arrays]
        if missing:
            raise UserError(f"{source}: the parameter {missing[0]} is missing; {entry.key} is made of it.")
        try:
            value = entry.convert(*(np.asarray(arrays[key]) for key in entry.sources))
        except (ValueError, IndexError) as error:
            raise UserError(f"{source}: {', '.join(entry.sources)}: an unexpected number of axes: {error}.") from error
        if value.shape != expected[entry.key]:
            raise UserError(
                f"{source}: {', '.join(entry.sources)} gives shape {value.shape} where {entry.key} "
                f"takes {expected[entry.key]}."
            )
        state[entry.key] = torch.from_numpy(np.array(value, order="C"))  # a copy: arrays from files are read-only
    left_over = sorted(set(arrays) - {key for entry in entries for key in entry.sources} - {CONSTANT})
    if left_over:
        raise UserError(f"{source}: {', '.join(left_over[:10])}: parameters that this model does not have.")
    return state
