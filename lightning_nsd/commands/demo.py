"""`python -m lightning_nsd demo`: a page to draw five letters on, and to see the sixth."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.demo.offered import open_models
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Port

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def demo(
    ckpt_path: list[Path] | None = None,
    host: str = "127.0.0.1",
    port: Port | None = None,
    allow: str | list[str] | None = None,
) -> None:
    """Serve a page on which a model draws from what is drawn by hand, until it is stopped.

    Args:
        ckpt_path: checkpoints of trained models, their folders, or `hf://owner/name`; the page offers each of them. The
            shipped model, which draws characters, where not given.
        host: the address to listen on. By default no other machine can reach the page; 0.0.0.0 lets all of them.
        port: the first free one from 7860 on, where none is given.
        allow: class paths that a checkpoint may name beside this package's own.

    Raises:
        UserError: gradio is not there, a checkpoint that cannot be loaded, or an address that cannot be used.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # it would ask its makers for news, and tell them of the page
    try:
        from lightning_nsd.demo.page import make_page, serve
    except ImportError as error:
        raise UserError("demo needs gradio: pip install 'lightning-nsd[demo]'.") from error

    page = make_page(open_models(ckpt_path or [], as_names(allow)))
    try:
        address = serve(page, host, port)
    except (OSError, ValueError) as error:
        raise UserError(f"The page cannot be served on {host}, port {port or 'any'}: {error}") from error
    try:
        if host not in LOOPBACK:
            print(f"Whoever can reach {host} may use the page: there is no password.")
        print(f"The page is at {address}; Ctrl-C ends it.", flush=True)
        threading.Event().wait()
    finally:
        page.close(verbose=False)


def main(arguments: Sequence[str]) -> None:
    """The command line of `demo`; every `--ckpt_path` adds one."""
    run_function(demo, [_adding(argument) for argument in arguments])


def _adding(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return f"--ckpt_path+{equals}{value}" if name in ("--ckpt_path", "--ckpt-path") else argument
