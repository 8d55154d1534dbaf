"""Both packages have the same files, public names and constructor arguments, but for what is listed here."""

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

FOLDERS = ("model", "diffusion", "optim", "metrics", "metrics.extractors")
ONLY_TORCH = {
    "model.constant": None,  # tables on devices; JAX makes constants of NumPy arrays
    "diffusion.draws": None,  # torch's generators
    "diffusion.gaussian": {"Tables"},  # tables on devices
    "diffusion.sampler": {"StepTable"},  # one loop for all samplers; the reference has each paper's equation
    "optim.resume": None,  # what Lightning restores
    "model.guidance": {"check_guidance"},  # a sentence before training
    "metrics.feature_cache": None,  # features on disk
    "metrics.feature_distances": None,  # the shell of torchmetrics
    "metrics.extractors.build": None,  # networks by name
    "metrics.extractors.extractor": None,  # any network as an extractor; the reference has Inception alone
    "metrics.extractors.efficientnet_lite0": None,
    "metrics.extractors.glyphnet": None,
    "metrics.extractors.inception": {"FEATURES", "NAME", "REMEDY", "SHA256", "build"},  # torchmetrics has the network
}
ONLY_JAX = {
    "model.layers": None,  # torch's layers, written out
    "optim.adamw": None,  # torch's optimiser and Lightning's clipping, written out
    "diffusion.sampler": {"Step"},
    "model.attention": {"weighted_values"},  # torch has a fused operation
    "model.unet_blocks": {"Layer", "to_pixels", "to_tokens"},
    "metrics.frechet": {"Features"},  # a type
    "metrics.extractors.inception": {"CLASSES", "IMAGE_SIZE", "InceptionV3"},  # torchmetrics' network, written out
    "metrics.extractors.inception_blocks": None,  # its blocks
    "metrics.extractors.resize": None,  # a function of torch, and torch-fidelity's, written out
}
OTHER_ARGUMENTS = {"optim.groups.parameter_groups"}  # torch's groups hold the parameters, JAX's name them


def files(package: Any) -> set[str]:
    root = Path(package.__file__).parent
    return {f"{f}.{path.stem}" for f in FOLDERS for path in (root / f.replace(".", "/")).glob("*.py")} - {
        f"{folder}.__init__" for folder in FOLDERS
    }


def public_names(package: Any, module: str) -> set[str]:
    """Classes, functions and constants that a file defines."""
    source = (Path(package.__file__).parent / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    names: set[str] = set()
    for node in ast.parse(source).body:
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


SHARED = sorted(files(lightning_nsd) & files(jax_reference))


def test_both_packages_have_the_same_files() -> None:
    def whole(table: dict[str, Any]) -> set[str]:
        return {module for module, names in table.items() if names is None}

    assert files(lightning_nsd) - whole(ONLY_TORCH) == files(jax_reference) - whole(ONLY_JAX)


@pytest.mark.parametrize("module", SHARED)
def test_both_files_define_the_same_public_names(module: str) -> None:
    ours = public_names(lightning_nsd, module) - (ONLY_TORCH.get(module) or set())
    assert ours == public_names(jax_reference, module) - (ONLY_JAX.get(module) or set())


@pytest.mark.parametrize("module", SHARED)
def test_constructors_and_functions_take_the_same_arguments_with_the_same_defaults(module: str) -> None:
    ours = importlib.import_module(f"lightning_nsd.{module}")
    theirs = importlib.import_module(f"jax_reference.{module}")
    for name in public_names(lightning_nsd, module) & public_names(jax_reference, module):
        is_called = inspect.isclass(getattr(ours, name)) or inspect.isfunction(getattr(ours, name))
        if is_called and f"{module}.{name}" not in OTHER_ARGUMENTS:
            assert arguments(getattr(ours, name)) == arguments(getattr(theirs, name)), name


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_modules_have_the_same_attribute_names(name: str) -> None:
    pair = Pair(cases.EVERY_MODULE[name])
    assert [".".join(map(str, entry.path[:-1])) for entry in pair.table] == [
        entry.key.rpartition(".")[0] for entry in pair.table
    ]
