"""The diffusion transformer (Peebles & Xie 2023, arXiv 2212.09748) with a context."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.model.attention import CrossAttention, SelfAttention
from lightning_nsd.model.context import as_tokens
from lightning_nsd.model.denoiser import Conditioning, Denoiser
from lightning_nsd.model.embeddings import TimestepEmbedding, sincos_positions
from lightning_nsd.model.patches import grid_size, unpatchify
from lightning_nsd.model.transformer import LAYER_NORM_EPS, FeedForward
from lightning_nsd.settings.numbers import Channels, Depth, Heads, Pixels, Probability, Ratio, Width, bounded
from lightning_nsd.tables.constant import Constant


def modulate(
    x: Float[Tensor, "b L D"], shift: Float[Tensor, "b D"], scale: Float[Tensor, "b D"]
) -> Float[Tensor, "b L D"]:
    """`x (1 + scale) + shift`."""
    return x * (1 + scale[:, None]) + shift[:, None]


class DiTBlock(nn.Module):
    """adaLN-Zero block, with cross-attention between attention and MLP where there are context tokens."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        mlp_dim: int,
        context_dim: int | None,
        dropout: float,
        cond_norm: bool = False,
    ) -> None:
        super().__init__()
        head_dim = hidden_size // num_heads
        self.norm_1 = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.attention = SelfAttention(hidden_size, num_heads, head_dim, qkv_bias=True)
        if context_dim is not None:
            self.norm_context = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS, elementwise_affine=False)
            self.context_projection = nn.Linear(context_dim, hidden_size)
            self.cross_attention = CrossAttention(hidden_size, hidden_size, num_heads, head_dim, qkv_bias=True)
        self.norm_2 = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.mlp = FeedForward(hidden_size, mlp_dim, dropout)
        self.act = nn.SiLU()
        if cond_norm:
            self.cond_norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS, bias=False)
        self.normalises_cond = cond_norm
        self.modulation = nn.Linear(hidden_size, 6 * hidden_size)
        self.has_context = context_dim is not None

    def forward(
        self, x: Float[Tensor, "b L D"], cond: Float[Tensor, "b D"], context: Float[Tensor, "b M D_c"] | None
    ) -> Float[Tensor, "b L D"]:
        cond = self.cond_norm(cond) if self.normalises_cond else cond
        modulation = self.modulation(self.act(cond)).chunk(6, dim=-1)  # 6 × (b, D)
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = modulation
        x = x + gate_1[:, None] * self.attention(modulate(self.norm_1(x), shift_1, scale_1))
        if self.has_context:
            x = x + self.cross_attention(self.norm_context(x), self.context_projection(context))
        return x + gate_2[:, None] * self.mlp(modulate(self.norm_2(x), shift_2, scale_2))


class FinalLayer(nn.Module):
    """adaLN with (shift, scale), then Linear to a patch's values."""

    def __init__(self, hidden_size: int, patch_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.act = nn.SiLU()
        self.modulation = nn.Linear(hidden_size, 2 * hidden_size)
        self.linear = nn.Linear(hidden_size, patch_dim)

    def forward(self, x: Float[Tensor, "b L D"], cond: Float[Tensor, "b D"]) -> Float[Tensor, "b L patch_dim"]:
        shift, scale = self.modulation(self.act(cond)).chunk(2, dim=-1)
        return self.linear(modulate(self.norm(x), shift, scale))


@bounded("model.denoiser")
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

    Raises:
        UserError: an image that does not divide into patches, or a width that does not divide into heads.
    """

    def __init__(
        self,
        image_size: Pixels,
        in_channels: Channels,
        out_channels: Channels,
        context_dim: int,
        conditioning: Conditioning = "film",
        patch_size: Pixels = 2,
        hidden_size: Width = 448,
        depth: Depth = 6,
        num_heads: Heads = 8,
        mlp_ratio: Ratio = 4.0,
        dropout: Probability = 0.0,
        film: Literal["sum", "joint"] = "sum",
        cond_norm: bool = False,
        stored_position: bool = False,
    ) -> None:
        super().__init__(conditioning)
        if hidden_size % num_heads or hidden_size % 4:
            raise UserError(
                f"DiT: hidden_size {hidden_size} must be divisible by num_heads ({num_heads}) and by 4 (positions)."
            )
        self.padding = 2 if image_size == 28 else 0
        grid = grid_size(image_size + 2 * self.padding, patch_size, "DiT")
        self.patch_size = patch_size
        self.out_channels = out_channels
        self.patch_embedding = nn.Conv2d(in_channels, hidden_size, patch_size, stride=patch_size)
        self.position = Constant(sincos_positions(hidden_size, grid))
        if stored_position:
            table = torch.from_numpy(self.position.values).float()[None]  # (1, L, D)
            self.stored_position = nn.Parameter(table, requires_grad=False)
        self.stores_position = stored_position
        self.time_embedding = TimestepEmbedding(hidden_size)
        if conditioning == "film":
            joint = hidden_size if film == "joint" else 0
            self.context_projection = nn.Linear(joint + context_dim, hidden_size)
        self.film = film
        block_context = context_dim if conditioning == "cross_attention" else None
        mlp_dim = int(hidden_size * mlp_ratio)
        self.blocks = nn.ModuleList(
            DiTBlock(hidden_size, num_heads, mlp_dim, block_context, dropout, cond_norm) for _ in range(depth)
        )
        self.final = FinalLayer(hidden_size, patch_size**2 * out_channels)
        self.initialize()

    def initialize(self) -> None:
        """Xavier-uniform kernels, N(0, 0.02) in the timestep MLP, zeros for adaLN and the output (DiT, section 3.2)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                # Projections that share one Linear are drawn as if each had its own.
                shared = 3 if name.endswith("to_qkv") else 2 if name.endswith("to_kv") else 1
                for weight in module.weight.flatten(1).chunk(shared):
                    nn.init.xavier_uniform_(weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for linear in (self.time_embedding.linear_1, self.time_embedding.linear_2):
            nn.init.normal_(linear.weight, std=0.02)
        zeroed = ("modulation", "final.linear")
        for name, module in self.named_modules():
            if name.endswith(zeroed):
                nn.init.zeros_(module.weight)

    def forward(
        self, x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"], context: Float[Tensor, "b *L D_c"] | None = None
    ) -> Float[Tensor, "b C_out H W"]:
        p = self.padding
        patches = self.patch_embedding(F.pad(x_t, (p, p, p, p)) if p else x_t)  # (b, D, h, w)
        x = patches.flatten(2).transpose(1, 2)  # (b, L, D)
        x = x + (self.stored_position if self.stores_position else self.position.like(x))
        cond = self.time_embedding(t)  # (b, D)
        tokens = None
        if self.conditioning == "film":
            if self.film == "joint":
                cond = self.context_projection(torch.cat([cond, context], dim=1))  # type: ignore[list-item]
            else:
                cond = cond + self.context_projection(context)
        elif self.conditioning == "cross_attention":
            tokens = as_tokens(context)  # type: ignore[arg-type]
        for block in self.blocks:
            x = block(x, cond, tokens)
        images = unpatchify(self.final(x, cond), self.patch_size, self.out_channels)  # (b, C_out, H, W)
        return images[:, :, p : images.shape[2] - p, p : images.shape[3] - p] if p else images
