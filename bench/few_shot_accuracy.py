"""How often a classifier reads what a model drew of classes it never trained on.

A small classifier learns real glyphs of all classes, held-out scripts included, on three quarters of the fonts. It then
reads real images of the other fonts, and images that models drew from support sets of those other fonts, for every
held-out class (Georgian and Hebrew): top-1 among the held-out classes, and among all.

    python bench/few_shot_accuracy.py --ckpt_path runs/glyphs/last.ckpt [--unconditional OTHER/last.ckpt]
"""

import argparse
import json
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

import lightning_nsd
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.data.episodes import sample_positions
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.module import FewShotDiffusion

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


def draw_from(
    model: FewShotDiffusion, fonts: ImageSet, classes: Tensor, per_class: int, sampler: DDIM, seed: int
) -> tuple[Tensor, Tensor]:
    """Images drawn from a new support set each, `(M, 1, h, w)`, and their classes `(M,)`."""
    generator = torch.Generator().manual_seed(seed)
    drawn, targets = [], []
    for _ in trange(per_class, desc="drawing"):
        positions = sample_positions(fonts.counts[classes], model.n_shot, generator)
        support = to_unit_range(fonts.images[fonts.offsets[classes][:, None] + positions])
        drawn.append(model.sample(support, 1, generator, sampler)[:, 0])
        targets.append(classes)
    return torch.cat(drawn), torch.cat(targets)


def main() -> None:
    """Print the accuracies as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", required=True)
    parser.add_argument("--unconditional", help="checkpoint of a model without conditioning, for comparison")
    parser.add_argument("--guidance", type=float, help="instead of the checkpoint's own")
    parser.add_argument("--steps", type=int, default=50, help="DDIM steps")
    parser.add_argument("--per_class", type=int, default=20, help="images drawn of each held-out class")
    parser.add_argument("--classifier_steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    model = lightning_nsd.load(arguments.ckpt_path)
    data = Glyphs(image_size=model.image_size, n_shot=model.n_shot)
    sets = [data.image_set(split) for split in SPLITS]
    everything = ImageSet.from_classes({n: s.of_class(i) for s in sets for i, n in enumerate(s.class_names)})
    held_out = torch.arange(len(sets[0]), len(everything))
    train_fonts, test_fonts = split_fonts(everything)
    classifier = train_classifier(train_fonts, arguments.classifier_steps, arguments.seed)

    real, real_targets = to_unit_range(test_fonts.images), labels(test_fonts)
    is_held_out = real_targets >= len(sets[0])
    result: dict[str, object] = {
        "classes": {"held_out": len(held_out), "all": len(everything)},
        "real": accuracies(classifier, real[is_held_out], real_targets[is_held_out], held_out),
    }
    for name, path in (("generated", arguments.ckpt_path), ("unconditional", arguments.unconditional)):
        if path:
            model = lightning_nsd.load(path)
            guidance = getattr(model.sampler, "guidance", 1.0) if arguments.guidance is None else arguments.guidance
            sampler = DDIM(arguments.steps, guidance=guidance if model.model.null_context is not None else 1.0)
            drawn = draw_from(model, test_fonts, held_out, arguments.per_class, sampler, arguments.seed)
            result[name] = accuracies(classifier, *drawn, held_out)
    generated, real_score = result["generated"], result["real"]
    result["ratio_held_out"] = generated["held_out"] / real_score["held_out"]  # type: ignore[index]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
