"""A tiny ViT of timm's with seeded weights, in the kinds of file that its weights come in."""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

VIT = "vit_tiny_patch16_224"
SIZES: dict[str, Any] = {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2}


def make_network(seed: int = 0) -> torch.nn.Module:
    """The network with a head for four classes, as trained ones have."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model(VIT, num_classes=4, **SIZES)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def make_vit(path: Path, seed: int = 0) -> Path:
    """A file of its weights: `.safetensors`, `.npz` as Google's, or anything else by torch."""
    state = make_network(seed).state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: array.numpy() for name, array in of_google(state).items()})  # type: ignore[arg-type]
    else:
        torch.save(state, path)
    return path


def of_google(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Arrays as the JAX models of Dosovitskiy et al. name and lay them out: kernels `(in, out)`, heads apart."""
    heads, width = SIZES["num_heads"], SIZES["embed_dim"]
    arrays = {
        "cls": state["cls_token"],
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for number in range(SIZES["depth"]):
        of, block = f"Transformer/encoderblock_{number}", f"blocks.{number}"
        for theirs, ours in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            arrays[f"{of}/{theirs}/scale"] = state[f"{block}.{ours}.weight"]
            arrays[f"{of}/{theirs}/bias"] = state[f"{block}.{ours}.bias"]
        for theirs, ours in (("Dense_0", "fc1"), ("Dense_1", "fc2")):
            arrays[f"{of}/MlpBlock_3/{theirs}/kernel"] = state[f"{block}.mlp.{ours}.weight"].T
            arrays[f"{of}/MlpBlock_3/{theirs}/bias"] = state[f"{block}.mlp.{ours}.bias"]
        attention = f"{of}/MultiHeadDotProductAttention_1"
        weights, biases = (state[f"{block}.attn.qkv.{name}"].chunk(3) for name in ("weight", "bias"))
        for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
            arrays[f"{attention}/{name}/kernel"] = weight.T.reshape(width, heads, -1)
            arrays[f"{attention}/{name}/bias"] = bias.reshape(heads, -1)
        arrays[f"{attention}/out/kernel"] = state[f"{block}.attn.proj.weight"].T.reshape(heads, -1, width)
        arrays[f"{attention}/out/bias"] = state[f"{block}.attn.proj.bias"]
    return arrays
