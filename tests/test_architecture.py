"""What may import what: every file is held to the tables of docs/architecture.md."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("lightning_nsd", "jax_reference", "parity_tests")
LAYERED = ("lightning_nsd", "jax_reference")
FILES = [path.relative_to(ROOT).as_posix() for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def rows(heading: str) -> list[list[list[str]]]:
    """The table under a heading: of each row's cells the words in backticks, or the cell as it is where it has none."""
    section = PAGE.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[re.findall(r"`([^`]+)`", cell) or [cell.strip()] for cell in line] for line in lines[2:]]


def layers(package: str) -> dict[str, int]:
    """The layer of every room, by its path."""
    return {f"{package}/{room}": int(layer) for (layer,), (room,), _ in rows(package)}


def room_of(file: str, rooms: Sequence[str]) -> str | None:
    """The most exact of the rooms that a file stands in."""
    found = [room for room in rooms if file == room or (room.endswith("/") and file.startswith(room))]
    return max(found, key=len, default=None)


@cache
def imports(file: str) -> frozenset[str]:
    """Every module that a file imports, in functions too: `from a import b` is a.b where b is a module.

    What stands under `if TYPE_CHECKING` is never imported.
    """
    found: set[str] = set()
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    branches = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    for_types = {node for branch in branches for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import"
            joined = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if file_of(name) else str(node.module) for name in joined}
    return frozenset(found)


def file_of(module: str) -> str | None:
    """The file of one of our modules."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in FILES), None)


def imported_files(file: str) -> Iterator[str]:
    """Files of ours that a file imports; the package itself, which comes with each of them, is not counted."""
    for module in imports(file):
        target = file_of(module)
        if target and module not in PACKAGES:
            yield target


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(LAYERED)])
def test_a_file_imports_from_lower_layers_alone(file: str) -> None:
    of_layer = layers(file.partition("/")[0])
    room = room_of(file, list(of_layer))
    assert room, f"{file} stands in no room of docs/architecture.md"
    for target in imported_files(file):
        other = room_of(target, list(of_layer))
        if other and other != room:
            assert of_layer[other] < of_layer[room], f"{file} imports {target}"


def test_every_room_of_the_tables_is_there() -> None:
    for package in LAYERED:
        for room in layers(package):
            assert (ROOT / room).exists(), room


def test_no_file_imports_itself_by_way_of_others() -> None:
    done: set[str] = set()

    def visit(file: str, way: tuple[str, ...]) -> None:
        assert file not in way, " → ".join((*way[way.index(file) :], file))
        if file not in done:
            for target in imported_files(file):
                visit(target, (*way, file))
            done.add(file)

    for file in FILES:
        visit(file, ())


def names(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("row", rows("What is imported in one place alone"), ids=lambda row: ", ".join(row[0]))
def test_what_has_one_place_is_imported_there_alone(row: list[list[str]]) -> None:
    packages, places = row
    users = {file for file in FILES if any(names(module, packages) for module in imports(file))}
    assert {file for file in users if not room_of(file, places)} == set()
    assert {room_of(file, places) for file in users} == set(places)


@pytest.mark.parametrize("row", rows("What a room does without"), ids=lambda row: row[0][0])
def test_a_room_does_without(row: list[list[str]]) -> None:
    places, packages, allowed = row
    for file in (file for file in FILES if room_of(file, places)):
        for module in imports(file):
            assert not names(module, packages) or names(module, allowed), f"{file} imports {module}"


def test_imports_are_found_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.py").write_text(
        "import a.b\nfrom c import d, e\nfrom lightning_nsd import data\n\n\ndef f():\n    from g.h import i\n\n\n"
        "if TYPE_CHECKING:\n    from j import k\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert imports("file.py") == {"a.b", "c", "lightning_nsd.data", "g.h"}
