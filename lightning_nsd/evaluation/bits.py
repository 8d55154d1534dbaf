"""The bits per dimension of the real images of every class, episode by episode."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.likelihood import prior_bits
from lightning_nsd.diffusion.strata import Strata, draw_strata
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.columns import error_of_mean, mean
from lightning_nsd.evaluation.failure import Failures
from lightning_nsd.evaluation.populations import Population
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.model.context import VariationalContext
from lightning_nsd.model.discrete_context import DiscreteContext
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes
from lightning_nsd.random_source import TorchSource
from lightning_nsd.rng import Stream, generator, philox
from lightning_nsd.settings.numbers import shown
from lightning_nsd.training.episode_bits import Bits, EpisodeTerms, episode_bits, episode_terms


class BitsEpisode(NamedTuple):
    """One episode of a class.

    Attributes:
        population: index of the class's population.
        key: what its random numbers depend on beside seed and stream: split, class, number of the episode.
        images: indices into the image set's images, int64 `(N,)`.
    """

    population: int
    key: tuple[int, int, int]
    images: Tensor


def check_bits(module: FewShotDiffusion, timesteps: int | None) -> None:
    """Whether a model has bits per dimension of images, at so many timesteps.

    Raises:
        UserError: it draws latents, its contexts are not of images, no sample of a distribution, or of the image itself
            at no cost, or it has fewer timesteps.
    """
    network, num_steps = module.model, module.diffusion.num_steps
    if module.space.autoencoder is not None:
        raise UserError("fid.bits_samples: the model draws latents, which have no bits per dimension of an image.")
    if module.space.backbone is not None:
        raise UserError("fid.bits_samples: the bits of a model whose set encoder sees features are not computed.")
    if network.takes_classes:
        raise UserError(f"fid.bits_samples: {type(network.encoder).__name__} has no context of examples to count.")
    if isinstance(network.context, DiscreteContext):
        raise UserError(
            "fid.bits_samples: a DiscreteContext weighs its entries in training and takes the likeliest afterwards, "
            "neither of which is a sample of the distribution whose KL a bound counts."
        )
    is_counted = isinstance(network.context, VariationalContext) and network.spatial_context is None
    if not network.leave_one_out and network.encoder is not None and not is_counted:
        raise UserError(
            "fid.bits_samples: model.leave_one_out is false, so a context holds the image whose bits are counted, and "
            "says of it what no KL is paid for."
        )
    if timesteps is not None and timesteps > num_steps:
        raise UserError(
            f"fid.bits_timesteps is {shown(timesteps)}, but the diffusion has only {num_steps} (num_steps)."
        )


def choose_bits_episodes(
    image_set: ImageSet, populations: Sequence[Population], n_images: int, count: int, seed: int, split: Split
) -> list[BitsEpisode]:
    """Different images of every class, cut into episodes of `n_images`.

    They depend on (seed, split, class) alone, and fewer images are the first ones of more.

    Args:
        count: images of a class, rounded up to whole episodes; at most as many episodes as the class fills.
    """
    episodes = []
    for index, population in enumerate(populations):
        if not population.n:
            continue
        of_split, (number,) = SPLITS.index(split), population.classes
        order = torch.randperm(population.available, generator=generator(seed, Stream.EVAL_BITS, of_split, number))
        number_of_episodes = min(-(-count // n_images), population.available // n_images)
        for episode in range(number_of_episodes):
            rows = image_set.offsets[number] + order[episode * n_images : (episode + 1) * n_images]
            episodes.append(BitsEpisode(index, (of_split, number, episode), rows))
    return episodes


class BitsMeter:
    """Measures the bits per dimension of classes with the EMA weights; the processes share the episodes.

    The noise of an image depends on (seed, split, class, episode, timestep) alone: neither on the size of a batch, nor
    on which other timesteps are visited, nor on which process does it. Which timesteps are visited is drawn for every
    episode by itself, so that the error of a class falls with the number of its episodes.

    Args:
        module: the model.
        settings: of these `bits_timesteps` and `batch_size` count.
        seed: key of all noise.
        failures: takes what is raised.
        on_round: called before every round of episodes, by all processes; may raise to stop all of them.
        on_episode: called before every episode with the index of its population.
        on_images: called after every batch with the number of its images.
    """

    def __init__(
        self,
        module: FewShotDiffusion,
        settings: EvaluationSettings,
        seed: int,
        failures: Failures,
        on_round: Callable[[], object] = lambda: None,
        on_episode: Callable[[int], object] = lambda population: None,
        on_images: Callable[[int], object] = lambda images: None,
    ) -> None:
        self.module = module
        self.settings = settings
        self.seed = seed
        self.failures = failures
        self.on_round = on_round
        self.on_episode = on_episode
        self.on_images = on_images

    def measure(
        self, image_set: ImageSet, episodes: Sequence[BitsEpisode], processes: Processes
    ) -> dict[int, tuple[Bits, int]]:
        """The bits of every population, and of how many images; none for one of which anything failed."""
        found: dict[int, list[Bits]] = {}
        images: dict[int, int] = {}
        failed: set[int] = set()
        for first in range(0, len(episodes), processes.size):
            self.on_round()
            mine = episodes[first + processes.rank] if first + processes.rank < len(episodes) else None
            everybody = processes.gather_objects(("", Bits()) if mine is None else self._try(image_set, mine))
            self.failures.raise_together(message for message, _ in everybody)
            now = episodes[first : first + processes.size]
            for episode, (message, bits) in zip(now, everybody, strict=False):  # past the last episode there are none
                found.setdefault(episode.population, []).append(bits)
                images[episode.population] = images.get(episode.population, 0) + len(episode.images)
                failed |= {episode.population} if message else set()
        return {index: (mean_bits(bits), images[index]) for index, bits in found.items() if index not in failed}

    def _try(self, image_set: ImageSet, episode: BitsEpisode) -> tuple[str, Bits]:
        try:
            self.on_episode(episode.population)
            return "", self._bits(to_unit_range(image_set.images[episode.images].to(self.module.device)), episode.key)
        except Exception as error:
            return self.failures.note(error, "The bits per dimension of an episode could not be computed."), Bits()

    def _bits(self, images: Tensor, key: tuple[int, int, int]) -> Bits:
        """Of images `(N, C, H, W)` in [-1, 1], the images of one episode."""
        model, diffusion = self.module.evaluation_model, self.module.diffusion
        images = images.to(next(model.parameters()).dtype)
        strata = draw_strata(
            diffusion.num_steps, self.settings.bits_timesteps, philox(self.seed, Stream.EVAL_BITS, *key)
        )
        steps, context = (
            torch.cat(parts).double().numpy() for parts in zip(*self._terms(images, strata, key), strict=True)
        )
        prior = prior_bits(diffusion, images).double().cpu().numpy()
        return episode_bits(strata, steps, context, prior, model.time_conditioned)

    def _terms(self, images: Tensor, strata: Strata, key: tuple[int, int, int]) -> Iterator[EpisodeTerms]:
        """The terms on the CPU, some timesteps at a time; the last batch is filled up and cut off again."""
        n, at_once = len(images), max(1, self.settings.batch_size // len(images))
        shape = self.module.model.context_noise_shape(n)
        xi = None if shape is None else self._normal(images, key, n, *shape)
        at_once = min(at_once, len(strata.timesteps))
        for start in range(0, len(strata.timesteps), at_once):
            chosen = strata.timesteps[start : start + at_once]
            filled = np.pad(chosen, (0, at_once - len(chosen)), mode="edge")
            noise = torch.stack([self._normal(images, (*key, int(t)), *images.shape) for t in filled])
            t = torch.from_numpy(filled).to(images.device)
            terms = episode_terms(self.module.evaluation_model, self.module.diffusion, images, t, noise, xi)
            yield EpisodeTerms(*(values.cpu()[: len(chosen)] for values in terms))
            self.on_images(len(chosen) * n)

    def _normal(self, like: Tensor, key: tuple[int, ...], count: int, *shape: int) -> Tensor:
        """Standard normal numbers `(count, *shape)` of a key."""
        return TorchSource(like, self.seed, Stream.EVAL_BITS, *key).normal(count, *shape)


def mean_bits(episodes: Sequence[Bits]) -> Bits:
    """The bits of a class from those of its episodes, which are of one size and have independent errors."""
    means = Bits(*(mean(values) for values in zip(*episodes, strict=True)))
    return means._replace(error=error_of_mean(each.error for each in episodes))
