"""A hook of mkdocs: a page for every notebook, with the outputs that it keeps. Nothing is run."""

import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbformat import NotebookNode

ALTERNATIVE = "what the cell above shows"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of notebooks/."""
    for path in sorted((Path(config.config_file_path).parent / "notebooks").glob("*.ipynb")):
        text = as_markdown(nbformat.read(path, as_version=4))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
    return files


def as_markdown(notebook: NotebookNode) -> str:
    """Text as it is, code in blocks, and under each what it said and showed."""
    parts = []
    for cell in notebook.cells:
        parts.append(cell.source if cell.cell_type == "markdown" else block("python", cell.source))
        parts += [shown(output) for output in cell.get("outputs", [])]
    return "\n\n".join(parts) + "\n"


def shown(output: NotebookNode) -> str:
    """An output: its picture, or else its text."""
    if output.output_type == "stream":
        return block("text", output.text)
    if "image/png" in output.data:
        return f"![{ALTERNATIVE}](data:image/png;base64,{''.join(output.data['image/png'].split())})"
    return block("text", output.data["text/plain"])


def block(language: str, text: str) -> str:
    """A code block whose fence is longer than any in the text."""
    fence = "`" * max([3, *(len(found) + 1 for found in re.findall("`+", text))])
    return f"{fence} {language}\n{text.rstrip()}\n{fence}"
