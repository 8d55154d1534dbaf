"""How a few-shot diffusion model draws: from support sets to images, with the weights that evaluation uses."""

from collections.abc import Callable, Iterator

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.latents.latent_space import LatentSpace
from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser
from lightning_nsd.sampling import sample_images, sample_steps


class Drawing(LightningModule):
    """The part of a LightningModule that draws; another part makes and trains what it draws with.

    Attributes:
        model: the network that is trained.
        ema: its moving average, or None.
        diffusion: the process, and what the network predicts.
        sampler: how images are drawn where nothing else is said.
        space: where the model draws, and what its encoder sees.
        n_shot: images of a support set.
    """

    model: FewShotDenoiser
    ema: FewShotDenoiser | None
    diffusion: GaussianDiffusion
    sampler: Sampler
    space: LatentSpace
    n_shot: int

    @property
    def evaluation_model(self) -> FewShotDenoiser:
        """The network that evaluation and sampling use: the moving average, or the only one there is."""
        return self.model if self.ema is None else self.ema

    @property
    def takes_any_set_size(self) -> bool:
        """Whether support sets may have another size than in training: the encoder's own, or there is none."""
        return self.model.encoder is None or self.model.encoder.any_set_size

    def use_set_size(self, n_shot: int) -> None:
        """Draw from support sets of another size than in training.

        Raises:
            UserError: the encoder takes sets of one size alone.
        """
        encoder = self.model.encoder
        if encoder is not None and not encoder.takes(n_shot):
            raise UserError(
                f"{type(encoder).__name__} was trained for {encoder.slots or self.n_shot} images a set, and {n_shot} "
                "are asked for: the number is part of its weights. A UNetEncoder, or a ViT without slots, takes any."
            )
        self.n_shot = n_shot

    def sample(
        self,
        support: Tensor,
        num: int,
        generator: torch.Generator | None = None,
        sampler: Sampler | None = None,
        on_step: Callable[[], object] | None = None,
    ) -> Tensor:
        """Draw images of the classes of some support sets, with the EMA weights.

        Args:
            support: `(B, n_shot, C, H, W)` in [-1, 1]; for a ClassEmbedding numbers of training's classes, `(B,)`.
            num: images for each support set.
            generator: where all noise comes from.
            sampler: instead of the model's own.
            on_step: called after every step of the sampler.

        Returns:
            `(B, num, C, H, W)` in [-1, 1].

        Raises:
            UserError: weights of 16 bits, in whose type the schedule's tables and the times are too coarse; or a class
                that training did not see.
        """
        network, chosen, shown = self._drawing(support, sampler)
        return sample_images(network, self.diffusion, chosen, shown, num, generator, on_step, self.space.decode)

    def sample_steps(
        self,
        support: Tensor,
        num: int,
        generator: torch.Generator | None = None,
        sampler: Sampler | None = None,
        every: int = 1,
    ) -> Iterator[Tensor | None]:
        """The same, step by step, for those who watch: the last are the bits that `sample` returns.

        Args:
            support: see `sample`.
            num: images for each support set.
            generator: where all noise comes from.
            sampler: instead of the model's own.
            every: after how many steps the images so far are given; None stands for those of the others.

        Yields:
            `(B, num, C, H, W)` in [-1, 1] or None, once for every step of the sampler.

        Raises:
            UserError: see `sample`.
        """
        network, chosen, shown = self._drawing(support, sampler)
        return sample_steps(network, self.diffusion, chosen, shown, num, generator, self.space.decode, every)

    def _drawing(self, support: Tensor, sampler: Sampler | None) -> tuple[FewShotDenoiser, Sampler, Tensor]:
        """The network that draws, the sampler in its space, and what its encoder sees."""
        network = self.evaluation_model
        shown = support if network.takes_classes else self.space.shown(support)
        return network, self.space.sampler(sampler or self.sampler), shown
