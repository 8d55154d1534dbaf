"""Parameter groups: the encoder's side and the denoiser's side of the network."""

from typing import Any

import jax


def parameter_groups(params: Any) -> Any:
    """`encoder` (with context and null context) or `denoiser` for every leaf of a FewShotDenoiser's parameters."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "denoiser" if path[0].key == "denoiser" else "encoder",
        params,
    )
