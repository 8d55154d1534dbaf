"""The diffusion transformer (Peebles & Xie 2023, arXiv 2212.09748) with a context."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.attention import CrossAttention, SelfAttention
from jax_reference.model.context import as_tokens
from jax_reference.model.denoiser import Conditioning, Denoiser
from jax_reference.model.embeddings import TimestepEmbedding, sincos_positions
from jax_reference.model.patches import grid_size, unpatchify
from jax_reference.model.transformer import LAYER_NORM_EPS, FeedForward
from jax_reference.written_out.layers import Conv2d, LayerNorm, Linear, silu


def modulate(x: Float[Array, "b L D"], shift: Float[Array, "b D"], scale: Float[Array, "b D"]) -> Float[Array, "b L D"]:
    """`x (1 + scale) + shift`."""
    return x * (1 + scale[:, None]) + shift[:, None]


class DiTBlock(nnx.Module):
    """adaLN-Zero block, with cross-attention between attention and MLP where there are context tokens."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        mlp_dim: int,
        context_dim: int | None,
        dropout: float,
        cond_norm: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        head_dim = hidden_size // num_heads
        self.norm_1 = LayerNorm(hidden_size, eps=LAYER_NORM_EPS, affine=False)
        self.attention = SelfAttention(hidden_size, num_heads, head_dim, qkv_bias=True, rngs=rngs)
        if context_dim is not None:
            self.norm_context = LayerNorm(hidden_size, eps=LAYER_NORM_EPS, affine=False)
            self.context_projection = Linear(context_dim, hidden_size, rngs=rngs)
            self.cross_attention = CrossAttention(
                hidden_size, hidden_size, num_heads, head_dim, qkv_bias=True, rngs=rngs
            )
        self.norm_2 = LayerNorm(hidden_size, eps=LAYER_NORM_EPS, affine=False)
        self.mlp = FeedForward(hidden_size, mlp_dim, dropout, rngs=rngs)
        if cond_norm:
            self.cond_norm = LayerNorm(hidden_size, eps=LAYER_NORM_EPS, bias=False)
        self.normalises_cond = cond_norm
        self.modulation = Linear(hidden_size, 6 * hidden_size, rngs=rngs)
        self.has_context = context_dim is not None

    def __call__(
        self, x: Float[Array, "b L D"], cond: Float[Array, "b D"], context: Float[Array, "b M D_c"] | None
    ) -> Float[Array, "b L D"]:
        cond = self.cond_norm(cond) if self.normalises_cond else cond
        # in this order: shift, scale, gate of the attention, then of the MLP
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = jnp.split(self.modulation(silu(cond)), 6, axis=-1)
        x = x + gate_1[:, None] * self.attention(modulate(self.norm_1(x), shift_1, scale_1))
        if self.has_context and context is not None:
            x = x + self.cross_attention(self.norm_context(x), self.context_projection(context))
        return x + gate_2[:, None] * self.mlp(modulate(self.norm_2(x), shift_2, scale_2))


class FinalLayer(nnx.Module):
    """adaLN with (shift, scale), then Linear to a patch's values."""

    def __init__(self, hidden_size: int, patch_dim: int, *, rngs: nnx.Rngs) -> None:
        self.norm = LayerNorm(hidden_size, eps=LAYER_NORM_EPS, affine=False)
        self.modulation = Linear(hidden_size, 2 * hidden_size, rngs=rngs)
        self.linear = Linear(hidden_size, patch_dim, rngs=rngs)

    def __call__(self, x: Float[Array, "b L D"], cond: Float[Array, "b D"]) -> Float[Array, "b L patch_dim"]:
        shift, scale = jnp.split(self.modulation(silu(cond)), 2, axis=-1)
        return self.linear(modulate(self.norm(x), shift, scale))


class DiT(Denoiser):
    """Patches of x_t, transformer blocks modulated by t (and a context vector), patches of the output.

    Args:
        image_size: pixels along a side; 28 is padded to 32 inside.
        in_channels: C of x_t.
        out_channels: C, or 2C with a learned variance.
        context_dim: D_c of the context; unused without conditioning.
        conditioning: `film`: t and c modulate every block; `cross_attention`: a sub-layer in every block; `none`.
        patch_size: pixels along a patch's side.
        hidden_size: D.
        depth: blocks.
        num_heads: attention heads.
        mlp_ratio: width inside the MLP over D.
        dropout: in the MLPs.
        film: cond of the blocks and the output: `sum`, t_emb + Linear(c), or `joint`, Linear([t_emb, c]).
        cond_norm: LayerNorm of cond times a learned scale, in every block.
        stored_position: keep the positions with the weights, untrained; computed, and in no checkpoint, otherwise.
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int,
        out_channels: int,
        context_dim: int,
        conditioning: Conditioning = "film",
        patch_size: int = 2,
        hidden_size: int = 448,
        depth: int = 6,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        film: Literal["sum", "joint"] = "sum",
        cond_norm: bool = False,
        stored_position: bool = False,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(conditioning)
        if hidden_size % num_heads or hidden_size % 4:
            raise ValueError(f"DiT: hidden_size {hidden_size} must divide by num_heads ({num_heads}) and by 4.")
        self.padding = 2 if image_size == 28 else 0
        self.grid = grid_size(image_size + 2 * self.padding, patch_size, "DiT")
        self.patch_size = patch_size
        self.out_channels = out_channels
        self.patch_embedding = Conv2d(in_channels, hidden_size, patch_size, stride=patch_size, rngs=rngs)
        if stored_position:
            self.stored_position = nnx.Param(jnp.asarray(sincos_positions(hidden_size, self.grid)[None], jnp.float32))
        self.stores_position = stored_position
        self.time_embedding = TimestepEmbedding(hidden_size, rngs=rngs)
        if conditioning == "film":
            joint = hidden_size if film == "joint" else 0
            self.context_projection = Linear(joint + context_dim, hidden_size, rngs=rngs)
        self.film = film
        block_context = context_dim if conditioning == "cross_attention" else None
        mlp_dim = int(hidden_size * mlp_ratio)
        self.blocks = nnx.List(
            [
                DiTBlock(hidden_size, num_heads, mlp_dim, block_context, dropout, cond_norm, rngs=rngs)
                for _ in range(depth)
            ]
        )
        self.final = FinalLayer(hidden_size, patch_size**2 * out_channels, rngs=rngs)
        self.initialize(rngs)

    def initialize(self, rngs: nnx.Rngs) -> None:
        """Xavier-uniform kernels, N(0, 0.02) in the timestep MLP, zeros for adaLN and the output (DiT, section 3.2)."""
        for path, module in nnx.iter_modules(self):
            if not isinstance(module, Linear | Conv2d):
                continue
            kernel = module.kernel[...]
            name = path[-1]
            fan_in, fan_out = kernel[..., 0].size, kernel.shape[-1]
            if name in ("to_qkv", "to_kv"):  # projections that share one Linear are drawn as if each had its own
                fan_out //= 3 if name == "to_qkv" else 2
            bound = (6.0 / (fan_in + fan_out)) ** 0.5
            values = jax.random.uniform(rngs.params(), kernel.shape, kernel.dtype, -bound, bound)
            if path[0] == "time_embedding":
                values = 0.02 * jax.random.normal(rngs.params(), kernel.shape, kernel.dtype)
            if name == "modulation" or path == ("final", "linear"):
                values = jnp.zeros_like(kernel)
            module.kernel[...] = values
            if module.bias is not None:
                module.bias[...] = jnp.zeros_like(module.bias[...])

    def __call__(
        self, x_t: Float[Array, "b C H W"], t: Int[Array, " b"], context: Float[Array, "b *L D_c"] | None = None
    ) -> Float[Array, "b C_out H W"]:
        p = self.padding
        patches = self.patch_embedding(jnp.pad(x_t, ((0, 0), (0, 0), (p, p), (p, p))))  # (b, D, h, w)
        b, width, h, w = patches.shape
        x = jnp.moveaxis(patches, 1, 3).reshape(b, h * w, width)  # (b, L, D)
        if self.stores_position:
            x = x + jax.lax.stop_gradient(self.stored_position[...])
        else:
            x = x + jnp.asarray(sincos_positions(width, self.grid), x.dtype)
        cond = self.time_embedding(t)  # (b, D)
        tokens = None
        if self.conditioning == "film" and context is not None:
            if self.film == "joint":
                cond = self.context_projection(jnp.concatenate([cond, context], axis=1))
            else:
                cond = cond + self.context_projection(context)
        elif self.conditioning == "cross_attention" and context is not None:
            tokens = as_tokens(context)
        for block in self.blocks:
            x = block(x, cond, tokens)
        images = unpatchify(self.final(x, cond), self.patch_size, self.out_channels)  # (b, C_out, H + 2p, W + 2p)
        return images[:, :, p : images.shape[2] - p, p : images.shape[3] - p]
