"""Generating the images of many classes in batches of one size."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split, class_numbers
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import to_bytes, to_unit_range
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.evaluation.failure import Failures
from lightning_nsd.evaluation.populations import Population
from lightning_nsd.evaluation.support_sets import SupportSets
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes
from lightning_nsd.rng import Stream, device_generator


class GeneratedImages(NamedTuple):
    """All images of one population.

    Attributes:
        population: its index.
        images: bytes `(n, C, H, W)`, those of one support set after the other.
        error: what the sampler raised for any of them, else empty.
    """

    population: int
    images: Tensor
    error: str


class ImageGenerator:
    """Samples from support sets in batches of one size, filled across populations and shared by the processes.

    A batch's noise depends on (seed, split, number of the batch) alone, so that it does not matter which process
    samples it. The last batch is filled up with sets from the start, whose images are dropped; a batch is no larger
    than all sets together.

    Args:
        module: the model; its EMA weights are sampled from.
        sampler: the model's own where None.
        batch_size: images in a batch; at least those of one support set are sampled at once.
        seed: key of all noise.
        failures: takes what the sampler raises.
        on_round: called before every round, by all processes; may raise to stop all of them.
        on_batch: called before every batch, with the indices of its populations.
        on_images: called after every step of the sampler with the images, or parts of one, that it took further.
    """

    def __init__(
        self,
        module: FewShotDiffusion,
        sampler: Sampler | None,
        batch_size: int,
        seed: int,
        failures: Failures,
        on_round: Callable[[], object] = lambda: None,
        on_batch: Callable[[Sequence[int]], object] = lambda populations: None,
        on_images: Callable[[float], object] = lambda images: None,
    ) -> None:
        self.module = module
        self.sampler = sampler or module.sampler
        self.sets_at_once = max(1, batch_size // module.n_shot)
        self.seed = seed
        self.failures = failures
        self.on_round = on_round
        self.on_batch = on_batch
        self.on_images = on_images

    def generate(
        self,
        image_set: ImageSet,
        populations: Sequence[Population],
        sets: SupportSets,
        split: Split,
        processes: Processes,
    ) -> Iterator[list[GeneratedImages]]:
        """After every round, in which each process samples one batch, the populations that it completed."""
        collected: dict[int, list[Tensor]] = {}
        errors: dict[int, str] = {}
        total, n_shot = len(sets.images), self.module.n_shot
        missing = sets.population.bincount(minlength=len(populations)).tolist()  # support sets of each population
        at_once = min(self.sets_at_once, total)
        for first in range(0, -(-total // at_once) if total else 0, processes.size):
            self.on_round()
            sampled, error = self._batch(image_set, sets, split, first + processes.rank, at_once)
            everything = processes.gather(sampled).cpu()  # (processes, at_once, n_shot, C, H, W)
            messages = processes.gather_objects(error)
            self.failures.raise_together(messages)
            completed = []
            for k, (batch, message) in enumerate(zip(everything, messages, strict=True)):
                owners = sets.population[(first + k) * at_once : (first + k + 1) * at_once]
                for index in owners.unique().tolist():
                    images = batch[: len(owners)][owners == index].flatten(0, 1)
                    collected.setdefault(index, []).append(images)
                    missing[index] -= len(images) // n_shot
                    if message:
                        errors.setdefault(index, message)
                    if not missing[index]:
                        images = torch.cat(collected.pop(index))[: populations[index].n]
                        completed.append(GeneratedImages(index, images, errors.get(index, "")))
            yield completed

    def _batch(
        self, image_set: ImageSet, sets: SupportSets, split: Split, number: int, at_once: int
    ) -> tuple[Tensor, str]:
        """Bytes `(at_once, n_shot, C, H, W)` on the device, and what went wrong; zeros past the last batch."""
        module, total = self.module, len(sets.images)
        shape = (at_once, module.n_shot, module.channels, module.image_size, module.image_size)
        nothing = torch.zeros(shape, dtype=torch.uint8, device=module.device)
        if number * at_once >= total:
            return nothing, ""
        rows = torch.arange(number * at_once, (number + 1) * at_once)
        useful = int((rows < total).sum())
        self.on_batch(sets.population[rows[:useful]].unique().tolist())
        images_a_step = useful * module.n_shot / len(self.sampler.chain(module.diffusion))
        chosen = sets.images[rows % total]
        try:
            images = module.sample(
                self._drawn_from(image_set, chosen, split),
                module.n_shot,
                device_generator(module.device, self.seed, Stream.EVAL_IMAGES, SPLITS.index(split), number),
                self.sampler,
                lambda: self.on_images(images_a_step),
            )
            if not bool(images.isfinite().all()):
                raise ValueError("the model drew values that are not finite")
        except Exception as error:
            return nothing, self.failures.note(error, "Images could not be drawn for the distance.")
        return to_bytes(images), ""

    def _drawn_from(self, image_set: ImageSet, chosen: Tensor, split: Split) -> Tensor:
        """Support sets `(b, n_shot, C, H, W)`, or for a model that takes them their classes `(b,)`, on the device."""
        if self.module.model.takes_classes:
            return class_numbers(split, image_set.classes_of(chosen[:, 0])).to(self.module.device)
        return to_unit_range(image_set.images[chosen].to(self.module.device))
