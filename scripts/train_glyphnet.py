"""Trains the extractor `glyphnet` on the shipped glyphs and writes its weights into the package.

    python scripts/train_glyphnet.py [--steps 3000] [--seed 0] [--out FILE.safetensors]

It learns all 519 characters, those of the held-out scripts included, from three quarters of the fonts, at 32, 16 and
8 pixels, with small shifts; the accuracy that is printed is on the other fonts. Seven minutes of one core.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import trange

from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.extractors.glyphnet import FEATURES, WEIGHTS, GlyphNet

TEST_FONT_EVERY = 4
SIZES = (32, 32, 16, 16, 8)
BATCH = 256


def read_all() -> tuple[Tensor, Tensor, Tensor]:
    """All images `(M, 1, 32, 32)`, their class numbers `(M,)`, and which of them are of fonts kept for the test."""
    data = Glyphs(image_size=32)
    sets = [data.image_set(split) for split in SPLITS]
    counts = torch.cat([each.counts for each in sets])
    targets = torch.arange(len(counts)).repeat_interleave(counts)
    position = torch.cat([torch.arange(count) for count in counts.tolist()])
    return torch.cat([each.images for each in sets]), targets, position % TEST_FONT_EVERY == TEST_FONT_EVERY - 1


def shrink(images: Tensor, size: int) -> Tensor:
    """Float `(n, 1, 32, 32)` to `size` × `size` by averaging blocks, as the data module does."""
    return F.avg_pool2d(images, 32 // size)


@torch.no_grad()
def accuracy(network: GlyphNet, head: nn.Module, images: Tensor, targets: Tensor, size: int) -> float:
    """Top-1 among all classes."""
    network.eval()
    logits = torch.cat([head(network.from_grey(shrink(part.float(), size))) for part in images.split(512)])
    return float((logits.argmax(dim=1) == targets).float().mean())


def main() -> None:
    """Train, print the accuracy, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    images, targets, held_out = read_all()
    train, train_targets = images[~held_out], targets[~held_out]
    network, head = GlyphNet(), nn.Linear(FEATURES, int(targets.max()) + 1)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=arguments.steps)
    for step in trange(arguments.steps, desc="glyphnet"):
        network.train()
        index = torch.randint(len(train), (BATCH,))
        shift = torch.randint(-2, 3, (2,)).tolist()
        batch = shrink(train[index].float().roll(shift, dims=(2, 3)), SIZES[step % len(SIZES)])
        loss = F.cross_entropy(head(network.from_grey(batch)), train_targets[index], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for size in sorted(set(SIZES)):
        found = accuracy(network, head, images[held_out], targets[held_out], size)
        print(f"{size} pixels: {found:.3f} of the characters of fonts that it did not learn are read correctly")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
