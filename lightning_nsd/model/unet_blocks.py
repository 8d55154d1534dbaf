"""Building blocks of the guided-diffusion UNet (Dhariwal & Nichol 2021, arXiv 2105.05233)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.model.attention import CrossAttention, SelfAttention

GROUP_NORM_EPS = 1e-5


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with 32 groups, or the largest divisor of the channels up to 32."""
    groups = max(g for g in range(1, 33) if channels % g == 0)
    return nn.GroupNorm(groups, channels, eps=GROUP_NORM_EPS)


def zeroed(module: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The module with its parameters set to zero, so that a block starts as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def check_heads(owner: str, channels: int, num_heads: int) -> None:
    """Raise UserError unless attention's channels divide into heads."""
    if channels % num_heads:
        raise UserError(f"{owner}: {channels} channels do not divide into {num_heads} heads (num_heads).")


class ResBlock(nn.Module):
    """GroupNorm → SiLU → conv, (scale, shift) of the second GroupNorm from the embedding, → SiLU → dropout → conv.

    Without an embedding (`cond_dim` None) the second GroupNorm is plain.
    """

    def __init__(self, in_channels: int, out_channels: int, cond_dim: int | None, dropout: float) -> None:
        super().__init__()
        self.act = nn.SiLU()
        self.norm_1 = group_norm(in_channels)
        self.conv_1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        if cond_dim is not None:
            self.modulation = nn.Linear(cond_dim, 2 * out_channels)
        self.norm_2 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        self.has_cond = cond_dim is not None

    def forward(
        self, x: Float[Tensor, "b C_in H W"], cond: Float[Tensor, "b D"] | None = None
    ) -> Float[Tensor, "b C_out H W"]:
        h = self.norm_2(self.conv_1(self.act(self.norm_1(x))))  # (b, C_out, H, W)
        if self.has_cond:
            scale, shift = self.modulation(self.act(cond))[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.skip(x) + self.conv_2(self.dropout(self.act(h)))


class AttentionBlock(nn.Module):
    """GroupNorm → self-attention over the pixels, added to the input; its output projection starts at zero."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        check_heads("AttentionBlock", channels, num_heads)
        self.norm = group_norm(channels)
        self.attention = SelfAttention(channels, num_heads, channels // num_heads, qkv_bias=True)
        zeroed(self.attention.to_out)

    def forward(
        self, x: Float[Tensor, "b C H W"], context: Float[Tensor, "b M D_c"] | None = None
    ) -> Float[Tensor, "b C H W"]:
        """The context is not looked at."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (b, H·W, C)
        return x + self.attention(tokens).transpose(1, 2).unflatten(2, x.shape[2:])


class GatedMLP(nn.Module):
    """Linear → split in two → a · GELU(b) → Linear (Shazeer 2020, arXiv 2002.05202, GEGLU)."""

    def __init__(self, channels: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, 2 * mlp_ratio * channels)
        self.linear_2 = nn.Linear(mlp_ratio * channels, channels)

    def forward(self, x: Float[Tensor, "b L C"]) -> Float[Tensor, "b L C"]:
        value, gate = self.linear_1(x).chunk(2, dim=-1)
        return self.linear_2(value * F.gelu(gate, approximate="tanh"))


class SpatialTransformer(nn.Module):
    """Self-attention, cross-attention to the context's tokens and a gated MLP, added to the input.

    Rombach et al. 2022, arXiv 2112.10752, appendix E.2.1.
    """

    def __init__(self, channels: int, context_dim: int, num_heads: int) -> None:
        super().__init__()
        check_heads("SpatialTransformer", channels, num_heads)
        head_dim = channels // num_heads
        self.norm = group_norm(channels)
        self.proj_in = nn.Linear(channels, channels)
        self.norm_1 = nn.LayerNorm(channels, eps=GROUP_NORM_EPS)
        self.attention = SelfAttention(channels, num_heads, head_dim, qkv_bias=False)
        self.norm_2 = nn.LayerNorm(channels, eps=GROUP_NORM_EPS)
        self.cross_attention = CrossAttention(channels, context_dim, num_heads, head_dim, qkv_bias=False)
        self.norm_3 = nn.LayerNorm(channels, eps=GROUP_NORM_EPS)
        self.mlp = GatedMLP(channels)
        self.proj_out = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Float[Tensor, "b C H W"], context: Float[Tensor, "b M D_c"]) -> Float[Tensor, "b C H W"]:
        h = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))  # (b, H·W, C)
        h = h + self.attention(self.norm_1(h))
        h = h + self.cross_attention(self.norm_2(h), context)
        h = h + self.mlp(self.norm_3(h))
        return x + self.proj_out(h).transpose(1, 2).unflatten(2, x.shape[2:])


class Downsample(nn.Module):
    """Half the height and width by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Float[Tensor, "b C H W"]) -> Float[Tensor, "b C H//2 W//2"]:
        return self.conv(x)


class Upsample(nn.Module):
    """Twice the height and width by repeating pixels, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b C H W"]) -> Float[Tensor, "b C 2*H 2*W"]:
        b, c, h, w = x.shape
        # Not `interpolate`, which runs on the host under XLA.
        repeated = x[:, :, :, None, :, None].expand(b, c, h, 2, w, 2).reshape(b, c, 2 * h, 2 * w)
        return self.conv(repeated)


def check_levels(owner: str, image_size: int, num_levels: int) -> None:
    """Raise UserError unless there is a level, and the image can be halved once for every one after the first."""
    if not num_levels:
        raise UserError(f"{owner}: channel_multipliers is empty; it holds one number for each level.")
    factor = 2 ** (num_levels - 1)
    if image_size % factor:
        raise UserError(
            f"{owner}: an image of {image_size} × {image_size} pixels cannot be halved {num_levels - 1} times "
            f"(channel_multipliers has {num_levels} levels). Use fewer levels or a multiple of {factor} pixels."
        )
