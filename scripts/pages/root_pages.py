"""A hook of mkdocs: pages that stand outside of docs/, and links between files as links between pages.

README.md is the site's first page, and CONTRIBUTING.md and CHANGELOG.md are pages of it. Nothing is written twice:
every page has its links as they work on a code host, relative to its own file; here they become links of the site.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository's root, and the pages that they are."""
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)([^)]*)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root."""
    for name, page in PAGES.items():
        text = (Path(config.config_file_path).parent / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of a page's text, which are of files, as links of the site."""
    parts = FENCED.split(markdown)
    text = parts[0::2]
    parts[0::2] = [LINK.sub(lambda found: f"]({linked(page.file.src_uri, found[1])}{found[2]})", part) for part in text]
    return "".join(parts)


def linked(page: str, target: str) -> str:
    """What a link to a file is on a page of the site.

    Args:
        page: of the site, such as `tpu.md`.
        target: the file, relative to the page's own file in the repository.
    """
    file = posixpath.normpath(posixpath.join(posixpath.dirname(file_of(page)), target))
    return posixpath.relpath(page_of(file), posixpath.dirname(page) or ".")


def file_of(page: str) -> str:
    """The file of the repository that a page is made from."""
    of_root = {made: name for name, made in PAGES.items()}
    if page.startswith("notebooks/"):
        return page.removesuffix(".md") + ".ipynb"
    return of_root.get(page, f"docs/{page}")


def page_of(file: str) -> str:
    """The page, or the picture, of the site that a file of the repository is; the file itself where it is none."""
    if file.startswith("notebooks/"):
        return file.removesuffix(".ipynb") + ".md"
    return PAGES.get(file, file.removeprefix("docs/"))
