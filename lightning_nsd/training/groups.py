"""Parameter groups: the encoder's side and the denoiser's side of the network."""

from typing import Any

from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser

ENDS = ("conv_in", "conv_out", "patch_embedding", "patch_embed", "time_embedding", "time_token", "final")
"""Modules whose matrices see images, times or outputs: Muon leaves them to AdamW (Jordan 2024)."""


def parameter_groups(
    model: FewShotDenoiser, encoder_lr: float | None, denoiser_lr: float | None
) -> list[dict[str, Any]]:
    """Groups for an optimiser: `encoder` (with all contexts, where there are any) and `denoiser`.

    A group without a rate of its own takes the optimiser's. What is not trained is in none. `part` says whose a group
    is; `name` is another for each.
    """
    of_denoiser = {id(p) for p in model.denoiser.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    encoder = [p for p in trained if id(p) not in of_denoiser]
    denoiser = [p for p in trained if id(p) in of_denoiser]
    groups = []
    for part, parameters, lr in (("encoder", encoder, encoder_lr), ("denoiser", denoiser, denoiser_lr)):
        if parameters:
            groups.append({"params": parameters, "part": part, "name": part} | ({} if lr is None else {"lr": lr}))
    return groups


def matrix_groups(model: FewShotDenoiser, encoder_lr: float | None, denoiser_lr: float | None) -> list[dict[str, Any]]:
    """The same groups, each divided into its hidden matrices, which `use_muon`, and the rest.

    A hidden matrix is the weight of a linear layer or a convolution that is not of the `ENDS`. Tables of vectors are
    none.
    """
    hidden = {id(p) for name, p in model.named_parameters() if _is_hidden(name.split("."), p.ndim)}
    groups = []
    for group in parameter_groups(model, encoder_lr, denoiser_lr):
        for use_muon in (True, False):
            chosen = [p for p in group["params"] if (id(p) in hidden) is use_muon]
            if chosen:
                name = f"{group['name']} matrices" if use_muon else group["name"]
                groups.append({**group, "params": chosen, "name": name, "use_muon": use_muon})
    return groups


def _is_hidden(path: list[str], ndim: int) -> bool:
    return path[-1] == "weight" and ndim in (2, 4) and not set(path) & set(ENDS)
