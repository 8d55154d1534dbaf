"""`demo` as a command: an address on this machine alone, an end on a signal, and sentences."""

import re
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable

import pytest

from tests.cli.conftest import start

Run = Callable[..., tuple[int, str]]

pytest.importorskip("gradio", reason="gradio is not installed (extra demo)")


def test_it_serves_a_page_on_this_machine_until_it_is_told_to_stop() -> None:
    command = start("demo")
    try:
        lines = []
        while not (found := re.search(r"The page is at (http://127\.0\.0\.1:\d+/)", "".join(lines))):
            lines.append(command.stdout.readline())
            assert lines[-1], "".join(lines)
        with urllib.request.urlopen(found[1], timeout=20) as answer:
            page = answer.read().decode()
        assert "Few-shot drawing" in page and "fonts.googleapis" not in page
        command.send_signal(signal.SIGTERM)
        assert command.wait(20) == 128 + signal.SIGTERM
        assert command.stdout.read().strip() == "Stopped by SIGTERM."
    finally:
        command.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ckpt_path=nothing.ckpt"], "There is no checkpoint at nothing.ckpt"),
        (["--port=0"], "whole number from 1 to 65,535"),
        (["--host=192.0.2.1"], "The page cannot be served on 192.0.2.1, port any"),  # of nobody
    ],
)
def test_what_cannot_be_is_a_sentence(options: list[str], said: str, nsd: Run) -> None:
    status, answer = nsd("demo", *options)
    assert status == 2 and said in answer and "Traceback" not in answer


def test_a_port_that_is_taken_is_a_sentence(nsd: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, answer = nsd("demo", f"--port={port}")
    assert status == 2 and f"The page cannot be served on 127.0.0.1, port {port}" in answer


def test_a_model_twice_is_a_sentence(nsd: Run) -> None:
    status, answer = nsd("demo", "--ckpt_path=a.ckpt", "--ckpt-path", "a.ckpt")
    assert status == 2 and "--ckpt_path names a.ckpt twice" in answer


def test_without_gradio_it_says_what_to_install(nsd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning_nsd.demo.page", "lightning_nsd.demo.answers"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    status, answer = nsd("demo")
    assert status == 2 and "pip install 'lightning-nsd[demo]'" in answer
