"""Parameter groups: the encoder's side and the denoiser's side of the network."""

from typing import Any

import jax

ENDS = ("conv_in", "conv_out", "patch_embedding", "patch_embed", "time_embedding", "time_token", "final")
"""Modules whose matrices see images, times or outputs: Muon leaves them to AdamW (Jordan 2024)."""


def parameter_groups(model: Any, encoder_lr: float | None, denoiser_lr: float | None) -> list[dict[str, Any]]:
    """Groups for an optimiser: `encoder` (with all contexts, where there are any) and `denoiser`.

    A group without a rate of its own takes the optimiser's. `part` says whose a group is; `name` is another for each.

    Args:
        model: a FewShotDenoiser's parameters; a group names the paths of its own.
    """
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(model)]
    groups = []
    for part, lr in (("encoder", encoder_lr), ("denoiser", denoiser_lr)):
        parameters = [path for path in paths if (path[0].key == "denoiser") == (part == "denoiser")]
        if parameters:
            groups.append({"params": parameters, "part": part, "name": part} | ({} if lr is None else {"lr": lr}))
    return groups


def matrix_groups(model: Any, encoder_lr: float | None, denoiser_lr: float | None) -> list[dict[str, Any]]:
    """The same groups, each divided into its hidden matrices, which `use_muon`, and the rest.

    A hidden matrix is the weight of a linear layer or a convolution that is not of the `ENDS`. Tables of vectors are
    none.
    """
    hidden = {path for path, array in jax.tree_util.tree_leaves_with_path(model) if _is_hidden(path, array.ndim)}
    groups = []
    for group in parameter_groups(model, encoder_lr, denoiser_lr):
        for use_muon in (True, False):
            chosen = [path for path in group["params"] if (path in hidden) is use_muon]
            if chosen:
                name = f"{group['name']} matrices" if use_muon else group["name"]
                groups.append({**group, "params": chosen, "name": name, "use_muon": use_muon})
    return groups


def _is_hidden(path: Any, ndim: int) -> bool:
    keys = [entry.key for entry in path]
    return keys[-1] == "kernel" and ndim in (2, 4) and not set(keys) & set(ENDS)
