"""Takes the pictures of docs/demo.md: the page before, during and after drawing, in a wide and a narrow window.

    python scripts/demo_pictures.py --out docs/images

needs the extras `demo` and `dev`, and a Chromium.
"""

import argparse
import io
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from lightning_nsd.demo.offered import open_models
from lightning_nsd.demo.page import make_page, serve

WINDOWS = {"wide": (1280, 900), "narrow": (390, 844)}
LETTER = (  # strokes of a letter with three arms and a foot, on a square of side 1
    ((0.22, 0.22), (0.24, 0.45), (0.3, 0.66), (0.42, 0.76), (0.58, 0.76), (0.7, 0.66), (0.76, 0.45), (0.78, 0.22)),
    ((0.5, 0.24), (0.5, 0.5), (0.46, 0.74)),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
COLOURS = 256


def draw_letter(page: Page, number: int, hand: random.Random) -> None:
    """The letter in a field, by an unsteady hand; every other time small and in a corner."""
    canvas = page.locator(".field canvas").nth(number)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    size, left, top = (0.55, 0.08, 0.38) if number % 2 else (1.0, 0.0, 0.0)
    for stroke in LETTER:
        for first, (x, y) in enumerate(stroke):
            at = (left + size * (x + hand.gauss(0, 0.02)), top + size * (y + hand.gauss(0, 0.02)))
            page.mouse.move(box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1], steps=4 if first else 1)
            if not first:
                page.mouse.down()
        page.mouse.up()


def keep(page: Page, path: Path) -> None:
    """The whole page as a PNG of few colours."""
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as taken:
        taken.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def take_pictures(page: Page, address: str, name: str, out: Path) -> None:
    """Before, during and after drawing."""
    page.goto(address)
    page.wait_for_selector(".examples button")
    keep(page, out / f"demo_{name}_before.png")
    hand = random.Random(0)
    for number in range(5):
        draw_letter(page, number, hand)
    page.wait_for_function("document.querySelectorAll('.seen img').length === 5")
    page.click("#draw")
    page.wait_for_function(r"/Step (3\d|4\d)/.test(document.querySelector('#status').innerText)")
    keep(page, out / f"demo_{name}_during.png")
    page.wait_for_selector(".result a")
    keep(page, out / f"demo_{name}_after.png")


def main(arguments: Sequence[str] | None = None) -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--ckpt_path", type=Path, action="append", help="models; the shipped one where none is named")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        parser.error("there is no Chromium on this machine")
    made = make_page(open_models(given.ckpt_path or []))
    address = serve(made, "127.0.0.1", None)
    with sync_playwright() as playwright:
        no_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=executable, args=no_sandbox)
        for name, (width, height) in WINDOWS.items():
            take_pictures(browser.new_page(viewport={"width": width, "height": height}), address, name, given.out)
        browser.close()
    made.close(verbose=False)


if __name__ == "__main__":
    main()
