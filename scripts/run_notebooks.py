"""Run notebooks from top to bottom and keep their outputs: `python scripts/run_notebooks.py notebooks/gpu.ipynb`.

Each runs in an empty folder and by the Python that runs this script, so that no kernel has to be installed. Times and
versions of the kernel are not kept: they differ from one machine to the next.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from lightning_nsd.files.whole_file import write_text

ROOT = Path(__file__).parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PLAIN = {"COLUMNS": "120", "PYTHONWARNINGS": "ignore:IProgress not found", "PJRT_DEVICE": "CPU"}
"""What keeps lines whole, and leaves out warnings of tqdm's and torch-xla's that name folders of this machine."""
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m|\r(?=\n)")


def run_notebook(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run a notebook in a folder, with the package of this checkout.

    Returns:
        It with its outputs; the one that is given is not changed.

    Raises:
        CellExecutionError: a cell ended in an error.
    """
    done = nbformat.from_dict(notebook)
    kernels = KernelSpecManager(kernel_dirs=[])  # knows one kernel, which is this Python
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **PLAIN, "PYTHONPATH": os.pathsep.join(paths)}
    client = NotebookClient(
        done,
        km=manager,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)
    done.metadata = nbformat.from_dict(METADATA)
    for output in (output for cell in done.cells for output in cell.get("outputs", [])):
        if output.output_type == "stream":
            output.text = TERMINAL_CODES.sub("", output.text)
        elif "image/png" in output.data:
            output.data.pop("image/jpeg", None)  # Pillow gives both
    return done


def main(arguments: Sequence[str]) -> None:
    """Run some notebooks and write each over itself, whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    for path in parser.parse_args(arguments).notebooks:
        with tempfile.TemporaryDirectory() as folder:
            done = run_notebook(nbformat.read(path, as_version=4), Path(folder))
        write_text(path, nbformat.writes(done) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
