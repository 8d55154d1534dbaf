"""The list of mutants fits the code."""

from pathlib import Path

import lightning_nsd
from parity_tests.mutants.table import MUTANTS

PACKAGE = Path(lightning_nsd.__file__).parent


def test_every_mutant_replaces_text_that_stands_in_its_file_once() -> None:
    counts = {str(m): (PACKAGE / m.file).read_text(encoding="utf-8").count(m.original) for m in MUTANTS}
    assert {name: count for name, count in counts.items() if count != 1} == {}


def test_there_are_enough_mutants_and_each_is_another() -> None:
    assert len({str(mutant) for mutant in MUTANTS}) == len(MUTANTS) >= 40


def test_every_mutant_names_tests_that_exist() -> None:
    folder = Path(__file__).parent
    assert all((folder / test).is_file() for mutant in MUTANTS for test in mutant.tests)
