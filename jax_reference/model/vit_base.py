"""What SetViT and ViT have in common: special tokens, positions, transformer, head."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jax_reference.model.embeddings import TIMESTEP_FEATURES, TimestepEmbedding, TimestepFeatures
from jax_reference.model.set_encoder import SetEncoder
from jax_reference.model.transformer import LAYER_NORM_EPS, FeedForward, transformer
from jax_reference.written_out.layers import LayerNorm, Linear, standard_normal


class ViTBase(SetEncoder):
    """CLS and TIME tokens, a learned position table, transformer blocks, and a head LayerNorm → Linear(D_c) or an MLP.

    Args:
        n_shot: images of a set.
        num_patches: L, patches that have a position of their own.
        context_dim: D_c.
        hidden_size: D, width of the tokens.
        depth: transformer blocks.
        mlp_dim: width inside a block's MLP.
        attention: makes one block's attention.
        gives_tokens: whether the context is tokens.
        time_conditioned: feed Linear(timestep features) as the TIME token; zeros otherwise.
        dropout: in the MLPs, after the nonlinearity.
        time_embedding_dim: E of a timestep embedding from E/4 features, in place of the features; None without.
        mlp_head_dim: width inside the head's MLP; None for one Linear.
        slots: images that a set is filled up to; None where it stays as it is.
    """

    def __init__(
        self,
        n_shot: int,
        num_patches: int,
        context_dim: int,
        hidden_size: int,
        depth: int,
        mlp_dim: int,
        attention: Callable[[], nnx.Module],
        gives_tokens: bool,
        time_conditioned: bool,
        dropout: float,
        time_embedding_dim: int | None = None,
        mlp_head_dim: int | None = None,
        slots: int | None = None,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(n_shot, context_dim, gives_tokens, time_conditioned, slots)
        self.num_patches = num_patches
        self.cls_token = nnx.Param(standard_normal(rngs.params(), (1, 1, hidden_size)))
        self.position = nnx.Param(standard_normal(rngs.params(), (1, 2 + num_patches, hidden_size)))
        if time_conditioned:
            width = time_embedding_dim or TIMESTEP_FEATURES
            if time_embedding_dim is None:
                self.time_features = TimestepFeatures()
            else:
                self.time_embedding = TimestepEmbedding(width, width // 4, rngs=rngs)
            self.time_token = Linear(width, hidden_size, rngs=rngs)
        self.embeds_time = time_embedding_dim is not None
        self.blocks = transformer(depth, hidden_size, attention, mlp_dim, dropout, rngs=rngs)
        self.head_norm = LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        if mlp_head_dim is None:
            self.head: nnx.Module = Linear(hidden_size, context_dim, rngs=rngs)
        else:
            self.head = FeedForward(hidden_size, mlp_head_dim, dropout, context_dim, rngs=rngs)

    def special_tokens(self, b: int, t: Int[Array, " b"] | None) -> Float[Array, "{b} 2 D"]:
        """CLS and TIME with their positions added."""
        self.check_time(t)
        cls = jnp.broadcast_to(self.cls_token[...], (b, 1, self.cls_token.shape[2]))
        if self.time_conditioned and t is not None:
            features = self.time_embedding(t) if self.embeds_time else self.time_features(t, like=cls)
            time = self.time_token(features)[:, None]  # (b, 1, D)
        else:
            time = jnp.zeros_like(cls)
        return jnp.concatenate([cls, time], axis=1) + self.position[...][:, :2]

    def _run_blocks(self, tokens: Float[Array, "b L D"]) -> Float[Array, "b L D"]:
        """All transformer blocks."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def project(self, pooled: Float[Array, "*shape D"]) -> Float[Array, "*shape D_c"]:
        """The head."""
        return self.head(self.head_norm(pooled))
