"""A hook of mkdocs: a page for every room of docs/architecture.md, with all that is public in it.

The pages are made, so that a new file stands in them by itself. What has no docstring is a warning, which `mkdocs build
--strict` takes for an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

PACKAGES = ("lightning_nsd", "jax_reference")
NAV = "API"
"""The title in mkdocs.yml's `nav` that the pages come under."""
log = get_plugin_logger("api_pages")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages in the navigation."""
    root = Path(config.config_file_path).parent
    entries = [{package: [{title: page} for title, page, _ in pages(root, package)]} for package in PACKAGES]
    config.nav = [{NAV: entries} if entry == {NAV: []} else entry for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    root = Path(config.config_file_path).parent
    for package in PACKAGES:
        for path in undocumented(griffe.load(package, search_paths=[root], try_relative_path=False)):
            log.warning("no docstring: %s", path)
        for _, page, text in pages(root, package):
            files.append(File.generated(config, page, content=text))
    return files


def pages(root: Path, package: str) -> Iterator[tuple[str, str, str]]:
    """Title, place and text of every page of a package: its own files first, then a room after the other."""
    purposes = dict(rooms(root, package))
    folders = sorted(room for room in purposes if room.endswith("/"))
    own = sorted({path.name for path in (root / package).glob("*.py")} - {"__main__.py"})
    yield package, f"api/{package}/index.md", page(package, "", [module(package, name) for name in own])
    for folder in folders:
        deeper = [other for other in folders if other.startswith(folder) and other != folder]
        files = [path.relative_to(root / package).as_posix() for path in (root / package / folder).rglob("*.py")]
        files = sorted(file for file in files if not file.startswith(tuple(deeper)) and "__init__" not in file)
        title = folder.rstrip("/")
        text = page(title, purposes[folder], [module(package, file) for file in files])
        yield title, f"api/{package}/{title.replace('/', '_')}.md", text


def rooms(root: Path, package: str) -> Iterator[tuple[str, str]]:
    """Every room of a package and what it is for, from the table of docs/architecture.md."""
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split(f"### {package}\n")[1].split("\n#")[0]
    yield from re.findall(r"^\| \d+ \| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)


def module(package: str, file: str) -> str:
    """The name of the module that a file of a package is."""
    return ".".join([package, *file.removesuffix(".py").split("/")]).removesuffix(".__init__")


def page(title: str, purpose: str, modules: list[str]) -> str:
    """A page of modules."""
    return "\n\n".join([f"# {title}", *filter(None, [purpose]), *(f"::: {name}" for name in modules)]) + "\n"


def undocumented(found: griffe.Object | griffe.Alias) -> Iterator[str]:
    """The paths of all public modules, classes and functions without a docstring.

    A method may do without: what it overrides has one, or its class says it.
    """
    for name, member in found.members.items():
        if member.is_alias or name.startswith("_") or not (member.is_module or member.is_class or member.is_function):
            continue
        if not member.has_docstring and not (member.is_function and found.is_class):
            yield member.path
        if not member.is_function:
            yield from undocumented(member)
