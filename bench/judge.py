"""What is said about a model's drawings of letters it never saw: read right, original, diverse."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from reader import accuracies, all_classes, labels, make_classifier, split_fonts, train_classifier
from torch import Tensor

from lightning_nsd.data.episodes import sample_positions
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.transforms import to_bytes, to_unit_range
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.extractors import build_extractor
from lightning_nsd.files.whole_file import whole_file
from lightning_nsd.metrics.originality import measure_originality
from lightning_nsd.module import FewShotDiffusion

SETS = 4
"""Support sets of a class."""
PER_SET = 5
"""Images drawn of each; as many of a class as `few_shot_accuracy.py` draws."""

READS = 0.8
"""Part of the real letters that a reader has to read right: one that reads none reads drawn ones as well."""


class Drawings(NamedTuple):
    """Images of K held-out classes, in [-1, 1].

    Attributes:
        support: `(K, SETS, n, 1, H, W)`.
        drawn: `(K, SETS, PER_SET, 1, H, W)`.
    """

    support: Tensor
    drawn: Tensor


def describe(
    drawings: Drawings, real: Sequence[Tensor], networks: Mapping[str, Callable[[Tensor], Tensor]]
) -> dict[str, float]:
    """Originality, diversity and copies in pixels and in other spaces, means over the classes (see `Originality`).

    Args:
        real: images of every class, `(r, 1, H, W)` in [-1, 1].
        networks: what stands before the three names, and how images `(M, 1, H, W)` become features `(M, d)`.
    """
    result = {}
    owner = torch.arange(drawings.drawn.shape[1]).repeat_interleave(drawings.drawn.shape[2])
    for space, features in {"": lambda images: images.flatten(1), **networks}.items():
        found = []
        for support, images, others in zip(*drawings, real, strict=True):
            examples = features(support.flatten(0, 1)).unflatten(0, support.shape[:2])
            found.append(measure_originality(features(images.flatten(0, 1)), examples, owner, features(others)))
        for name in found[0]._fields:
            result[space + name] = mean(getattr(each, name) for each in found)
    return result


class Judge:
    """Knows real letters of all scripts, in the fonts that the classifier did not learn from.

    Args:
        data: whose held-out scripts are drawn.
        folder: keeps the classifier, which takes its minutes.
        classifier_steps: how long it learns.
        sets: support sets of a class.
    """

    def __init__(self, data: Glyphs, folder: Path, classifier_steps: int = 1500, sets: int = SETS) -> None:
        self.sets = sets
        everything = all_classes(Glyphs(image_size=data.image_size))  # every class, whatever is held out
        train_fonts, self.fonts = split_fonts(everything)
        held_out = [name for split in ("val", "test") for name in data.image_set(split).class_names]
        self.held_out = torch.tensor([everything.class_names.index(name) for name in held_out])
        path = folder / f"reader_{data.image_size}_{classifier_steps}.pt"
        if not path.exists():
            trained = train_classifier(train_fonts, classifier_steps, seed=0)
            with whole_file(path) as file:
                torch.save(trained.state_dict(), file)
        self.classifier = make_classifier(len(everything))
        self.classifier(to_unit_range(train_fonts.images[:2]))  # its last layer learns its size
        self.classifier.load_state_dict(torch.load(path, weights_only=True))
        self.classifier.eval()
        targets = labels(self.fonts)
        ours = torch.isin(targets, self.held_out)
        self.real_accuracy = self._accuracy(to_unit_range(self.fonts.images[ours]), targets[ours])
        if self.real_accuracy < READS:
            found = f"{self.real_accuracy:.3f}"
            print(f"The reader reads {found} of real letters right: what it says of drawn ones is worth little.")
        self.extractor = build_extractor("glyphnet", None)

    def draw(self, model: FewShotDiffusion, sampler: Sampler, seed: int) -> Drawings:
        """Images of every held-out class from new support sets of fonts that the classifier did not learn from."""
        generator = torch.Generator().manual_seed(seed)
        supports, drawn = [], []
        for _ in range(self.sets):
            positions = sample_positions(self.fonts.counts[self.held_out], model.n_shot, generator)
            index = self.fonts.offsets[self.held_out][:, None] + positions  # (K, n)
            supports.append(to_unit_range(self.fonts.images[index]))
            drawn.append(model.sample(supports[-1], PER_SET, generator, sampler))
        return Drawings(torch.stack(supports, dim=1), torch.stack(drawn, dim=1))

    def judge(self, drawings: Drawings) -> dict[str, float]:
        """Means over the classes.

        Returns:
            `ratio`: read right among the held-out classes, over the same for real images, which is `real`;
            `originality`, `diversity` and `copies` in pixels and, with `feature_` before them, in glyphnet's features
            (see `Originality`).
        """
        drawn = drawings.drawn
        targets = self.held_out.repeat_interleave(drawn.shape[1] * drawn.shape[2])
        result = {
            "ratio": self._accuracy(drawn.flatten(0, 2), targets) / self.real_accuracy,
            "real": self.real_accuracy,
        }
        real = [to_unit_range(self.fonts.of_class(number)) for number in self.held_out.tolist()]
        result |= describe(drawings, real, {"feature_": lambda images: self.extractor.features(to_bytes(images))})
        return result

    def _accuracy(self, images: Tensor, targets: Tensor) -> float:
        return accuracies(self.classifier, images, targets, self.held_out)["held_out"]
