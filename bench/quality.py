"""How well configs draw letters they never saw, for the same steps or the same minutes: mean and spread over seeds.

    python bench/quality.py --config glyphs.yaml other.yaml --minutes 9.5 --seeds 5
    python bench/quality.py --config glyphs.yaml --guidance 1 2 3 --guidance_interval 100 600 --rotate
    python bench/quality.py --config glyphs.yaml --sampler dpm++ --sampler_steps 5 10 20

A config may be several that are laid over each other: `glyphs.yaml+change.yaml`. Every run trains in a process of its
own and is judged on classes of the held-out scripts (`judge.py`). What is done is kept in the output folder: the same
command goes on where an earlier one stopped. It ends with a table, `quality.json`, a figure of what is read right
against what is original, the training losses of every config, and a sheet of letters for each.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from itertools import product
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch
from judge import PER_SET, SETS, Judge
from loss_picture import draw_losses
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

import lightning_nsd
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.data.glyphs import Glyphs, Script
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import SAMPLERS, Sampler
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.pictures import grid, write_picture
from parity_tests.run.sides import read_losses

HELD_OUT: tuple[tuple[Script, Script], ...] = (
    ("georgian", "hebrew"),
    ("armenian", "thai"),
    ("arabic", "devanagari"),
    ("ethiopic", "digits"),
    ("greek", "cyrillic"),
)
"""Pairs of scripts for validation and test; each seed of `--rotate` holds the next pair out."""
CALIBRATION = (40, 120)
"""Steps of two short runs whose difference in seconds gives the time of a step."""
LETTERS = 12
METRICS = Path("logs") / "metrics.csv"
COLUMNS = (
    "ratio",
    "real",
    "originality",
    "diversity",
    "copies",
    "feature_originality",
    "feature_diversity",
    "feature_copies",
    "val_loss",
)


class Run(NamedTuple):
    """One training.

    Attributes:
        config: file name of a config, or path, or several with `+` between.
        seed: of everything.
        scripts: held out for validation and for the test.
        folder: where it is kept.
    """

    config: str
    seed: int
    scripts: tuple[Script, Script]
    folder: Path


def title(config: str) -> str:
    """A config's name without folders and endings."""
    return "+".join(Path(layer).stem for layer in config.split("+"))


def fit(config: str, folder: Path, steps: int | None, *more: str) -> float:
    """Train in a new process, on from where an earlier one stopped; the seconds it took.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", "lightning_nsd", "fit", *(f"--config={layer}" for layer in config.split("+"))]
    command += [f"--trainer.default_root_dir={folder}"]  # after the configs, which it overrides
    command += ["--fid.when=never", *([] if steps is None else [f"--trainer.max_steps={steps}"]), *more]
    if (folder / "last.ckpt").exists():
        command.append("--ckpt_path=last")
    start = time.perf_counter()
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"{config}: the training in {folder} failed; what was done before it is kept.")
    return time.perf_counter() - start


def steps_in(minutes: float, config: str, folder: Path) -> int:
    """How many steps a config trains in that time, from two short runs; measured once, on an idle machine."""
    kept = folder / "seconds_per_step.json"
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)  # of a measurement that was broken off: a run that goes on is no time
        short, long = (
            fit(config, folder / f"{steps}", steps, "--trainer.limit_val_batches=0") for steps in CALIBRATION
        )
        write_text(kept, json.dumps((long - short) / (CALIBRATION[1] - CALIBRATION[0])))
    return round(60 * minutes / json.loads(kept.read_text(encoding="utf-8")))


def describe_sampler(sampler: Sampler, diffusion: GaussianDiffusion) -> str:
    """Its kind, how many timesteps it visits, and its guidance; part of a file's name."""
    (name,) = (name for name, kind in SAMPLERS.items() if type(sampler) is kind)
    interval = sampler.guidance_interval
    where = f"_{'_'.join(map(str, interval))}" if interval else ""
    return f"{name}_{len(sampler.chain(diffusion))}_w{sampler.guidance:g}{where}"


def measured(run: Run, steps: int | None, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What is said about a run, with each sampler; trains and draws what is not there yet."""
    trained, (val, test) = run.folder / "trained", run.scripts
    if not trained.exists():
        fit(
            run.config,
            run.folder,
            steps,
            f"--seed_everything={run.seed}",
            f"--data.init_args.val_script={val}",
            f"--data.init_args.test_script={test}",
        )
        trained.touch()
    model, judge, results = lightning_nsd.load(run.folder / "last.ckpt"), None, []
    for guidance, num_steps in product(arguments.guidance or [None], arguments.sampler_steps or [None]):
        sampler = choose_sampler(model, arguments.sampler, num_steps, guidance, arguments.guidance_interval)
        label = describe_sampler(sampler, model.diffusion)
        judged = f"{label}_{arguments.sets}_sets_by_a_reader_of_{arguments.classifier_steps}"
        kept = run.folder / f"quality_{judged}.json"
        if not kept.exists():
            data = Glyphs(image_size=model.image_size, n_shot=model.n_shot, val_script=val, test_script=test)
            judge = judge or Judge(data, arguments.output, arguments.classifier_steps, arguments.sets)
            drawings = judge.draw(model, sampler, run.seed)
            rows = [torch.cat([support[0], drawn[0]]) for support, drawn in zip(*drawings, strict=True)]
            write_picture(run.folder / f"letters_{label}.png", grid(rows[-LETTERS:], rule_after=model.n_shot))
            write_text(kept, json.dumps(judge.judge(drawings)))
        found = json.loads(kept.read_text(encoding="utf-8"))
        about = {"config": run.config, "sampler": label, "seed": run.seed, "scripts": run.scripts}
        metrics = run.folder / METRICS  # a config may log nothing
        validated = [nan, *(read_losses(metrics, "val/loss").values() if metrics.exists() else ())]
        results.append(about | found | {"val_loss": validated[-1], "metrics": str(metrics)})
    return results


def summarise(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the seeds for every config and sampler; no deviation of one seed."""
    lines = []
    for config, sampler in dict.fromkeys((result["config"], result["sampler"]) for result in results):
        own = [result for result in results if (result["config"], result["sampler"]) == (config, sampler)]
        line: dict[str, Any] = {"config": config, "sampler": sampler, "seeds": len(own)}
        for column in COLUMNS:
            values = [result[column] for result in own]
            line[column] = [mean(values), stdev(values) if len(values) > 1 else None]
        lines.append(line)
    return lines


def show(lines: list[dict[str, Any]]) -> Table:
    """The summary as a table."""
    table = Table("config", "sampler", "seeds", *(column.replace("_", " ") for column in COLUMNS))
    for line in lines:
        cells = [f"{m:.3f}" + (f" ± {s:.3f}" if s is not None else "") for m, s in map(line.get, COLUMNS)]  # type: ignore[misc]
        table.add_row(line["config"], line["sampler"], str(line["seeds"]), *cells)
    return table


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """What is read right against what is original, a point for every config and sampler, bars of one deviation."""
    figure = Figure(figsize=(7, 5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for line in lines:
        (x, dx), (y, dy) = line["originality"], line["ratio"]
        label = f"{title(line['config'])} {line['sampler']}"
        axes.errorbar(x, y, xerr=dx or 0, yerr=dy or 0, fmt="o", capsize=3, label=label)
    axes.plot(1, 1, "k*", ms=12, label="real images")
    axes.plot(0, 1, "kX", ms=10, label="copies of the examples")
    axes.set(
        xlabel="originality (1 is as original as a real image)", ylabel="read right, over the same for real images"
    )
    axes.set_xlim(left=-0.1)
    axes.set_ylim(0, 1.08)
    axes.legend(fontsize=7, loc="lower left")
    figure.savefig(path)


def main() -> None:
    """Train, draw, judge; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", nargs="+", required=True, help="of letters: their data is Glyphs")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="of training, instead of each config's own")
    budget.add_argument("--minutes", type=float, help="of training; each config takes the steps that it can in them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rotate", action="store_true", help="hold other scripts out for every seed")
    parser.add_argument("--guidance", type=float, nargs="*", help="instead of the configs' own")
    parser.add_argument("--guidance_interval", type=int, nargs=2, help="instead of the configs' own")
    parser.add_argument("--sampler", choices=sorted(SAMPLERS), help="instead of the configs' own")
    parser.add_argument("--sampler_steps", type=int, nargs="*", help="instead of the configs' own")
    parser.add_argument("--sets", type=int, default=SETS, help=f"support sets of a class, {PER_SET} images of each")
    parser.add_argument("--classifier_steps", type=int, default=1500)
    parser.add_argument("--output", type=Path, default=Path("runs/quality"))
    arguments = parser.parse_args()

    results: list[dict[str, Any]] = []
    with tqdm(total=len(arguments.config) * arguments.seeds, desc="runs") as bar:
        for seed in range(arguments.seeds):  # a seed of every config first, so that a stopped comparison is a fair one
            scripts = HELD_OUT[seed % len(HELD_OUT)] if arguments.rotate else HELD_OUT[0]
            for config in arguments.config:
                folder = arguments.output / title(config)
                steps = arguments.steps
                if arguments.minutes is not None:
                    steps = steps_in(arguments.minutes, config, folder / "calibration")
                name = f"{steps or 'own'}_steps_seed_{seed}_without_{'_'.join(scripts)}"
                results += measured(Run(config, seed, scripts, folder / name), steps, arguments)
                bar.update()
    lines = summarise(results)
    write_text(arguments.output / "quality.json", json.dumps({"runs": results, "summary": lines}, indent=1))
    plot(lines, arguments.output / "quality.png")
    logged: dict[str, list[Path]] = {}
    for result in results:
        if (file := Path(result["metrics"])).exists() and file not in logged.setdefault(title(result["config"]), []):
            logged[title(result["config"])].append(file)
    if any(logged.values()):
        draw_losses({label: files for label, files in logged.items() if files}, arguments.output / "losses.png")
    Console(width=max(160, Console().width)).print(show(lines))


if __name__ == "__main__":
    main()
