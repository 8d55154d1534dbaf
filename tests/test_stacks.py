"""Which versions the package is held to: the pinned ones and their lock file, the lowest and the newest."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED_EXTRAS = ("dev", "jax", "efficientnet", "tensorboard", "trackio", "mlflow", "xla")
lowest_versions = runpy.run_path(str(ROOT / "scripts" / "lowest_versions.py"))["lowest_versions"]


def locked() -> dict[str, list[Version]]:
    """The versions of every package in the lock file: more than one where they differ by platform."""
    found: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(Version(version))
    return found


def requirements(*extras: str) -> list[Requirement]:
    """What the package and some of its extras name, but for the package itself."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]


# ---- the lock file of the pinned stack ----


@pytest.mark.parametrize("requirement", requirements(*LOCKED_EXTRAS), ids=lambda requirement: requirement.name)
def test_the_lock_has_what_pyproject_names_in_versions_that_it_admits(requirement: Requirement) -> None:
    versions = locked().get(canonicalize_name(requirement.name), [])
    assert versions, "run `make lock`"
    assert all(version in requirement.specifier for version in versions)


def test_the_lock_has_every_version_that_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    assert {pin.name for pin in pins} >= {"torch", "jax"}
    for pin in pins:
        assert [f"=={version}" for version in locked()[pin.name]] == [str(pin.specifier)]


def test_every_package_of_the_lock_has_hashes_and_none_a_place() -> None:
    packages = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(packages) > 100
    for package in packages:
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", package, re.MULTILINE), package
    assert "://" not in LOCK and " @ " not in LOCK


def test_the_lock_is_of_what_is_set_up() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    extras = re.search(r"^EXTRAS := (\S+)$", makefile, re.MULTILINE)[1]
    assert tuple(f"{extras},xla".split(",")) == LOCKED_EXTRAS
    assert "install -q -e '.[$(EXTRAS),xla]' -c constraints.txt" in makefile
    assert "--extra $(EXTRAS),xla -c constraints.txt" in makefile


# ---- the lowest versions ----


def test_every_package_without_a_version_of_its_own_has_a_lower_bound() -> None:
    lowest = lowest_versions((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in requirements(*EXTRAS):
        if not str(requirement.specifier).startswith("=="):
            assert Version(lowest[requirement.name]) in requirement.specifier


def test_a_package_with_two_lower_bounds_is_an_error() -> None:
    extras = {"a": '["numpy>=2"]', "b": '["numpy[x]>=2.1,<3"]'}
    text = '[project]\ndependencies = ["torch>=2.9"]\n[project.optional-dependencies]\n'
    assert lowest_versions(f"{text}a = {extras['a']}") == {"torch": "2.9", "numpy": "2"}
    with pytest.raises(ValueError, match=r"numpy has two lower bounds: 2 and 2\.1"):
        lowest_versions(f"{text}a = {extras['a']}\nb = {extras['b']}")


# ---- what runs them ----


def test_every_stack_is_tested_at_every_push() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["include"]
    targets = {target for stack in matrix for target in stack["make"].split()}
    assert targets == {"test", "setup-locked", "test-newest", "test-lowest"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert {stack["python-version"] for stack in matrix if "test-lowest" in stack["make"]} == {oldest}
