"""Parameter groups: the encoder's side and the denoiser's side of the network."""

from typing import Any

from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser


def parameter_groups(
    model: FewShotDenoiser, encoder_lr: float | None, denoiser_lr: float | None
) -> list[dict[str, Any]]:
    """Groups for an optimiser: `encoder` (with all contexts, where there are any) and `denoiser`.

    A group without a rate of its own takes the optimiser's. What is not trained is in none.
    """
    of_denoiser = {id(p) for p in model.denoiser.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    encoder = [p for p in trained if id(p) not in of_denoiser]
    denoiser = [p for p in trained if id(p) in of_denoiser]
    groups = []
    for name, parameters, lr in (("encoder", encoder, encoder_lr), ("denoiser", denoiser, denoiser_lr)):
        if parameters:
            groups.append({"params": parameters, "name": name} | ({} if lr is None else {"lr": lr}))
    return groups
