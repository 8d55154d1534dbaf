"""Whether training comes out the same in both frameworks: one config, several seeds a side, figures with intervals.

    python bench/outcome.py --config glyphs.yaml
    python bench/outcome.py --config glyphs.yaml --steps 1650 --seeds 5 --output runs/long --resume

Every run has a seed of its own, and so its own weights, episodes and noise, as its framework draws them, at the
config's own learning rate in single precision. Both sides' moving averages are then judged by the same code, in torch:
that both sample alike is another rung's matter. Figures: how often a reader reads letters that training never saw,
over the same for real ones, their originality and diversity, the Fréchet distance of a class, and the losses.

Exits with 1 where a figure's means differ by more than chance allows (see `agreement.py`). Interrupted, it goes on with
`--resume`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
import yaml
from agreement import Agreement, compare
from judge import SETS, Judge
from outcome_picture import draw_figures
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

import lightning_nsd
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.data.episodes import sample_episodes, spread_classes
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.transforms import to_bytes, to_unit_range
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.metrics.frechet import frechet_distance
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.random_source import TorchSource
from lightning_nsd.settings.config_files import find_config
from lightning_nsd.training.draws import draw
from lightning_nsd.training.episode_loss import episode_loss
from parity_tests.run.settings import changed, shared_changes
from parity_tests.run.sides import read_losses

SIDES = ("torch", "jax")
VAL_EPISODES = 256
VALIDATION = 0
"""Key of the validation loss's noise."""
LAST = 0.1
"""Part of a run whose losses count as training loss."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
SAMPLER_STEPS = 15
CHECKPOINT_EVERY = 100
"""Steps, of which a run that is interrupted loses no more."""


class Run(NamedTuple):
    """One training.

    Attributes:
        side: of `SIDES`.
        seed: of everything in it.
        folder: where it is kept.
    """

    side: str
    seed: int
    folder: Path


def runs_of(output: Path, seeds: int) -> list[Run]:
    """Of both sides in turns. No seed is used twice: runs with the same episodes would not be independent."""
    return [
        Run(side, 2 * number + place, output / f"{side}_{2 * number + place}")
        for number in range(seeds)
        for place, side in enumerate(SIDES)
    ]


def write_config(source: str, run: Run, steps: int, batch_size: int) -> Path:
    """The config of a run: nothing is changed but its length, its batch, its seed, its folder, and what is logged."""
    content = yaml.safe_load(Path(find_config(source)).read_text(encoding="utf-8"))
    changes = shared_changes(run.folder / "run", steps, batch_size, "float32")
    changes |= {"seed_everything": run.seed, "checkpoint.every_n_train_steps": min(CHECKPOINT_EVERY, steps)}
    run.folder.mkdir(parents=True, exist_ok=True)
    path = run.folder / "config.yaml"
    write_text(path, yaml.safe_dump(changed(content, changes), sort_keys=False))
    return path


def train(run: Run, config: Path) -> Path:
    """Train in a process with one thread, on from where an earlier one stopped; the checkpoint, in Lightning's format.

    Raises:
        SystemExit: it failed.
    """
    own, root, trained = ("-m", "lightning_nsd"), run.folder / "run", run.folder / "trained"
    checkpoint = (root if run.side == "torch" else run.folder) / "last.ckpt"
    if trained.exists():
        return checkpoint
    if run.side == "torch":
        more = ["--ckpt_path=last"] if checkpoint.exists() else []
        commands = [[*own, "fit", f"--config={config}", *more]]
    else:
        more = ["--resume"] if (root / "last.orbax").exists() else []
        commands = [
            ["-m", "jax_reference", "fit", f"--config={config}", f"--output-dir={root}", *more],
            [*own, "convert", f"--input={root / 'last.orbax'}", f"--output={checkpoint}"],
        ]
        checkpoint.unlink(missing_ok=True)
    for command in commands:
        with (run.folder / "output.txt").open("a", encoding="utf-8") as file:
            environment = {**os.environ, **ONE_THREAD}
            done = subprocess.run(
                [sys.executable, *command], env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed: see {run.folder / 'output.txt'}. --resume goes on.")
    trained.touch()
    return checkpoint


def glyphs_for(model: FewShotDiffusion) -> Glyphs:
    """The letters at a model's size."""
    return Glyphs(image_size=model.image_size, n_shot=model.n_shot)


def validation_loss(model: FewShotDiffusion, data: Glyphs) -> float:
    """The loss of the moving average on episodes of held-out classes: the same ones, with the same noise, always."""
    images = data.image_set("val")
    generator = torch.Generator().manual_seed(0)
    classes = spread_classes(len(images), VAL_EPISODES, generator)
    index = sample_episodes(images, classes, data.n_shot + 1, generator)
    losses = []
    for number, part in enumerate(index.split(32)):
        x = to_unit_range(images.images[part])  # (b, n + 1, 1, H, W)
        shape, kind = model.model.context_noise_shape(x.shape[1]), model.model.context_noise_kind
        draws = draw(x, model.diffusion.num_steps, shape, 0.0, TorchSource(x, VALIDATION, number), kind)
        with torch.no_grad():
            terms = episode_loss(model.evaluation_model, model.diffusion, x, draws, model.kl_weight)
        losses.append(float(terms["loss"].mean()))
    return mean(losses)


def figures_of(run: Run, model: FewShotDiffusion, judge: Judge) -> dict[str, float]:
    """What is compared of a run."""
    sampler = choose_sampler(model, "dpm++", SAMPLER_STEPS, None)
    drawings = judge.draw(model, sampler, seed=0)
    said = judge.judge(drawings)
    distances = []
    for number, drawn in zip(judge.held_out.tolist(), drawings.drawn.flatten(1, 2), strict=True):
        real = judge.extractor.features(judge.fonts.of_class(number))
        distances.append(frechet_distance(judge.extractor.features(to_bytes(drawn)), real))
    losses = list(read_losses(next((run.folder / "run").rglob("metrics.csv"))).values())
    return {
        "read right": said["ratio"],
        "originality": said["originality"],
        "diversity": said["diversity"],
        "distance per class": mean(distances),
        "training loss": mean(losses[-max(1, round(LAST * len(losses))) :]),
        "validation loss": validation_loss(model, glyphs_for(model)),
    }


def same_settings(output: Path, settings: dict[str, Any], resume: bool) -> None:
    """Keep what is compared, or see that it is what was kept.

    Raises:
        SystemExit: a folder with runs without `--resume`, or with other settings.
    """
    kept = output / "settings.json"
    if kept.exists():
        if not resume:
            raise SystemExit(f"error: {output} holds runs: name another folder, or go on with --resume.")
        before = json.loads(kept.read_text(encoding="utf-8"))
        if odd := [f"{key} is {before.get(key)} there" for key in settings if before.get(key) != settings[key]]:
            raise SystemExit(f"error: {output} holds runs of another kind: {', '.join(odd)}.")
    output.mkdir(parents=True, exist_ok=True)
    write_text(kept, json.dumps(settings))


def show(found: dict[str, Agreement], title: str) -> Table:
    """The figures as a table."""
    table = Table("figure", *SIDES, "difference", "p", "verdict", title=title)
    for name, one in found.items():
        cells = [f"{i.mean:.4g} ± {i.half:.2g}" for i in (one.ours, one.theirs, one.difference)]
        table.add_row(name, *cells, f"{one.p:.2f}", "agree" if one.agree else "DIFFER")
    return table


def main(given: Sequence[str] | None = None) -> int:
    """Train, judge, compare; print the table. 1 where the sides differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="glyphs.yaml", help="of letters: its data is Glyphs")
    parser.add_argument("--steps", type=int, default=500, help="of every run; annealing ends with them")
    parser.add_argument("--batch_size", type=int, default=16, help="episodes")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each side")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, with one thread each")
    parser.add_argument("--sets", type=int, default=SETS, help="support sets of a letter")
    parser.add_argument("--classifier_steps", type=int, default=1500)
    parser.add_argument("--output", type=Path, default=Path("runs/outcome"))
    parser.add_argument("--resume", action="store_true", help="go on in a folder that holds runs")
    arguments = parser.parse_args(given)
    if arguments.seeds < 2:
        parser.error("--seeds: an interval needs two runs of each side at least")

    settings = {
        name: getattr(arguments, name) for name in ("config", "steps", "batch_size", "sets", "classifier_steps")
    }
    same_settings(arguments.output, settings, arguments.resume)
    runs = runs_of(arguments.output, arguments.seeds)
    left = [run for run in runs if not (run.folder / "figures.json").exists()]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        trained = pool.map(
            lambda run: train(run, write_config(arguments.config, run, arguments.steps, arguments.batch_size)), left
        )
        checkpoints = list(tqdm(trained, desc="trainings", total=len(runs), initial=len(runs) - len(left)))
    judge = None
    for run, checkpoint in zip(left, tqdm(checkpoints, desc="judging"), strict=True):
        model = lightning_nsd.load(checkpoint)
        judge = judge or Judge(glyphs_for(model), arguments.output, arguments.classifier_steps, arguments.sets)
        write_text(run.folder / "figures.json", json.dumps(figures_of(run, model, judge)))
    figures = {run: json.loads((run.folder / "figures.json").read_text(encoding="utf-8")) for run in runs}
    values = {
        side: {name: [found[name] for run, found in figures.items() if run.side == side] for name in figures[runs[0]]}
        for side in SIDES
    }
    found = compare(values["torch"], values["jax"])
    title = f"{Path(arguments.config).stem}, {arguments.steps} steps, {arguments.seeds} seeds a side"
    report = {"settings": settings, "runs": values, "figures": {k: one._asdict() for k, one in found.items()}}
    write_text(arguments.output / "outcome.json", json.dumps(report, indent=1))
    draw_figures(values, found, title, arguments.output / "outcome.png")
    Console(width=max(120, Console().width)).print(show(found, title))
    return 0 if all(one.agree for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
