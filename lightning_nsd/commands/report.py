"""`python -m lightning_nsd report`: one page of a run, or of two beside each other."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import check_place, write_text
from lightning_nsd.messages import reason
from lightning_nsd.processes.stopping import stoppable
from lightning_nsd.report.collect import collect
from lightning_nsd.report.page import page
from lightning_nsd.runs.folder import REPORT_FILE
from lightning_nsd.terminal import console


def report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or of two beside each other; of a half-written run what there is.

    Args:
        runs: folders of one or two runs.
        out: file to write; `report.html` in the run's folder where None, of two in the current folder.

    Returns:
        The page.

    Raises:
        UserError: no folder of a run, more than two, or a file that cannot be written.
    """
    if not 1 <= len(runs) <= 2:
        raise UserError(f"report takes the folder of one run, or of two to compare; {len(runs)} are given.")
    path = out or (runs[0] if len(runs) == 1 else Path()) / REPORT_FILE
    found = [collect(Path(root)) for root in runs]
    check_place(path, "--out")
    try:
        write_text(path, page(found))
    except OSError as error:
        raise UserError(f"--out: {path} could not be written ({reason(error)}).") from error
    return path


def main(arguments: Sequence[str]) -> None:
    """The command line of `report`."""
    parser = ArgumentParser(
        prog="python -m lightning_nsd report",
        exit_on_error=False,
        description="One page of a run: what was run, curves, pictures, classes, what to trust. It needs no network.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run; a second one is compared")
    parser.add_argument("--out", type=Path, help="file to write, instead of report.html in the run's folder")
    given = parser.parse_args(list(arguments))
    with stoppable():
        path = report(given.runs, given.out)
    console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, to be opened in any browser")
