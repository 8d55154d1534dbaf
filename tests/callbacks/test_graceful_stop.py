"""Signals in one process: the run ends between two steps, with a checkpoint and a shell's exit status."""

import os
import signal

import pytest
from lightning.pytorch import Callback

from lightning_nsd.callbacks import graceful_stop
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.processes.stopping import StoppedError
from tests.training.conftest import run


class Signals(Callback):
    """Sends signals in the middle of a step."""

    def __init__(self, step, *numbers):
        self.step, self.numbers = step, numbers

    def on_after_backward(self, trainer, *_):
        if trainer.global_step == self.step:
            for number in self.numbers:
                os.kill(os.getpid(), number)


def stopped(root, *numbers):
    with pytest.raises(StoppedError) as stop:
        run(root, 9, callbacks=[Signals(3, *numbers)])
    return stop.value.number, read_checkpoint(root / "last.ckpt")["global_step"]


@pytest.fixture(autouse=True)
def _handlers():
    """Other tests find the handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in graceful_stop.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", graceful_stop.SIGNALS)
def test_every_signal_that_asks_to_end_leaves_the_state_after_the_step(tmp_path, number):
    assert stopped(tmp_path, number) == (number, 4)


@pytest.mark.parametrize(
    "numbers", [(signal.SIGTERM,) * 2, (signal.SIGINT,) * 3, (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM)]
)
def test_signals_in_quick_succession_are_one(tmp_path, numbers):
    assert stopped(tmp_path, *numbers) == (numbers[0], 4)


def test_a_later_second_signal_stops_at_once_and_keeps_the_state_before_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr(graceful_stop, "AS_ONE", 0.0)
    assert stopped(tmp_path, signal.SIGTERM, signal.SIGINT) == (signal.SIGINT, 3)


def test_a_run_that_shall_survive_its_terminal_does(tmp_path):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    assert run(tmp_path, 5, callbacks=[Signals(3, signal.SIGHUP)]).global_step == 5


def test_after_a_run_signals_do_what_they_did_before(tmp_path, monkeypatch):
    before = [signal.getsignal(number) for number in graceful_stop.SIGNALS]
    run(tmp_path, 1)
    assert [signal.getsignal(number) for number in graceful_stop.SIGNALS] == before
    stopped(tmp_path / "stopped", signal.SIGTERM)
    monkeypatch.setattr(graceful_stop, "AS_ONE", 0.0)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
