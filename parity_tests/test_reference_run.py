"""A training of the reference keeps what it has done, however it ends, and goes on as what it was."""

import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax  # type: ignore[import-untyped]
import pytest
import yaml

from jax_reference import command, train
from jax_reference.config import read_config
from jax_reference.train import CHECKPOINT, METRICS, TrainState, fit
from jax_reference.written_out.adamw import OptimizerSettings, adamw
from lightning_nsd.cli import main
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import read_orbax
from lightning_nsd.processes.stopping import StoppedError
from lightning_nsd.runs.lock import locked
from parity_tests import command as ladder
from parity_tests.run import command as rung_9


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """In the place of training: each step sets all weights to its number, or to what is asked for that step.

    Its loss is the first weight before it.
    """
    to: dict[int, float] = {}

    def make(*_: Any, **__: Any) -> Any:
        def step(state: TrainState, *_: Any) -> tuple[TrainState, dict[str, np.ndarray]]:
            number = int(state.step) + 1
            params = jax.tree.map(lambda leaf: np.full_like(leaf, to.get(number, number)), state.params)
            loss = np.asarray(jax.tree.leaves(state.params)[0]).flatten()[:1]
            return state._replace(step=state.step + 1, params=params), {"loss": loss}

        return step

    monkeypatch.setattr(train, "make_train_step", make)
    return to


def run(config: Path, root: Path, *more: str) -> int:
    return command.main(["fit", "--config", str(config), "--output-dir", str(root), *more])


def step_of(root: Path) -> int:
    return int(read_orbax(root / CHECKPOINT)["step"])


@pytest.mark.parametrize(
    ("step", "said"),
    [(4, ["not finite after 4 steps"]), (3, ["The loss is nan at step 4", f"{CHECKPOINT} is of step 2"])],
    ids=["weights", "loss"],
)
def test_what_is_not_finite_ends_it_with_the_step_that_is_kept(
    step: int,
    said: list[str],
    config: Path,
    tmp_path: Path,
    moves: dict[int, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(config, tmp_path, "--max-steps=2") == 0
    moves[step] = float("nan")
    assert run(config, tmp_path, "--resume") == 2
    error = capsys.readouterr().err
    assert all(words in error for words in said), error
    assert step_of(tmp_path) == 2


@pytest.mark.parametrize("of", [command, ladder, rung_9])
def test_an_error_of_the_code_s_own_is_shown_whole(of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise ValueError("shapes")

    monkeypatch.setattr(of, "run", fail)
    with pytest.raises(ValueError, match="shapes"):
        of.main(["fit", "--config=x"] if of is command else ["--config=x"])


@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt(), 130), (StoppedError(signal.SIGTERM), 128 + signal.SIGTERM)]
)
def test_a_signal_saves_the_steps_that_are_done(
    stop: BaseException, status: int, config: Path, tmp_path: Path, moves: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs_of = train.inputs_of

    def stopping(number: int, *given: Any) -> Any:
        if number == 3:
            raise stop
        return inputs_of(number, *given)

    monkeypatch.setattr(train, "inputs_of", stopping)
    assert run(config, tmp_path) == status and step_of(tmp_path) == 3


@pytest.mark.usefixtures("moves")
def test_a_training_whose_save_was_killed_is_not_begun_anew(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, tmp_path) == 0
    (tmp_path / CHECKPOINT).rename(tmp_path / f".{CHECKPOINT}.earlier")
    assert run(config, tmp_path) == 2
    assert "holds a training already" in capsys.readouterr().err


@pytest.mark.usefixtures("moves")
def test_a_training_goes_on_as_the_model_that_it_was_alone(config: Path, tmp_path: Path) -> None:
    fit(read_config(str(config)), tmp_path, 1)
    content = yaml.safe_load(config.read_text())
    content["model"]["diffusion"] = {**content["model"]["diffusion"], "num_steps": 40}
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="num_steps: 100 in the checkpoint, 40 in the configuration"):
        fit(read_config(str(config)), tmp_path, 2, resume=True)


@pytest.mark.usefixtures("moves")
def test_weights_alone_are_where_a_training_begins(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(read_config(str(config)), tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    assert main(["convert", f"--input={CHECKPOINT}", "--output=weights.ckpt"]) == 0
    root = tmp_path / "next"
    root.mkdir()
    assert main(["convert", "--input=weights.ckpt", f"--output={root / CHECKPOINT}", "--format=orbax"]) == 0
    begun = fit(read_config(str(config)), root, 0, resume=True)
    assert int(begun.step) == 0 and not (root / METRICS).exists()
    assert all((np.asarray(leaf) == 3).all() for leaf in jax.tree.leaves(begun.params))


@pytest.mark.usefixtures("moves")
def test_a_line_of_the_log_that_is_damaged_is_left_out(config: Path, tmp_path: Path) -> None:
    assert run(config, tmp_path, "--max-steps=2") == 0
    with (tmp_path / METRICS).open("a") as file:
        file.write(",\n")
    assert run(config, tmp_path, "--resume") == 0
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "0", "1", "2", "3"]


def test_a_clip_of_0_is_none_as_in_lightning() -> None:
    params = {"denoiser": {"w": np.ones(3, np.float32)}}
    gradients = jax.tree.map(lambda leaf: 5 * leaf, params)
    updates = []
    for clip in (None, 0.0, 1.0):
        optimizer: optax.GradientTransformation = adamw(OptimizerSettings(eps=1.0, gradient_clip=clip))
        updates.append(optimizer.update(gradients, optimizer.init(params), params)[0]["denoiser"]["w"])
    assert np.array_equal(updates[0], updates[1]) and not np.allclose(updates[0], updates[2])


def test_two_fits_in_one_folder_are_refused(
    config: Path, tmp_path: Path, moves: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path):
        assert run(config, tmp_path) == 2
    error = capsys.readouterr().err
    assert "Another fit is writing" in error and "--output-dir" in error
