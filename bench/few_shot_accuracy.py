"""How often a classifier reads what a model drew of classes it never trained on.

A small classifier learns real glyphs of all classes, held-out scripts included, on three quarters of the fonts. It then
reads real images of the other fonts, and images that models drew from support sets of those other fonts, for every
held-out class (Georgian and Hebrew): top-1 among the held-out classes, and among all.

    python bench/few_shot_accuracy.py --ckpt_path runs/glyphs/last.ckpt [--unconditional OTHER/last.ckpt]
"""

import argparse
import json

import torch
from reader import accuracies, all_classes, labels, split_fonts, train_classifier
from torch import Tensor
from tqdm import trange

import lightning_nsd
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.data.episodes import sample_positions
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.module import FewShotDiffusion


def draw_from(
    model: FewShotDiffusion, fonts: ImageSet, classes: Tensor, per_class: int, sampler: Sampler, seed: int
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
    parser.add_argument("--steps", type=int, help="instead of the checkpoint's own")
    parser.add_argument("--per_class", type=int, default=20, help="images drawn of each held-out class")
    parser.add_argument("--classifier_steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    model = lightning_nsd.load(arguments.ckpt_path)
    data = Glyphs(image_size=model.image_size, n_shot=model.n_shot)
    everything = all_classes(data)
    held_out = torch.arange(len(data.image_set("train")), len(everything))
    train_fonts, test_fonts = split_fonts(everything)
    classifier = train_classifier(train_fonts, arguments.classifier_steps, arguments.seed)

    real, real_targets = to_unit_range(test_fonts.images), labels(test_fonts)
    is_held_out = real_targets >= held_out[0]
    result: dict[str, object] = {
        "classes": {"held_out": len(held_out), "all": len(everything)},
        "real": accuracies(classifier, real[is_held_out], real_targets[is_held_out], held_out),
    }
    for name, path in (("generated", arguments.ckpt_path), ("unconditional", arguments.unconditional)):
        if path:
            model = lightning_nsd.load(path)
            guidance = arguments.guidance if model.model.null_context is not None else None
            sampler = choose_sampler(model, None, arguments.steps, guidance)
            drawn = draw_from(model, test_fonts, held_out, arguments.per_class, sampler, arguments.seed)
            result[name] = accuracies(classifier, *drawn, held_out)
    generated, real_score = result["generated"], result["real"]
    result["ratio_held_out"] = generated["held_out"] / real_score["held_out"]  # type: ignore[index]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
