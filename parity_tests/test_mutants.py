"""The list of mutants fits the code."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lightning_nsd
from parity_tests.mutants import caught, precisions
from parity_tests.mutants.table import MUTANTS
from parity_tests.pair import Pair

PACKAGE = Path(lightning_nsd.__file__).parent


def test_every_mutant_replaces_text_that_stands_in_its_file_once() -> None:
    counts = {str(m): (PACKAGE / m.file).read_text(encoding="utf-8").count(m.original) for m in MUTANTS}
    assert {name: count for name, count in counts.items() if count != 1} == {}


def test_there_are_enough_mutants_and_each_is_another() -> None:
    assert len({str(mutant) for mutant in MUTANTS}) == len(MUTANTS) >= 40


def test_every_mutant_names_tests_that_exist() -> None:
    folder = Path(__file__).parent
    assert all((folder / test).is_file() for mutant in MUTANTS for test in mutant.tests)


@pytest.mark.parametrize(("dtype", "low"), [("float64", None), ("float32", None), ("float64", "tpu")])
def test_a_mistake_is_seen_where_it_is_made_and_nothing_without(
    dtype: Any, low: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blur(ours: Any) -> None:
        ours.model.denoiser.final.norm.eps = 0.1

    assert not caught.differ("ClassEmbedding-DiT", dtype, low)
    monkeypatch.setattr(caught, "Pair", partial(Pair, mutate=blur))
    assert caught.differ("ClassEmbedding-DiT", dtype, low)


def test_what_no_network_can_be_built_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("only one side has norm_2.weight")

    monkeypatch.setattr(caught, "Pair", fail)
    assert caught.differ("SetViT-DiT", "float64")


def test_the_table_of_precisions_counts_what_is_seen_and_names_what_is_missed() -> None:
    everywhere: dict[str, str | None] = dict.fromkeys(caught.PRECISIONS, "SetViT-DiT")
    page = precisions.as_markdown(MUTANTS[:2], [everywhere, {**everywhere, "bfloat16": None}])
    counts = next(line for line in page.splitlines() if line.startswith("| mistakes seen"))
    assert counts.count("2 of 2") == 5 and counts.count("1 of 2") == 1
    assert MUTANTS[0].original.strip() not in page and "| bfloat16 |" in page.splitlines()[-1]
