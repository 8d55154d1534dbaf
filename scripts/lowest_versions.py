"""Constraints for pip: the lowest version that pyproject.toml admits of each package that it names.

    python scripts/lowest_versions.py pyproject.toml > lowest.txt

What the packages need themselves stays free, so that the newest of it that fits is installed.
"""

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

BOUND = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)")


def lowest_versions(pyproject: str) -> dict[str, str]:
    """The lower bound of every requirement that has one, of the package and of its extras, by name.

    Args:
        pyproject: the file's text.

    Raises:
        ValueError: a package has two of them.
    """
    project = tomllib.loads(pyproject)["project"]
    found: dict[str, str] = {}
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        if bound := BOUND.match(requirement):
            name, version = bound.groups()
            if found.setdefault(name, version) != version:
                raise ValueError(f"{name} has two lower bounds: {found[name]} and {version}.")
    return found


if __name__ == "__main__":
    for name, version in lowest_versions(Path(sys.argv[1]).read_text(encoding="utf-8")).items():
        print(f"{name}=={version}")
