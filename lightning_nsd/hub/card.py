"""The card of a model: what a stranger needs to know before taking it."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lightning_nsd import __version__
from lightning_nsd.checkpoints.hub_config import FORMAT, DataSet
from lightning_nsd.checkpoints.hub_folder import PICTURES
from lightning_nsd.checkpoints.places import NEEDS_HUB
from lightning_nsd.errors import UserError
from lightning_nsd.hub.data_sets import Source, source_of
from lightning_nsd.hub.run import RunOutputs
from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.module import FewShotDiffusion

FOLDED = 12
"""Rows of a table, or names, from which on it is folded away."""
TASK = "image-to-image"
SPLITS = {"train": "training", "val": "validation", "test": "test"}


class About(NamedTuple):
    """What a card says beside what the model and its run say themselves.

    Attributes:
        name: of the model.
        address: by which the examples load it.
        licence: of the weights, as hubs name it, such as `apache-2.0`.
        dtype: in which the weights are stored.
        steps: optimiser steps that they have taken.
        trained_by: the command that trained it; empty where it is not told.
    """

    name: str
    address: str
    licence: str
    dtype: str
    steps: int
    trained_by: str = ""

    @classmethod
    def of(
        cls, name: str, address: str, steps: int, dtype: str | None, licence: str | None, trained_by: str | None
    ) -> "About":
        """With what is not given as it is by default; the name is the last part of a path or of a repository's."""
        return cls(name.rpartition("/")[2], address, licence or "unknown", dtype or "float32", steps, trained_by or "")


def model_card(module: FewShotDiffusion, data: DataSet | None, run: RunOutputs, about: About) -> str:
    """The text of a `README.md`: metadata as YAML, then Markdown.

    Args:
        module: the model.
        data: what it was trained on, where that is known.
        run: what its run's folder holds of these weights.
        about: the rest.

    Raises:
        UserError: the library that writes the metadata is not there.
    """
    source = source_of(data.name) if data else source_of("")
    parts = [
        f"---\n{_metadata(data, source, run, about)}\n---",
        f"# {about.name}",
        _what(module),
        *_pictures(run),
        "## How to use",
        *_use(module, about.address),
        "## Data",
        *_data(module, data, source),
        "## Figures",
        *_figures(run),
        "## How it was made",
        _made(module, about),
        "## Limits",
        _limits(module, about),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(data: DataSet | None, source: Source, run: RunOutputs, about: About) -> str:
    try:
        from huggingface_hub import EvalResult, ModelCardData
    except ImportError as error:
        raise UserError(NEEDS_HUB) from error
    name = data.name if data else "unknown"
    results = []
    for table in run.tables:
        mean = table.summary.get("mean")
        if mean is not None:
            figure = EvalResult(
                task_type=TASK,
                dataset_type=source.on_hub or name.lower(),
                dataset_name=name,
                dataset_split=table.split,
                metric_type=table.distance,
                metric_name=f"mean {table.distance} of {len(table.rows)} classes",
                metric_value=mean,
            )
            results.append(figure)
    metadata = ModelCardData(
        library_name=FORMAT,
        license=about.licence,
        pipeline_tag=TASK,
        tags=["few-shot", "diffusion", "pytorch", "lightning"],
        datasets=[source.on_hub] if source.on_hub else None,
        model_name=about.name if results else None,
        eval_results=results or None,
    )
    return metadata.to_yaml()


def _kind(module: FewShotDiffusion) -> str:
    colour = "grey" if module.channels == 1 else "RGB"
    return f"{module.image_size} × {module.image_size} pixels, {colour}"


def _what(module: FewShotDiffusion) -> str:
    count = sum(parameter.numel() for parameter in module.model.parameters())
    if isinstance(module.model.encoder, ClassEmbedding):
        draws = "A diffusion model that draws new images of one of the classes of its training, chosen by number"
    elif module.model.encoder is None:
        draws = "An unconditional diffusion model, which sees nothing of a class but what ILVR shows it"
    else:
        draws = (
            f"A few-shot diffusion model: {module.n_shot} pictures of something in, new pictures of the same thing "
            "out, for classes that training never saw"
        )
    return f"{draws} ({_kind(module)}; {count / 1e6:.1f} M parameters). A model of lightning-nsd."


def _pictures(run: RunOutputs) -> Iterator[str]:
    if run.pictures:
        yield "## Pictures"
        yield "Each row is a class: its examples on the left of the rule, what the model drew from them on the right."
    for path in run.pictures:
        split = SPLITS[path.name.partition("_")[0]]
        seen = "seen in training" if split == "training" else "which training never saw"
        yield f"Classes of the {split} split, {seen}:"
        yield f"![Images of the {split} split](./{PICTURES}/{path.name})"


def _use(module: FewShotDiffusion, address: str) -> Iterator[str]:
    beside = {
        name: f"data/{name}" for name in ("autoencoder", "backbone") if module.hyperparameters.get(name) is not None
    }
    options = "".join(f" --{name} {place}" for name, place in beside.items())
    arguments = "".join(f', {name}="{place}"' for name, place in beside.items())
    of_class = isinstance(module.model.encoder, ClassEmbedding)
    shown = "--class_number 0" if of_class else "--support data/five_pictures"
    if beside:
        yield f"The model needs {' and '.join(beside)} beside it, which its folder does not hold; name where they are."
    if not of_class:
        size = "any number of" if module.takes_any_set_size else str(module.n_shot)
        yield f"`data/five_pictures` is a folder of {size} pictures of one class; they are cut and resized."
    yield (
        "```bash\n"
        f"python -m lightning_nsd sample --ckpt_path {shlex.quote(address)} {shown}{options} --num 18 --out grid.png\n"
        "```"
    )
    lines = ["import lightning_nsd"]
    load = f"model = lightning_nsd.load({json.dumps(address, ensure_ascii=False)}{arguments})"
    if of_class:
        lines = ["import torch", "", *lines, "", load]
        lines += ["images = model.sample(torch.tensor([0]), num=18)  # (1, 18, C, H, W) in [-1, 1]"]
    else:
        lines = ["from pathlib import Path", "", *lines]
        lines += ["from lightning_nsd.commands.sample import read_support", "", load]
        lines += ['support = read_support(Path("data/five_pictures"), model.image_size, model.channels)']
        lines += ["images = model.sample(support[None], num=18)  # (1, 18, C, H, W) in [-1, 1]"]
    yield "\n".join(["```python", *lines, "```"])
    extra = "[hub]" if address.startswith("hf://") else ""
    yield f"Both need lightning-nsd: `pip install 'lightning-nsd{extra}'`."


def _data(module: FewShotDiffusion, data: DataSet | None, source: Source) -> Iterator[str]:
    if data is None:
        yield "Not known: the weights were taken from a file outside of a run's folder. Licence of the data: unknown."
        return
    rows = [("data set", f"`{_cell(data.name)}`: {source.what}"), ("licence of the data", source.licence)]
    rows += [("images", f"{_kind(module)}; bytes / 127.5 − 1, in [-1, 1]")]
    rows += [("settings", ", ".join(f"`{_cell(name)}: {_cell(value)}`" for name, value in data.settings.items()))]
    sizes = [f"{len(names)} {SPLITS[split]}" for split, names in data.classes.items()]
    rows += [("split by class", ", ".join(sizes) or "the classes were not at hand when this card was written")]
    yield _table(("", ""), rows)
    for split, names in data.classes.items():
        yield _folded(f"Classes: {SPLITS[split]}", ", ".join(f"`{_cell(name)}`" for name in names), len(names))


def _figures(run: RunOutputs) -> Iterator[str]:
    if not run.tables:
        yield "None: no distances of these weights lay in the run's folder."
        return
    yield (
        "Of every class, images drawn from its examples are compared with real ones. Distances of other extractors, "
        "sizes or numbers of images (n) are not comparable."
    )
    for table in run.tables:
        low, high = table.summary.get("mean_low"), table.summary.get("mean_high")
        between = f" (95 %: {_number(low)} to {_number(high)})" if low is not None and high is not None else ""
        broken_off = "" if table.complete else "; the evaluation was broken off"
        yield (
            f"**{SPLITS.get(table.split, table.split)}**, {len(table.rows)} classes, up to {table.num_samples} images "
            f"each: mean {table.distance} {_number(table.summary.get('mean'))}{between}{broken_off}."
        )
        cells = [[_number(value) for value in row] for row in table.rows]
        yield _folded(f"Every class of {table.split}", _table(table.headings, cells), len(cells))


def _made(module: FewShotDiffusion, about: About) -> str:
    parts = {name: _part(module.hyperparameters.get(name)) for name in ("encoder", "context", "denoiser", "sampler")}
    rows = [
        ("trained", f"{about.steps:,} steps of the optimiser"),
        *([("command", f"`{_cell(about.trained_by)}`")] if about.trained_by else []),
        ("weights", f"the moving average (EMA) that evaluation draws with, stored as {about.dtype}"),
        *[(name, f"`{part}`") for name, part in parts.items() if part],
        ("written by", f"lightning-nsd {__version__}: `convert --format hub`"),
    ]
    return _table(("", ""), rows)


def _limits(module: FewShotDiffusion, about: About) -> str:
    limits = [f"It draws {_kind(module)}, and nothing larger."]
    if isinstance(module.model.encoder, ClassEmbedding):
        limits.append("It knows the classes of its training alone.")
    else:
        limits.append(
            "What lies far from its data is drawn badly: classes of another kind, photographs for a model of drawings."
        )
    if not module.takes_any_set_size:
        limits.append(f"Its support sets have {module.n_shot} images: that number is part of the weights.")
    if about.dtype != "float32":
        limits.append(
            f"The weights are rounded to {about.dtype} and computed with in float32: pictures differ a little from "
            "those of the checkpoint."
        )
    limits.append("The figures are of held-out classes of its own data set, and say nothing about other data.")
    limits.append("It was not examined for bias, nor for whether it repeats images of its training.")
    return "\n".join(f"* {limit}" for limit in limits)


# ---- Markdown ----


def _part(described: Any) -> str:
    """The name of a part's class; empty where there is none."""
    return str(described["class_path"]).rpartition(".")[2] if isinstance(described, Mapping) else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _folded(title: str, text: str, size: int) -> str:
    if size < FOLDED:
        return f"{title}:\n\n{text}"
    return f"<details><summary>{title} ({size})</summary>\n\n{text}\n\n</details>"


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else f"`{_cell(value)}`"


def _cell(value: Any) -> str:
    """A text that is somebody else's within a table and within backticks: it ends neither."""
    return re.sub(r"[`|<>\s]+", " ", str(value)).strip()[:200]
