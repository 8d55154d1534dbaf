"""The autoencoder of latent diffusion as the library diffusers keeps it."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.files.file_hash import hash_of, hash_of_text
from lightning_nsd.latents.autoencoder import Autoencoder
from lightning_nsd.messages import first_line

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"


class DiffusersAutoencoder(Autoencoder):
    """diffusers' AutoencoderKL (Rombach et al. 2022, arXiv 2112.10752), frozen.

    Its configuration and weights are two files, `config.json` and `diffusion_pytorch_model.safetensors`. Latents are
    (z − shift_factor) · scaling_factor of the configuration, which brings them to about unit variance. The network is
    built at its first use.

    Args:
        path: folder of the two files, or the name of a repository of the hub, such as `stabilityai/sd-vae-ft-mse`,
            which is downloaded once.
        subfolder: where in the repository, or in the folder, they are; such as `vae`.
        hash: of weights and configuration that are expected; any where None.

    Raises:
        UserError: files that are missing, damaged, of another kind or of another hash, or no diffusers to read them.
    """

    def __init__(self, path: str, subfolder: str = "", hash: str | None = None) -> None:
        self.path = path
        self.subfolder = subfolder
        self._config_file, self._weights_file = self._files()
        self._config = self._read_config()
        self.image_channels = self._number("in_channels")
        self.latent_channels = self._number("latent_channels")
        self.factor = 2 ** (len(self._config["block_out_channels"]) - 1)
        # what begins with _ says where the configuration is from
        own = {name: value for name, value in self._config.items() if not name.startswith("_")}
        self.hash = hash_of_text(f"{json.dumps(own, sort_keys=True)}\0{hash_of(self._weights_file)}")
        self.check_hash(hash, f"The autoencoder in {path}")

    def encode(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b 2 C_z h w"]:
        """See `Autoencoder.encode`. It computes in float32, whatever the images are and whatever autocast says."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            posterior = self._on(images.device).encode(images.float()).latent_dist
        shift, scale = self._shift_and_scale
        return torch.stack([(posterior.mean - shift) * scale, posterior.std * scale], dim=1).to(images.dtype)

    def decode(self, latents: Float[Tensor, "b C_z h w"]) -> Float[Tensor, "b C H W"]:
        """See `Autoencoder.decode`, and `encode` for the precision."""
        shift, scale = self._shift_and_scale
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            return self._on(latents.device).decode(latents.float() / scale + shift).sample.to(latents.dtype)

    # ---- files ----

    def _files(self) -> tuple[Path, Path]:
        """Configuration and weights, from a folder or from the hub."""
        folder = Path(self.path).expanduser() / self.subfolder
        if folder.is_dir():
            for name in (CONFIG, WEIGHTS):
                if not (folder / name).is_file():
                    raise UserError(
                        f"model.autoencoder: there is no {name} in {folder}. AutoencoderKL.save_pretrained writes it."
                    )
            return folder / CONFIG, folder / WEIGHTS
        if self.path.count("/") != 1 or self.path.startswith((".", "/", "~")):
            raise UserError(
                f"model.autoencoder: there is no folder {folder}. Name the place where it is; for a checkpoint, with "
                "--autoencoder or, in Python, autoencoder=."
            )
        try:
            from huggingface_hub import hf_hub_download

            found = [hf_hub_download(self.path, name, subfolder=self.subfolder or None) for name in (CONFIG, WEIGHTS)]
        except Exception as error:  # no library, no network, no such repository
            raise UserError(
                f"model.autoencoder: {self.path} is no folder here, and could not be had from the hub "
                f"({type(error).__name__}: {first_line(error)})."
            ) from error
        return Path(found[0]), Path(found[1])

    def _read_config(self) -> Mapping[str, Any]:
        try:
            config = json.loads(self._config_file.read_text(encoding="utf-8"))
            kind = config["_class_name"]
            ok = isinstance(config["block_out_channels"], list) and 0 < len(config["block_out_channels"]) < 10
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self._config_file} is no configuration of an autoencoder: {first_line(error)}."
            ) from error
        if kind != "AutoencoderKL" or not ok:
            raise UserError(f"{self._config_file} is of {str(kind)[:100]}; AutoencoderKL is known.")
        return config

    def _number(self, key: str) -> int:
        value = self._config.get(key)
        if not isinstance(value, int) or not 0 < value < 1000:
            raise UserError(f"{self._config_file}: {key} is {str(value)[:100]}.")
        return value

    @cached_property
    def _shift_and_scale(self) -> tuple[float, float]:
        shift, scale = self._config.get("shift_factor") or 0.0, self._config.get("scaling_factor", 1.0)
        if not all(isinstance(value, int | float) for value in (shift, scale)) or scale <= 0:
            raise UserError(f"{self._config_file}: scaling_factor is {scale} and shift_factor {shift}.")
        return float(shift), float(scale)

    # ---- the network ----

    @cached_property
    def _network(self) -> nn.Module:
        try:
            from diffusers import AutoencoderKL
        except ImportError as error:
            raise UserError(
                "model.autoencoder needs the library diffusers: pip install 'lightning-nsd[latents]'."
            ) from error
        try:
            network = AutoencoderKL.from_pretrained(
                self._weights_file.parent, use_safetensors=True, low_cpu_mem_usage=False
            )
        except Exception as error:  # whatever is wrong with the weights
            raise UserError(f"{self._weights_file} cannot be read as an AutoencoderKL: {first_line(error)}") from error
        return network.float().eval().requires_grad_(False)

    def _on(self, device: torch.device) -> Any:
        return self._network.to(device)
