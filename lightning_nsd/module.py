"""The LightningModule: wires data, network, diffusion, optimiser and EMA, and computes nothing itself."""

import copy
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW, Optimizer

from lightning_nsd.batch_loss import batch_loss
from lightning_nsd.checkpoints.contents import check_weights, model_settings
from lightning_nsd.checkpoints.resume import ResumableLR, keep_settings
from lightning_nsd.checkpoints.same_model import check_same
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS, describe, describe_factory
from lightning_nsd.checkpoints.training_state import goes_on
from lightning_nsd.data.episodes import EpisodeBatch
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM, Sampler
from lightning_nsd.drawing import Drawing
from lightning_nsd.errors import UserError
from lightning_nsd.frozen_encoder import Backbone
from lightning_nsd.latents.autoencoder import Autoencoder
from lightning_nsd.latents.latent_space import EncoderInput, LatentSpace, check_backbone, check_latents
from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.model.context import DeterministicContext
from lightning_nsd.model.few_shot_denoiser import (
    ContextFactory,
    DenoiserFactory,
    EncoderFactory,
    FewShotDenoiser,
    SpatialContextFactory,
)
from lightning_nsd.model.guidance import check_guidance
from lightning_nsd.optimizer import make_optimizer, optimizer_groups
from lightning_nsd.processes.sharding import shard
from lightning_nsd.random_source import NumPySource, RandomSource, TorchSource
from lightning_nsd.rng import Stream, device_generator, mix
from lightning_nsd.settings.memory import check_memory
from lightning_nsd.settings.numbers import (
    Channels,
    Fraction,
    Pixels,
    Probability,
    Rate,
    Seed,
    Shots,
    Steps,
    Weight,
    bounded,
)
from lightning_nsd.settings.trainer import check_precision
from lightning_nsd.training.draws import Draws, TimestepSampling
from lightning_nsd.training.ema import ema_decay_at, update_ema
from lightning_nsd.training.episode_loss import batch_means, episode_loss
from lightning_nsd.training.lr_schedule import LRSchedule

CompileMode = Literal["reduce-overhead", "max-autotune"]
"""Of torch.compile, beside its default."""


@bounded("model")
class FewShotDiffusion(Drawing):
    """A few-shot diffusion model and how it is trained.

    Args:
        image_size: pixels along a side; the data decides it.
        channels: of an image; the data decides it.
        n_shot: images of a support set; the data decides it.
        denoiser: DiT or UNet, made from (image_size, in_channels, out_channels, context_dim).
        encoder: SetViT, ViT, UNetEncoder or FeatureEncoder, made from (image_size, channels, n_shot); null for the
            unconditional baseline, ClassEmbedding for the class-conditional one.
        context: DeterministicContext, VariationalContext or DiscreteContext, made from context_dim.
        spatial_context: SpatialContext, made from channels: maps of an image's size, concatenated with x_t; null for
            none.
        diffusion: the process, and what the network predicts.
        sampler: how images are drawn in evaluation; DDIM in 50 steps where None.
        context_dropout: probability that a query sees the learned null context in training, for guidance.
        kl_weight: weight of the KL of a variational or discrete context.
        optimizer: made from parameter groups.
        encoder_lr: rate of the encoder and the contexts; the optimiser's where None.
        denoiser_lr: rate of the denoiser; the optimiser's where None.
        lr_schedule: warm-up and annealing of all rates.
        freeze_encoder_steps: optimiser steps before the encoder is trained.
        freeze_denoiser_steps: optimiser steps before the denoiser is trained.
        ema_decay: of the moving average that evaluation uses.
        ema_warmup: let the average follow faster in the first steps.
        compile: compile the network with torch.compile for training; by its mode where that is named. On a GPU
            reduce-overhead records CUDA graphs.
        parity: draw timesteps and noise from NumPy's Philox on the host, as the JAX reference does.
        seed: key of all noise and timesteps, together with the number of the batch.
        eval_seed: the same of evaluation; the data decides it.
        leave_one_out: leave a query out of its own context in training. Without, the loss is that of a model that is
            shown what it shall denoise, and low for that.
        autoencoder: the model draws its latents instead of images; frozen, and no part of the weights. A checkpoint
            names it, with a hash.
        encoder_input: what the set encoder sees where there is an autoencoder.
        backbone: the set encoder sees its features instead of images or latents; as an autoencoder it is frozen, and
            no part of the weights.
        timestep_sampling: of training's timesteps; logit_normal draws the middle ones more often. In evaluation they
            are uniform.

    Raises:
        UserError: parts that do not fit together.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots,
        denoiser: DenoiserFactory,
        encoder: EncoderFactory | None = None,
        context: ContextFactory = DeterministicContext,
        diffusion: GaussianDiffusion = GaussianDiffusion(),  # noqa: B008 (frozen)
        sampler: Sampler | None = None,
        context_dropout: Probability = 0.0,
        kl_weight: Weight = 1.0,
        optimizer: OptimizerCallable = AdamW,
        encoder_lr: Rate | None = None,
        denoiser_lr: Rate | None = None,
        lr_schedule: LRSchedule = LRSchedule(),  # noqa: B008 (frozen)
        freeze_encoder_steps: Steps = 0,
        freeze_denoiser_steps: Steps = 0,
        ema_decay: Fraction = 0.9999,
        ema_warmup: bool = False,
        compile: bool | CompileMode = False,
        parity: bool = False,
        seed: Seed = 0,
        eval_seed: Seed = 0,
        spatial_context: SpatialContextFactory | None = None,
        leave_one_out: bool = True,
        autoencoder: Autoencoder | None = None,
        encoder_input: EncoderInput = "latents",
        backbone: Backbone | None = None,
        timestep_sampling: TimestepSampling = "uniform",
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.n_shot = n_shot
        self.diffusion = diffusion
        self.sampler = sampler or DDIM(min(50, diffusion.num_steps))
        self.sampler.chain(diffusion)  # impossible steps are an error at once
        has_null_context = context_dropout > 0 and encoder is not None
        check_guidance(self.sampler.guidance, has_null_context, "model.sampler.guidance")
        self.context_dropout = context_dropout
        self.kl_weight = kl_weight
        self.optimizer = optimizer
        self.encoder_lr = encoder_lr
        self.denoiser_lr = denoiser_lr
        self.lr_schedule = lr_schedule
        self.freeze_steps = {"encoder": freeze_encoder_steps, "denoiser": freeze_denoiser_steps}
        self.ema_decay = ema_decay
        self.ema_warmup = ema_warmup
        self.compiled = compile
        self.parity = parity
        self.seed = seed
        self.eval_seed = eval_seed
        self.timestep_sampling = timestep_sampling
        self.space = LatentSpace(autoencoder, encoder_input, image_size, channels, backbone)
        self.sampler.check_image_size(self.space.size)
        if autoencoder is not None:
            check_latents(diffusion, encoder_input, spatial_context)
        if backbone is not None:
            check_backbone(encoder, spatial_context)
        seeing = self.space.fitted(encoder) if encoder else None
        out_channels = diffusion.out_channels(self.space.channels)

        def make() -> FewShotDenoiser:
            parts = (seeing, context, denoiser, context_dropout, spatial_context, leave_one_out)
            return FewShotDenoiser(self.space.size, self.space.channels, out_channels, n_shot, *parts)

        check_memory(make)
        if not leave_one_out and encoder is not None:
            rank_zero_warn(
                "model.leave_one_out is false: in training a context is of all images of an episode, the one that is "
                "to be denoised among them. The loss does not say how well images of other sets are drawn."
            )
        with torch.random.fork_rng(devices=[], device_type="cpu"):
            torch.manual_seed(mix(seed, Stream.INIT))
            self.model = make()
        self.ema: FewShotDenoiser | None = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.loaded_steps = 0  # of the checkpoint that the weights are from
        self.hyperparameters: dict[str, Any] = {
            "image_size": image_size,
            "channels": channels,
            "n_shot": n_shot,
            "encoder": describe_factory(encoder, self.model.encoder),
            "context": describe_factory(context, self.model.context),
            "denoiser": describe_factory(denoiser, self.model.denoiser),
            "spatial_context": describe_factory(spatial_context, self.model.spatial_context),
            "diffusion": describe(diffusion)["init_args"],
            "sampler": describe(self.sampler),
            "context_dropout": context_dropout,
            "leave_one_out": leave_one_out,
            "autoencoder": describe(autoencoder) if autoencoder else None,
            "encoder_input": encoder_input,
            "backbone": describe(backbone) if backbone else None,
            "kl_weight": kl_weight,
            "seed": seed,
        }

    # ---- the model's parts, one by one ----

    @property
    def trained_steps(self) -> int:
        """Optimiser steps that the weights have taken: in this run, or before the checkpoint that was loaded."""
        return max(self.loaded_steps, self.trainer.global_step if self._trainer else 0)

    def contexts(self, images: Tensor, context_noise: Tensor | None = None, t: Tensor | None = None) -> Tensor | None:
        """The context of every image of some episodes, from the others or from all (see `leave_one_out`).

        Args:
            images: `(B, N, C, H, W)` in [-1, 1].
            context_noise: `(B, N, D)` for a variational context, whose mean is taken without; of [0, 1) and as long as
                the codebook for a discrete one.
            t: `(B,)`, for a time-conditioned encoder.

        Returns:
            `(B·N, D)` or `(B·N, L, D)`; None for the unconditional baseline.
        """
        output = self.model.episode_context(images, t, context_noise)
        return output.context if output else None

    def denoise(self, x_t: Tensor, t: Tensor, context: Tensor | None, maps: Tensor | None = None) -> Tensor:
        """Network output `(B·N, C_out, H, W)` of `x_t` `(B·N, C, H, W)` at `t` `(B·N,)` with its contexts.

        A model with a spatial context is also given its `maps` `(B·N, M, H, W)`.
        """
        return self.model.denoise(x_t, t, context, maps)

    def loss_terms(
        self,
        images: Tensor,
        t: Tensor,
        noise: Tensor,
        context_noise: Tensor | None = None,
        dropped: Tensor | None = None,
        classes: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss of episodes and what it is made of, differentiable.

        Args:
            images: `(B, N, C, H, W)` in [-1, 1].
            t: `(B,)`, one timestep per episode.
            noise: `(B·N, C, H, W)`.
            context_noise: see `contexts`.
            dropped: `(B·N,)` bool, queries that see the null context.
            classes: `(B,)`, for a ClassEmbedding; below 0 where training sees nothing of it.

        Returns:
            `mse` `(B·N,)`; `vb` `(B·N,)` with a learned variance; `kl_context` `()` with a variational or discrete
            context; `loss` `()` = mean(mse + vb) + kl_weight · kl_context.
        """
        draws = Draws(t, noise, context_noise, dropped, classes)
        return batch_means(episode_loss(self.model, self.diffusion, images, draws, self.kl_weight))

    # ---- Lightning ----

    def setup(self, stage: str) -> None:
        """Raises UserError for a precision whose weights have 16 bits, and for classes that the model does not know."""
        check_precision(self.trainer.precision)
        if isinstance(encoder := self.model.encoder, ClassEmbedding):
            if stage == "predict":
                raise UserError(f"predict draws classes of the test split. {encoder.knows}")
            if stage == "fit":
                self.trainer.datamodule.check_classes(encoder.num_classes)  # type: ignore[attr-defined]
            rank_zero_warn(f"{encoder.knows} The loss on held-out classes is that of the null context.")

    def configure_model(self) -> None:
        """Under FSDP2 the weights are divided among the processes."""
        if self.device_mesh is not None:
            shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimiser, with the EMA update hooked into its step, and the rate's schedule by step."""
        optimizer = make_optimizer(self.optimizer, self.model, self.encoder_lr, self.denoiser_lr)
        keep_settings(optimizer)
        optimizer.register_step_post_hook(lambda *_: self._after_optimizer_step())
        total = self.trainer.estimated_stepping_batches
        scheduler = ResumableLR(optimizer, lambda step: self.lr_schedule.factor(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _after_optimizer_step(self) -> None:
        if self.ema is not None:
            # global_step counts the steps before this one
            decay = ema_decay_at(self.trainer.global_step + 1, self.ema_decay, self.ema_warmup)
            update_ema(self.ema, self.model, decay)

    def on_fit_start(self) -> None:
        if self.compiled:
            self.model.compile(mode=None if self.compiled is True else self.compiled)

    def on_train_batch_start(self, batch: EpisodeBatch, batch_idx: int) -> None:
        """Key torch's own state, from which only dropout draws, by the batch."""
        torch.manual_seed(mix(self.seed, Stream.TRAIN_GLOBAL, batch.number, self.global_rank))

    def training_step(self, batch: EpisodeBatch, batch_idx: int) -> Tensor:
        """The loss of one batch of episodes, `()`."""
        key = (self.seed, Stream.TRAIN_NOISE)
        terms = batch_means(self._episode_loss(self.model, batch, *key, self.context_dropout, self.timestep_sampling))
        self.log_dict({f"train/{name}": value.detach().mean() for name, value in terms.items()}, batch_size=1)
        return terms["loss"]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """A frozen part's gradients are dropped, so that neither clipping nor the optimiser sees them."""
        for group in optimizer.param_groups:
            if self.trainer.global_step < self.freeze_steps[group["part"]]:
                for parameter in group["params"]:
                    parameter.grad = None

    def validation_step(self, batch: EpisodeBatch, batch_idx: int) -> None:
        self._evaluation_step(batch, "val")

    def test_step(self, batch: EpisodeBatch, batch_idx: int) -> None:
        self._evaluation_step(batch, "test")

    def on_validation_epoch_end(self) -> None:
        self._log_step()

    def on_test_epoch_end(self) -> None:
        self._log_step()

    def _log_step(self) -> None:
        """Loggers show an evaluation's figures at this step; by itself Lightning takes the one before in `fit`."""
        step = torch.tensor(float(self.trained_steps))  # on the host: on XLA's device every number is another graph
        self.log("step", step, batch_size=1)

    def predict_step(self, batch: EpisodeBatch, batch_idx: int) -> Tensor:
        """One image drawn for every episode from its first n_shot images: `(B, 1, C, H, W)` in [-1, 1]."""
        support = batch.images[:, : self.n_shot]
        number = batch.number * self.trainer.world_size + self.global_rank  # of batches this size, in episodes' order
        return self.sample(support, 1, device_generator(support.device, self.eval_seed, Stream.SAMPLING, number))

    def _evaluation_step(self, batch: EpisodeBatch, split: str) -> None:
        """The loss on held-out classes with EMA weights; padding episodes do not count."""
        terms = self._episode_loss(self.evaluation_model, batch, self.eval_seed, Stream.EVAL_NOISE, 0.0)
        for name, values in terms.items():
            # Lightning averages over batches, weighted by batch_size, then over processes: all name the same size.
            mean = batch.mean(values, self.trainer.world_size)
            self.log(f"{split}/{name}", mean, batch_size=batch.n_valid, on_epoch=True, on_step=False, sync_dist=True)

    def _episode_loss(
        self,
        model: FewShotDenoiser,
        batch: EpisodeBatch,
        seed: int,
        stream: Stream,
        context_dropout: float,
        timestep_sampling: TimestepSampling = "uniform",
    ) -> dict[str, Tensor]:
        """The terms of every image of a batch, with the draws that are keyed by its number."""
        kind = NumPySource if self.parity else TorchSource

        def source(like: Tensor) -> RandomSource:
            key = (seed, stream, batch.number)
            return kind(like, *key, rank=self.global_rank, world_size=self.trainer.world_size)

        parts = (model, self.diffusion, self.space, batch, source, context_dropout, self.kl_weight)
        return batch_loss(*parts, draw_contexts=self.training, timestep_sampling=timestep_sampling)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[HYPERPARAMETERS] = self.hyperparameters

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare a checkpoint with the model, and for training with its optimiser, schedule and loops.

        Raises:
            UserError: it is of another architecture than the configuration, or of another optimiser.
        """
        check_same(model_settings(checkpoint, "The checkpoint"), self)
        check_weights(checkpoint["state_dict"], self.state_dict(), "The checkpoint")
        self.loaded_steps = checkpoint["global_step"]
        if self._trainer is not None and self._trainer.precision == "64-true":
            self.double()  # Lightning does it once the weights are loaded: they would be rounded on their way in
        if self._trainer is not None and self._trainer.state.fn == "fit":
            groups = optimizer_groups(self.optimizer, self.model, self.encoder_lr, self.denoiser_lr)
            if not goes_on(checkpoint, self.optimizer, groups, self._trainer.fit_loop.state_dict()):
                self.loaded_steps = 0
