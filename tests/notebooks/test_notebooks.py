"""The shipped notebooks: they run, and what they keep is of one run and says nothing of the machine it was made on."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from orbax.checkpoint import PyTreeCheckpointer

from lightning_nsd.accelerators.xla.device import is_installed
from parity_tests.compiler import compile_quickly
from tests.cli.test_configs import make_cifar100
from tests.convert.make_source import source_tree

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
script = runpy.run_path(str(ROOT / "scripts" / "run_notebooks.py"))
run_notebook: Callable[[NotebookNode, Path], NotebookNode] = script["run_notebook"]
LARGEST = 300_000
PATH = re.compile(r"(?<![\w.:/…])/[\w.-]+/")
"""The beginning of an absolute path."""


def read(name: str) -> NotebookNode:
    return nbformat.read(ROOT / "notebooks" / name, as_version=4)


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def said(notebook: NotebookNode) -> str:
    """All text that the cells gave."""
    given = [{"text/plain": output.text} if "text" in output else output.data for output in outputs(notebook)]
    return "".join(text for output in given for kind, text in output.items() if kind.startswith("text/"))


def pictures(notebook: NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def fell(notebook: NotebookNode) -> float:
    """By what factor the loss fell."""
    (losses,) = re.findall(r"train/loss fell from ([\d.]+) to ([\d.]+)", said(notebook))
    return float(losses[0]) / float(losses[1])


def run(name: str, folder: Path) -> NotebookNode:
    """A notebook run in a folder; a command in it that fails is an error too, which IPython lets pass."""
    notebook = read(name)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.startswith("!"):
            cell.source += "\nassert _exit_code == 0, _exit_code"
    return run_notebook(notebook, folder)


# ---- as they are kept ----


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_one_run_from_top_to_bottom_left_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert path.stat().st_size < LARGEST
    assert pictures(notebook) >= 2
    assert fell(notebook) > 1.2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_nothing_of_the_machine_and_keeps_no_bars_and_errors(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata == script["METADATA"]
    assert all(not cell.metadata for cell in notebook.cells)
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs(notebook))
    text = said(notebook)
    assert not PATH.search(text), PATH.search(text)
    for litter in ("it/s]", "\r", "\x1b", "Traceback"):
        assert litter not in text


def test_the_pattern_of_paths_knows_one() -> None:
    assert PATH.search("in /home/me/x") and PATH.search("'/tmp/x'")
    assert not PATH.search("runs/a/last.ckpt and https://pypi.org/project/ and images/s and 1 / 2")


def test_a_notebook_that_no_card_and_no_tpu_made_says_so() -> None:
    for name, device in (("gpu.ipynb", "a card"), ("kaggle_tpu.ipynb", "a TPU")):
        assert f"**The outputs below are not of {device}.**" in read(name).cells[0].source


# ---- how they are run ----


@pytest.mark.smoke
def test_a_run_keeps_plain_text_and_one_form_of_a_picture_and_uses_this_checkout(tmp_path: Path) -> None:
    cells = ["print('\\x1b[1mbold\\x1b[0m')", "import PIL.Image; PIL.Image.new('L', (4, 4))",
             "import lightning_nsd, sys; print(lightning_nsd.__file__, sys.executable)"]  # fmt: skip
    given = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    done = run_notebook(given, tmp_path)
    bold, picture, where = outputs(done)
    assert bold.text == "bold\n"
    assert set(picture.data) == {"image/png", "text/plain"}
    assert where.text.split()[0] == str(ROOT / "lightning_nsd" / "__init__.py")
    assert outputs(given) == []


def test_five_minutes_in_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSD_QUICK", "1")
    done = run("few_shot_in_five_minutes.ipynb", tmp_path)
    assert fell(done) > 1.1
    assert pictures(done) == 6
    assert "test   27 classes" in said(done)
    assert "fd_glyphnet of 2 classes (test) at step 30" in said(done)


@pytest.mark.campaign
def test_the_gpu_notebook_runs_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar100(tmp_path / "cifar100")
    monkeypatch.setenv("NSD_QUICK", "1")
    monkeypatch.setenv("NSD_DATA", "cifar100")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = run("gpu.ipynb", tmp_path)
    assert "no card: a processor" in said(done)
    assert fell(done) > 1.0
    assert pictures(done) == 3
    assert "fd_efficientnet_lite0 of 2 classes (test) at step 20" in said(done)


@pytest.mark.campaign
@pytest.mark.skipif(not is_installed(), reason="torch-xla is not installed")
def test_the_tpu_notebook_runs_on_the_xla_path_and_goes_on_from_a_checkpoint_of_the_jax_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cifar100(tmp_path / "cifar100")
    PyTreeCheckpointer().save(tmp_path / "source", source_tree())
    compile_quickly()
    monkeypatch.setenv("NSD_OVERLAY", "xla_cpu.yaml")
    monkeypatch.setenv("NSD_DATA", "cifar100")
    monkeypatch.setenv("NSD_JAX_CHECKPOINT", "source")
    done = run("kaggle_tpu.ipynb", tmp_path)
    assert fell(done) > 1.1
    assert pictures(done) == 2
    assert "Run finished after 20 steps" in said(done)  # then the session ends
    assert "Run finished after 40 steps" in said(done)
    assert "XLA, step 40: 0 graphs compiled" in said(done)
    assert "after warm-up" not in said(done)  # a resumed run compiles again, and that is no warning's worth
    assert "all finite: True" in said(done)
