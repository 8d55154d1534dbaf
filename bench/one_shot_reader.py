"""A reader that knows a class by one image: a prototypical network (Snell et al. 2017, arXiv 1703.05175)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from lightning_nsd.data.episodes import sample_classes, sample_episodes
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import apply_symmetries, to_unit_range

WIDTH = 64
WAYS = 40
QUERIES = 2


def make_reader() -> nn.Module:
    """Four blocks of 64 channels, each halving the image: `(b, 1, h, w)` to features `(b, d)`."""
    layers: list[nn.Module] = []
    for c_in in (1, WIDTH, WIDTH, WIDTH):
        layers += [nn.Conv2d(c_in, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten())


def train_reader(image_set: ImageSet, steps: int, seed: int) -> nn.Module:
    """Train on tasks of one image a class, of classes that are turned and mirrored as wholes."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    reader = make_reader()
    optimizer = torch.optim.Adam(reader.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in trange(steps, desc="reader"):
        classes = sample_classes(image_set, WAYS, rng)
        images = image_set.images[sample_episodes(image_set, classes, 1 + QUERIES, rng)]  # (WAYS, 1 + QUERIES, 1, h, w)
        images = to_unit_range(apply_symmetries(images, torch.randint(8, (WAYS,), generator=rng)))
        features = reader(images.flatten(0, 1)).unflatten(0, images.shape[:2])  # (WAYS, 1 + QUERIES, d)
        logits = -torch.cdist(features[:, 1:].flatten(0, 1), features[:, 0]).square()  # (WAYS · QUERIES, WAYS)
        loss = F.cross_entropy(logits, torch.arange(WAYS).repeat_interleave(QUERIES))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()


@torch.no_grad()
def features_of(reader: nn.Module, images: Tensor) -> Tensor:
    """Features `(M, d)` of float images `(M, 1, h, w)` in [-1, 1]."""
    return torch.cat([reader(part) for part in images.split(512)])


def named(prototypes: Tensor, features: Tensor) -> Tensor:
    """The nearest of `prototypes` `(K, d)` for each of `features` `(M, d)`: int64 `(M,)`."""
    return torch.cdist(features, prototypes).argmin(dim=1)
