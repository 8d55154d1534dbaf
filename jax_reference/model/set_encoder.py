"""What every set encoder offers: a support set in, a context out."""

import jax
import jax.numpy as jnp
from flax import nnx


def leave_one_out(images: jax.Array) -> jax.Array:
    """For each image of an episode the others, in their order.

    Args:
        images: `(B, N, C, H, W)`.

    Returns:
        `(B·N, N-1, C, H, W)`; row `b·N + i` holds the images of episode b without image i.
    """
    n = images.shape[1]
    others = jnp.stack([jnp.delete(images, i, axis=1, assume_unique_indices=True) for i in range(n)], axis=1)
    return others.reshape(-1, *others.shape[2:])  # (B, N, N-1, …) → (B·N, N-1, …)


class SetEncoder(nnx.Module):
    """Encodes support sets `(b, n, C, H, W)` into vectors `(b, D_c)` or tokens `(b, L, D_c)`.

    Attributes:
        n_shot: images of a set.
        context_dim: D_c.
        gives_tokens: whether the context is tokens, for cross-attention, or a vector.
        time_conditioned: whether the context depends on the timestep; then it is computed anew at every
            sampling step.
        any_set_size: whether sets may have another size than `n_shot`.
    """

    any_set_size = False

    def __init__(self, n_shot: int, context_dim: int, gives_tokens: bool, time_conditioned: bool) -> None:
        self.n_shot = n_shot
        self.context_dim = context_dim
        self.gives_tokens = gives_tokens
        self.time_conditioned = time_conditioned

    def __call__(self, support: jax.Array, t: jax.Array | None = None) -> jax.Array:
        """`(b, n, C, H, W)`, `(b,)` → `(b, D_c)` or `(b, L, D_c)`."""
        raise NotImplementedError

    def encode_leave_one_out(self, images: jax.Array, t: jax.Array | None = None) -> jax.Array:
        """Contexts of every image from the others of its episode, in one call.

        Args:
            images: `(B, N, C, H, W)`.
            t: `(B,)`, for a time-conditioned encoder.

        Returns:
            `(B·N, D_c)` or `(B·N, L, D_c)`.
        """
        return self(leave_one_out(images), None if t is None else jnp.repeat(t, images.shape[1]))

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        """Shape of one context of a set of `n_images`: `(D_c,)` or `(L, D_c)`."""
        return (self.context_dim,)

    def check_time(self, t: jax.Array | None) -> None:
        """A time-conditioned encoder must be given timesteps in training and in sampling alike."""
        if self.time_conditioned and t is None:
            raise ValueError(f"{type(self).__name__} is time-conditioned: give the timesteps t (b,)")


def check_pool(owner: str, pool: str, known: tuple[str, ...]) -> None:
    """Raise ValueError unless `pool` is one of `known`."""
    if pool not in known:
        raise ValueError(f"{owner}: pool {pool!r} is none of {', '.join(known)}.")
