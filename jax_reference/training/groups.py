"""Parameter groups: the encoder's side and the denoiser's side of the network."""

from typing import Any

import jax


def parameter_groups(model: Any, encoder_lr: float | None, denoiser_lr: float | None) -> list[dict[str, Any]]:
    """Groups for an optimiser: `encoder` (with all contexts, where there are any) and `denoiser`.

    A group without a rate of its own takes the optimiser's.

    Args:
        model: a FewShotDenoiser's parameters; a group names the paths of its own.
    """
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(model)]
    groups = []
    for name, lr in (("encoder", encoder_lr), ("denoiser", denoiser_lr)):
        parameters = [path for path in paths if (path[0].key == "denoiser") == (name == "denoiser")]
        if parameters:
            groups.append({"params": parameters, "name": name} | ({} if lr is None else {"lr": lr}))
    return groups
