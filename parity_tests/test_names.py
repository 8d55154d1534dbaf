"""Both packages have the same rooms: in them the same files, public names, arguments and attributes."""

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import jax_reference
import lightning_nsd
from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.shapes import shapes_of

ROOMS = ("model", "diffusion", "training", "metrics")
NOT_IMPORTED = ("__init__", "__main__")  # what a package says of itself, and what it runs


def root(package: Any) -> Path:
    return Path(package.__file__).parent


def files(package: Any) -> set[str]:
    """Every file of a package, as a module inside it."""
    paths = (path.relative_to(root(package)) for path in root(package).rglob("*.py") if path.stem not in NOT_IMPORTED)
    return {".".join(path.with_suffix("").parts) for path in paths}


def in_rooms(modules: set[str]) -> set[str]:
    return {module for module in modules if module.partition(".")[0] in ROOMS and "." in module}


def source(package: Any, module: str) -> ast.Module:
    path = root(package) / f"{module.replace('.', '/')}.py"
    return ast.parse(path.read_text(encoding="utf-8"))


def public_names(package: Any, module: str) -> set[str]:
    """Classes, functions and constants that a file defines."""
    names: set[str] = set()
    for node in source(package, module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def arguments(function: Any) -> dict[str, Any]:
    """A function's arguments and their defaults, or those of a class's constructor; `rngs` is how flax is seeded."""
    called = function.__init__ if inspect.isclass(function) else function
    parameters = inspect.signature(called).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return {p.name: p.default for p in named if p.name not in ("self", "rngs")}


def methods(of: type) -> dict[str, Any]:
    """The arguments of every public method that a class itself defines; torch calls `forward` what flax calls."""
    functions = {"forward" if name == "__call__" else name: value for name, value in vars(of).items()}
    return {
        name: arguments(value)
        for name, value in functions.items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


SHARED = sorted(files(lightning_nsd) & files(jax_reference))  # outside the rooms too: one name is one thing


def test_both_packages_have_the_same_files_in_every_room() -> None:
    assert in_rooms(files(lightning_nsd)) == in_rooms(files(jax_reference))
    assert {module.partition(".")[0] for module in in_rooms(files(lightning_nsd))} == set(ROOMS)


@pytest.mark.parametrize("module", SHARED)
def test_files_of_one_name_define_the_same_public_names(module: str) -> None:
    assert public_names(lightning_nsd, module) == public_names(jax_reference, module)


@pytest.mark.parametrize("module", SHARED)
def test_constructors_and_functions_take_the_same_arguments_with_the_same_defaults(module: str) -> None:
    ours = importlib.import_module(f"lightning_nsd.{module}")
    theirs = importlib.import_module(f"jax_reference.{module}")
    for name in public_names(lightning_nsd, module) & public_names(jax_reference, module):
        if inspect.isclass(getattr(ours, name)) or inspect.isfunction(getattr(ours, name)):
            assert arguments(getattr(ours, name)) == arguments(getattr(theirs, name)), name


@pytest.mark.parametrize("module", SHARED)
def test_classes_have_the_same_public_methods_with_the_same_arguments(module: str) -> None:
    ours = importlib.import_module(f"lightning_nsd.{module}")
    theirs = importlib.import_module(f"jax_reference.{module}")
    for name in public_names(lightning_nsd, module) & public_names(jax_reference, module):
        if inspect.isclass(getattr(ours, name)):
            assert methods(getattr(ours, name)) == methods(getattr(theirs, name)), name


@pytest.mark.parametrize("package", [lightning_nsd, jax_reference], ids=lambda package: package.__name__)
def test_diffusion_knows_no_network(package: Any) -> None:
    for module in sorted(in_rooms(files(package))):
        if module.startswith("diffusion."):
            imported = [n.module for n in ast.walk(source(package, module)) if isinstance(n, ast.ImportFrom)]
            assert not [name for name in imported if str(name).startswith(f"{package.__name__}.model")], module


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_modules_have_the_same_attribute_names(name: str) -> None:
    pair = Pair(cases.EVERY_MODULE[name])
    for match in pair.key_map.matches:
        (key,), (path,) = match.keys, match.paths
        assert path.rpartition("/")[0].replace("/", ".") == key.rpartition(".")[0]


def promised(of: Any) -> dict[str, dict[str, str]]:
    """The shapes of a function, or of a class's fields, constructor and public methods: of those that have any."""
    functions = {of.__name__: of}
    if inspect.isclass(of) and not issubclass(of, tuple):
        named = {"forward" if name == "__call__" else name: value for name, value in vars(of).items()}
        functions = {n: f for n, f in named.items() if inspect.isfunction(f) and (n == "__init__" or n[0] != "_")}
    return {name: found for name, function in functions.items() if (found := shapes_of(function))}


@pytest.mark.parametrize("module", sorted(in_rooms(files(lightning_nsd))))
def test_functions_classes_and_networks_promise_the_same_shapes(module: str) -> None:
    ours = importlib.import_module(f"lightning_nsd.{module}")
    theirs = importlib.import_module(f"jax_reference.{module}")
    for name in public_names(lightning_nsd, module) & public_names(jax_reference, module):
        if inspect.isclass(getattr(ours, name)) or inspect.isfunction(getattr(ours, name)):
            assert promised(getattr(ours, name)) == promised(getattr(theirs, name)), name
