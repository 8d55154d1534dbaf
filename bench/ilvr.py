"""Letters nobody trained on: a few-shot model beside an unconditional one that ILVR holds to the examples.

The comparison of Giannone et al. 2022 (arXiv 2205.15463): ILVR makes a new image of one example, whose
means of blocks of N × N pixels it keeps (Choi et al. 2021, arXiv 2108.02938). Both are judged as `quality.py` judges.

    python bench/ilvr.py --ckpt_path runs/glyphs/last.ckpt --unconditional runs/unconditional/last.ckpt --factors 2 4 8

It prints the figures as JSON and writes a picture: a row for each of some letters, examples, then two images by the
few-shot model, then two by ILVR with each factor.
"""

import argparse
import json
from pathlib import Path

import torch
from judge import SETS, Drawings, Judge
from tqdm import tqdm

import lightning_nsd
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.pictures import grid, write_picture

SHOWN = 12
EACH = 2


def picture(drawings: dict[str, Drawings], path: Path) -> None:
    """Write the first `EACH` images of the last letters by every model, after their examples."""
    first = next(iter(drawings.values()))
    parts = [first.support[-SHOWN:, 0], *(each.drawn[-SHOWN:, 0, :EACH] for each in drawings.values())]
    rows = torch.cat(parts, dim=1)  # (SHOWN, n + EACH · models, C, H, W)
    write_picture(path, grid(list(rows), rule_after=first.support.shape[2]))


def main() -> None:
    """Draw, judge; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", type=Path, required=True, help="of a few-shot model of letters")
    parser.add_argument("--unconditional", type=Path, required=True, help="checkpoint of a model without encoder")
    parser.add_argument("--factors", type=int, nargs="+", default=[2, 4, 8], help="N of ILVR")
    parser.add_argument("--steps", type=int, help="of both samplers, instead of the checkpoints' own")
    parser.add_argument("--sets", type=int, default=SETS, help="support sets of a letter")
    parser.add_argument("--classifier_steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/ilvr"))
    arguments = parser.parse_args()

    few_shot, unconditional = (lightning_nsd.load(path) for path in (arguments.ckpt_path, arguments.unconditional))
    unconditional.use_set_size(few_shot.n_shot)  # of the same support sets
    data = Glyphs(image_size=few_shot.image_size, n_shot=few_shot.n_shot)
    judge = Judge(data, arguments.output, arguments.classifier_steps, arguments.sets)
    own = choose_sampler(few_shot, None, arguments.steps, None)
    drawings = {"few-shot": judge.draw(few_shot, own, arguments.seed)}
    for factor in tqdm(arguments.factors, desc="factors of ILVR"):
        sampler = choose_sampler(unconditional, "ddim", arguments.steps, None, ilvr_factor=factor)
        drawings[f"ilvr, N = {factor}"] = judge.draw(unconditional, sampler, arguments.seed)
    print(json.dumps({name: judge.judge(drawn) for name, drawn in drawings.items()}, indent=1))
    picture(drawings, arguments.output / "ilvr.png")


if __name__ == "__main__":
    main()
