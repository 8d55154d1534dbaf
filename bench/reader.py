"""A classifier that reads glyphs: the judge of what was drawn, trained on real images alone."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import to_unit_range

TEST_FONT_EVERY = 4


def split_fonts(image_set: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Every class's images for training and for testing the classifier; each fourth is for testing."""
    train, test = {}, {}
    for index, name in enumerate(image_set.class_names):
        images = image_set.of_class(index)
        is_test = torch.arange(len(images)) % TEST_FONT_EVERY == TEST_FONT_EVERY - 1
        train[name], test[name] = images[~is_test], images[is_test]
    return ImageSet.from_classes(train), ImageSet.from_classes(test)


def labels(image_set: ImageSet) -> Tensor:
    """The class number of every image, int64 `(M,)`."""
    return torch.arange(len(image_set)).repeat_interleave(image_set.counts)


def make_classifier(num_classes: int) -> nn.Module:
    """A small convolutional network from `(b, 1, h, w)` to logits `(b, num_classes)`."""
    widths = [1, 32, 64, 128]
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(widths):
        layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
        layers += [nn.Conv2d(c_out, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(num_classes))


def train_classifier(image_set: ImageSet, steps: int, seed: int) -> nn.Module:
    """Train on random images with small shifts."""
    torch.manual_seed(seed)
    model = make_classifier(len(image_set))
    targets = labels(image_set)
    model(to_unit_range(image_set.images[:2]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in trange(steps, desc="classifier"):
        index = torch.randint(len(targets), (256,))
        shift = torch.randint(-1, 2, (2,)).tolist()
        images = to_unit_range(image_set.images[index]).roll(shift, dims=(2, 3))
        loss = F.cross_entropy(model(images), targets[index], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def accuracies(classifier: nn.Module, images: Tensor, targets: Tensor, held_out: Tensor) -> dict[str, float]:
    """Top-1 of float images `(M, 1, h, w)` among the held-out classes and among all."""
    logits = torch.cat([classifier(part) for part in images.split(512)])
    among_held_out = held_out[logits[:, held_out].argmax(dim=1)]
    return {
        "held_out": float((among_held_out == targets).float().mean()),
        "all": float((logits.argmax(dim=1) == targets).float().mean()),
    }


def all_classes(data: Glyphs) -> ImageSet:
    """The classes of all splits, training's first."""
    sets = [data.image_set(split) for split in SPLITS]
    return ImageSet.from_classes({n: s.of_class(i) for s in sets for i, n in enumerate(s.class_names)})
