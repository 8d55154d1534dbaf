"""What every set encoder offers: a support set in, a context out."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int


def leave_one_out(images: Float[Array, "B N C H W"]) -> Float[Array, "B*N N-1 C H W"]:
    """For each image of an episode the others, in their order.

    Row `b·N + i` holds the images of episode b without image i.
    """
    n = images.shape[1]
    others = jnp.stack([jnp.delete(images, i, axis=1, assume_unique_indices=True) for i in range(n)], axis=1)
    return others.reshape(-1, *others.shape[2:])  # (B, N, N-1, …) → (B·N, N-1, …)


class SetEncoder(nnx.Module):
    """Encodes support sets into vectors or tokens: `*L` in a shape is the axis of tokens, if there is one.

    Attributes:
        n_shot: images of a set.
        context_dim: D_c.
        gives_tokens: whether the context is tokens, for cross-attention, or a vector.
        time_conditioned: whether the context depends on the timestep; then it is computed anew at every
            sampling step.
        any_set_size: whether sets may have another size than `n_shot`.
        takes_classes: whether it is given the numbers of classes, `(b,)`, instead of support sets.
        slots: images that every set is filled up to with zero images, behind its own; None where sets stay as they are.
    """

    any_set_size = False
    takes_classes = False

    def __init__(
        self, n_shot: int, context_dim: int, gives_tokens: bool, time_conditioned: bool, slots: int | None = None
    ) -> None:
        if slots is not None and slots < n_shot:
            raise ValueError(f"{type(self).__name__}: slots is {slots}, and a support set has {n_shot} images.")
        self.slots = slots
        self.n_shot = n_shot
        self.context_dim = context_dim
        self.gives_tokens = gives_tokens
        self.time_conditioned = time_conditioned

    def __call__(
        self, support: Float[Array, "b n C H W"], t: Int[Array, " b"] | None = None
    ) -> Float[Array, "b *L D_c"]:
        raise NotImplementedError

    def encode_leave_one_out(
        self, images: Float[Array, "B N C H W"], t: Int[Array, " B"] | None = None
    ) -> Float[Array, "B*N *L D_c"]:
        """Contexts of every image from the others of its episode, in one call; `t` for a time-conditioned encoder."""
        return self(leave_one_out(images), None if t is None else jnp.repeat(t, images.shape[1]))

    def takes(self, n_images: int) -> bool:
        """Whether a set may have so many images."""
        if self.slots is not None:
            return n_images <= self.slots
        return self.any_set_size or n_images == self.n_shot

    def fill_slots(self, support: Float[Array, "b n C H W"]) -> Float[Array, "b slots C H W"]:
        """A set with zero images (grey) in its empty slots.

        Raises:
            ValueError: more images than slots.
        """
        if self.slots is None:
            return support
        b, n, *shape = support.shape
        if n > self.slots:
            raise ValueError(f"{type(self).__name__} has {self.slots} slots, and a set has {n} images.")
        return jnp.concatenate([support, jnp.zeros((b, self.slots - n, *shape), support.dtype)], axis=1)

    def context_shape(self, n_images: int) -> tuple[int, ...]:
        """Shape of one context of a set of `n_images`: `(D_c,)` or `(L, D_c)`."""
        return (self.context_dim,)

    def check_time(self, t: Int[Array, " b"] | None) -> None:
        """A time-conditioned encoder must be given timesteps in training and in sampling alike."""
        if self.time_conditioned and t is None:
            raise ValueError(f"{type(self).__name__} is time-conditioned: give the timesteps t (b,)")


def check_pool(owner: str, pool: str, known: tuple[str, ...]) -> None:
    """Raise ValueError unless `pool` is one of `known`."""
    if pool not in known:
        raise ValueError(f"{owner}: pool {pool!r} is none of {', '.join(known)}.")
