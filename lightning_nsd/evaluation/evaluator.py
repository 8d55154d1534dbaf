"""The evaluation itself: draw, compare, report, one class after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from tqdm.auto import tqdm

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.data.datamodule import SPLITS, EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.failure import Failures
from lightning_nsd.evaluation.feature_distances import FeatureDistances
from lightning_nsd.evaluation.generate import Drawn, Generator
from lightning_nsd.evaluation.plan import (
    Classes,
    Group,
    choose_classes,
    class_groups,
    lay_out,
    mixture_group,
    real_images,
)
from lightning_nsd.evaluation.report import Report, Row
from lightning_nsd.extractors import Extractor, build_extractor, check_name, distance_name, kernel_name
from lightning_nsd.extractors.feature_cache import FeatureCache
from lightning_nsd.model.guidance import check_guidance
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes

STRIP = 8
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}, {rate_fmt}"


class Settings(NamedTuple):
    """How classes are evaluated; see `PerClassFID`, whose arguments these are."""

    classes: Classes = None
    num_samples: int = 1024
    min_samples: int = 2
    batch_size: int = 128
    extractor: str = "inception"
    extractor_args: Mapping[str, Any] | None = None
    sampler: Sampler | None = None
    mixture_samples: int = 0
    strict: bool = False
    cache_dir: str | None = None


class _Subject(NamedTuple):
    """What is evaluated, and by whom."""

    module: FewShotDiffusion
    image_set: ImageSet
    groups: Sequence[Group]
    split: Split
    seed: int
    processes: Processes


def _class_names(data: EpisodeDataModule, split: Split, or_none: bool = False) -> list[str]:
    """All classes of a split, those included that are too small for an episode."""
    try:
        image_set = data.image_set(split)
    except UserError:
        if or_none:
            return []
        raise
    left_out = data.left_out.get(split, {})
    return sorted([*image_set.class_names, *left_out]) if left_out else list(image_set.class_names)


class Evaluator:
    """Evaluates the classes of a split, and remembers between evaluations what it has loaded and warned of.

    Args:
        settings: see there.
        on_round: called before every round of batches, by all processes; may raise to stop the evaluation.
        on_row: called on rank 0 with the report after every class.

    Raises:
        UserError: an extractor that is neither a known name nor a class path.
    """

    def __init__(
        self,
        settings: Settings,
        on_round: Callable[[], object] = lambda: None,
        on_row: Callable[[Report], object] = lambda report: None,
    ) -> None:
        check_name(settings.extractor)
        self.settings = settings
        self.on_round = on_round
        self.on_row = on_row
        self.failures = Failures(settings.strict)
        self.show_progress = True
        self.cache = FeatureCache(settings.cache_dir)
        self._extractor: Extractor | None = None
        self._said: set[str] = set()

    def extractor(self) -> Extractor:
        """The extractor, loaded at the first call.

        Raises:
            Exception: whatever goes wrong; a UserError says what to do.
        """
        if self._extractor is None:
            self._extractor = build_extractor(self.settings.extractor, self.settings.extractor_args)
        return self._extractor

    def groups(self, data: EpisodeDataModule, split: Split) -> list[Group]:
        """The classes that would be evaluated.

        Raises:
            UserError: a class asked for is in no split, or none of them in this one.
        """
        image_set, left_out = data.image_set(split), data.left_out.get(split, {})
        names = _class_names(data, split)

        def others() -> list[str]:
            return [name for other in SPLITS if other != split for name in _class_names(data, other, or_none=True)]

        chosen = choose_classes(names, self.settings.classes, data.eval_seed, split, others)
        return class_groups(
            image_set, left_out, chosen, self.settings.num_samples, self.settings.min_samples, data.n_shot
        )

    def check(self, module: FewShotDiffusion) -> None:
        """Whether the model can be drawn from as the settings ask.

        Raises:
            UserError: impossible steps, or guidance for a model without a null context.
        """
        if self.settings.sampler is not None:
            has_null_context = module.model.null_context is not None
            check_guidance(self.settings.sampler.guidance, has_null_context, "fid.sampler.guidance")
            self.settings.sampler.chain(module.diffusion)  # impossible steps are an error at once

    @torch.no_grad()
    def run(
        self, module: FewShotDiffusion, data: EpisodeDataModule, split: Split, step: int, processes: Processes
    ) -> Report:
        """Evaluate a split; the same report on every process, the strips of images included.

        Raises:
            UserError: a class asked for is in no split, or none of them in this one; or see `check`.
            EvaluationError: something failed, and `strict`.
        """
        self.check(module)
        settings = self.settings
        sampler = settings.sampler or module.sampler
        groups = self.groups(data, split)
        report = Report(
            split, step, distance_name(settings.extractor), kernel_name(settings.extractor), settings.num_samples,
            {"extractor": settings.extractor, "extractor_args": dict(settings.extractor_args or {}),
             "sampler": describe(sampler), "n_shot": module.n_shot, "batch_size": settings.batch_size,
             "seed": data.eval_seed},
        )  # fmt: skip
        self._warn_of_small(groups, split)
        messages = processes.gather_objects(self._load_extractor())
        self.failures.raise_together(messages)
        broken = next((message for message in messages if message), "")
        if broken:
            report.rows = [Row(group.name, group.available, 0, reason=broken, failed=True) for group in groups]
        else:
            self._compare(
                _Subject(module, data.image_set(split), groups, split, data.eval_seed, processes), report, report.rows
            )
            for name, part in self._mixtures(split):
                mixture = [mixture_group(data.image_set(part), name, settings.mixture_samples)]
                subject = _Subject(module, data.image_set(part), mixture, part, data.eval_seed, processes)
                self._compare(subject, report, report.mixture)
        order = {group.name: number for number, group in enumerate(groups)}
        report.rows.sort(key=lambda row: order[row.name])
        report.complete = True
        self._say_what_to_trust(report)
        return report

    def _load_extractor(self) -> str:
        try:
            self.extractor()
        except Exception as error:
            return self.failures.note(error, f"The extractor {self.settings.extractor} could not be loaded.")
        return ""

    def _mixtures(self, split: Split) -> list[tuple[str, Split]]:
        """In distribution are the training classes, out of distribution those of the split that is evaluated."""
        return [("mixture_in", "train"), ("mixture_out", split)] if self.settings.mixture_samples else []

    # ---- one list of groups ----

    def _compare(self, subject: _Subject, report: Report, rows: list[Row]) -> None:
        """Draw the images of all groups, and compare as many groups at once as there are processes."""
        module, image_set, groups, split, seed, processes = subject
        rows += [Row(group.name, group.available, 0, reason=group.reason) for group in groups if not group.n]
        work = lay_out(image_set, groups, module.n_shot, seed, split)
        total = len(work.support) * module.n_shot
        hidden = processes.rank > 0 or not self.show_progress
        with tqdm(total=total, unit="image", bar_format=_BAR, disable=hidden, leave=False) as bar:

            def before(owners: Sequence[int]) -> None:
                bar.set_description(f"{report.distance} {split} {groups[owners[-1]].name}")

            generator = Generator(
                module, self.settings.sampler, self.settings.batch_size, seed, self.failures, self.on_round, before,
                lambda images: bar.update(min(images * processes.size, total - bar.n)),
            )  # fmt: skip
            waiting: list[Drawn] = []
            left = sum(group.n > 0 for group in groups)
            for completed in generator.draw(image_set, groups, work, split, processes):
                waiting += completed
                while len(waiting) >= processes.size or (waiting and len(waiting) == left):
                    now, waiting = waiting[: processes.size], waiting[processes.size :]
                    left -= len(now)
                    rows += self._rows(subject, now)
                    if processes.rank == 0:
                        self.on_row(report)

    def _rows(self, subject: _Subject, drawn: Sequence[Drawn]) -> list[Row]:
        """At most one group for each process; every process gets all rows."""
        processes = subject.processes
        mine = self._row(subject, drawn[processes.rank]) if processes.rank < len(drawn) else None
        rows = [row for row in processes.gather_objects(mine) if row is not None]
        self.failures.raise_together(f"{row.name}: {row.reason}" for row in rows if row.failed)
        return rows

    def _row(self, subject: _Subject, drawn: Drawn) -> Row:
        group = subject.groups[drawn.group]
        strip = drawn.images[:STRIP].clone()
        if drawn.error:
            return Row(group.name, group.available, group.n, reason=drawn.error, failed=True)
        try:
            device = subject.module.device
            metric = FeatureDistances(self.extractor(), self.cache, sync_on_compute=False).to(device)
            metric.update(real_images(subject.image_set, group, subject.seed, subject.split), real=True)
            metric.update(drawn.images, real=False)
            return Row(group.name, group.available, group.n, metric.compute(), strip=strip)
        except Exception as error:
            message = self.failures.note(error, f"The class {group.name} ({subject.split}) could not be compared.")
            return Row(group.name, group.available, group.n, reason=message, failed=True, strip=strip)

    # ---- what is said, once ----

    def _once(self, key: str) -> bool:
        is_new = key not in self._said
        self._said.add(key)
        return is_new

    def _warn_of_small(self, groups: Sequence[Group], split: Split) -> None:
        asked, name = self.settings.num_samples, distance_name(self.settings.extractor)
        for group in groups:
            if group.reason and self._once(f"{split}/{group.name}"):
                rank_zero_warn(f"{name} of {group.name} ({split}) is NaN: {group.reason}; {asked} were asked for.")
            elif group.n < asked and self._once(f"{split}/{group.name}"):
                rank_zero_warn(
                    f"{name} of {group.name} ({split}): the class has {group.available} images, {asked} were asked "
                    f"for; {group.n} real ones are compared with {group.n} generated ones."
                )

    def _say_what_to_trust(self, report: Report) -> None:
        dim = getattr(self._extractor, "dim", None)
        if dim and report.sizes and report.sizes[0] <= dim and self._once("rank"):
            rank_zero_info(
                f"{report.distance}: {report.sizes[0]} images of a class are no more than the {dim} features, so that "
                f"the covariance has not full rank and the distance is biased upwards; trust {report.kernel} more."
            )
        if len(report.sizes) > 1 and self._once("sizes"):
            rank_zero_warn(
                f"{report.distance}: the classes have different numbers of images ({report.sizes[0]} to "
                f"{report.sizes[-1]}), and its bias depends on that number: mean and median mix them. {report.kernel} "
                "has no such bias."
            )
