"""A headless Chromium, where the machine has one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[object]:
    """The browser; a test is left out, with the reason, where there is none or no Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra dev)")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    no_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium as root runs with none
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=[*no_sandbox, "--disable-dev-shm-usage"])
        yield browser
        browser.close()
