"""The site: all that people read is in it, nothing of it comes from elsewhere, and what is broken is an error."""

import html
import logging
import re
import runpy
import shutil
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parent.parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
CODE = (
    "lightning_nsd/__init__.py",
    "lightning_nsd/metrics/__init__.py",
    "lightning_nsd/metrics/frechet.py",
    "lightning_nsd/tables/__init__.py",
    "lightning_nsd/tables/sent.py",
    "jax_reference/__init__.py",
)


def build_site(root: Path, site: Path) -> None:
    """As `make docs` does.

    Raises:
        Abort: a warning.
    """
    build(load_config(str(root / "mkdocs.yml"), strict=True, site_dir=str(site)))


# ---- the whole site ----


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    build_site(ROOT, folder)
    return folder


def text_of(page: Path) -> str:
    """A page's text without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_page_and_notebook_is_in_the_site(site: Path) -> None:
    names = {"index", "contributing", "changelog"} | {path.stem for path in (ROOT / "docs").glob("*.md")}
    names |= {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    for name in names:
        assert (site / f"{name}.html").is_file(), name
    assert 'href="glyphs.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_the_api_has_every_public_module_with_its_shapes(site: Path) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (site / "api").rglob("*.html"))
    for package in ("lightning_nsd", "jax_reference"):
        for path in (ROOT / package).rglob("*.py"):
            if path.stem not in ("__init__", "__main__"):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                assert f'id="{name}"' in pages, name
    assert 'images: Float[Tensor, "B N C H W"]' in text_of(site / "api" / "lightning_nsd" / "model.html")


def test_the_site_asks_no_other_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe|source)[^>]* src="?(?:https?:)?//[^>]*>', text), path
        assert not re.findall(r'<link[^>]* href="?(?:https?:)?//[^>]*>', text), path
        assert 'class="mermaid"' not in text, path  # for which the theme would fetch a script


def test_a_flowchart_is_drawn_and_a_notebook_shows_what_it_keeps(site: Path) -> None:
    chart = (site / "architecture.html").read_text(encoding="utf-8")
    assert chart.count('class="edge"') == 20 and ">module.py</text>" in chart
    notebook = (site / "notebooks" / "few_shot_in_five_minutes.html").read_text(encoding="utf-8")
    assert notebook.count('src="data:image/png;base64,') == 6


def test_make_docs_builds_strictly_and_ci_does_so_at_every_push() -> None:
    recipe = re.search(r"^docs:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe and "mkdocs build --strict" in recipe[1]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    assert {"run": "make docs"} in workflow["jobs"]["docs"]["steps"]


# ---- what is broken ----


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The pages of this checkout with two rooms of code, so that a site is built in seconds."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "docs", root / "docs")
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    shutil.copytree(ROOT / "scripts" / "pages", root / "scripts" / "pages")
    for name in (*PAGES, "mkdocs.yml"):
        shutil.copy(ROOT / name, root / name)
    for name in CODE:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return root


def add(path: Path, text: str) -> None:
    """Add a text to a file, which may be a new one."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.smoke
def test_a_site_of_two_rooms_is_built(small: Path, tmp_path: Path) -> None:
    build_site(small, tmp_path / "site")
    assert "frechet" in (tmp_path / "site" / "api" / "lightning_nsd" / "metrics.html").read_text(encoding="utf-8")


BROKEN = '\n\ndef {name}({parameter}) -> None:\n    """New.\n\n    Args:\n        {documented}: it.\n    """\n'
BREAKS = {
    "a link": ("docs/runs.md", "\n[gone](gone_1.md)\n", "'gone_1.md'"),
    "a link of the README": ("README.md", "\n[gone](docs/gone_2.md)\n", "'gone_2.md'"),
    "a link of a docstring": ("lightning_nsd/tables/sent.py", '\nX = 1\n"""[gone](gone_3.md)"""\n', "'gone_3.md'"),
    "an anchor": ("docs/runs.md", "\n[gone](data.md#gone_4)\n", "#gone_4"),
    "a picture": ("docs/runs.md", "\n![gone](images/gone_5.png)\n", "images/gone_5.png"),
    "a page that is nowhere in the navigation": ("docs/new.md", "# New\n", "new.md"),
    "a function without docstring": (
        "lightning_nsd/tables/sent.py",
        "\n\ndef bare() -> None:\n    pass\n",
        "no docstring: lightning_nsd.tables.sent.bare",
    ),
    "a file without docstring": ("lightning_nsd/tables/new.py", "X = 1\n", "no docstring: lightning_nsd.tables.new"),
    "a documented parameter that there is not": (
        "lightning_nsd/tables/sent.py",
        BROKEN.format(name="other", parameter="a: int", documented="b (int)"),
        "Parameter 'b' does not appear in the function signature",
    ),
    "a parameter without type": (
        "lightning_nsd/tables/sent.py",
        BROKEN.format(name="untyped", parameter="c", documented="c"),
        "No type or annotation for parameter 'c'",
    ),
}
"""What is added to which file, and what the build says of it."""


def test_everything_that_is_broken_is_named_and_ends_the_build(
    small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text, _ in BREAKS.values():
        add(small / name, text)
    with pytest.raises(Abort, match="in strict mode"):
        build_site(small, tmp_path / "site")
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for what, (_, _, said) in BREAKS.items():
        assert any(said in message for message in warned), what
    assert len(warned) == len(BREAKS)


@pytest.mark.parametrize(
    ("edges", "said"), [("a --> b --> a", "circle"), ("a -.-> b", "cannot be drawn")], ids=["a circle", "a dotted edge"]
)
def test_a_flowchart_that_cannot_be_drawn_is_an_error(edges: str, said: str) -> None:
    flowcharts = runpy.run_path(str(ROOT / "scripts" / "pages" / "flowcharts.py"))
    with pytest.raises(ValueError, match=said):
        flowcharts["on_page_markdown"](f"```mermaid\nflowchart LR\n  {edges}\n```\n")
