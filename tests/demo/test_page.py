"""The page in a real browser: drawn on with the mouse, and looked at."""

import io
import re
import socket
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed (extra demo)")

from lightning_nsd.demo import answers
from lightning_nsd.demo.drawing import MOST_IMAGES, Stage
from lightning_nsd.demo.offered import open_models
from lightning_nsd.demo.page import make_page, serve
from tests.demo.browser import chromium
from tests.demo.conftest import drawn, make_offered, png

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOPBACK = ("127.0.0.1", "::1")


@pytest.fixture(scope="module")
def reached() -> Iterator[list[str]]:
    """Every address that this process connects to."""
    hosts: list[str] = []
    connect, ask = socket.socket.connect, socket.getaddrinfo

    def connecting(self, address):
        hosts.append(address[0] if isinstance(address, tuple) else LOOPBACK[0])
        return connect(self, address)

    def asking(host, *arguments, **options):
        hosts.append(host if host not in (None, "localhost") else LOOPBACK[0])
        return ask(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connecting)
        patch.setattr(socket, "getaddrinfo", asking)
        yield hosts


@pytest.fixture(scope="module")
def browser(reached):
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def serving(reached):
    """Serves pages, each until the module's end."""
    pages = []

    def start(*offered) -> str:
        pages.append(make_page(offered))
        return serve(pages[-1], "127.0.0.1", None)

    yield start
    for page in pages:
        page.close(verbose=False)


@pytest.fixture(scope="module")
def address(serving) -> str:
    """Of a page with two tiny models."""
    return serving(make_offered(), make_offered("another.ckpt", seed=1))


@pytest.fixture
def opened(browser):
    """Opens a page of the browser, whose requests stay on this machine and whose scripts do not fail."""
    pages, requests, failed = [], [], []

    def at(address: str, viewport: dict = WIDE):
        page = browser.new_page(viewport=viewport)
        pages.append(page)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.set_default_timeout(20_000)
        page.goto(address)
        page.wait_for_selector(".examples button")
        return page

    yield at
    for page in pages:
        page.close()
    assert not failed
    assert requests and not [url for url in requests if not re.match(r"https?://127\.0\.0\.1[:/]|data:|blob:", url)]


def draw_by_hand(page, number: int, lean: float = 0.0) -> None:
    """A letter of two strokes in one of the fields, counted from 0."""
    canvas = page.locator(".field canvas").nth(number)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for stroke in ([(0.3, 0.2), (0.3 + lean, 0.8)], [(0.3, 0.5), (0.6, 0.4), (0.7, 0.8)]):
        points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=5)
        page.mouse.up()


def seen_count(page, count: int) -> None:
    page.wait_for_function("count => document.querySelectorAll('.seen img').length === count", arg=count)


def pixels(page, selector: str) -> np.ndarray:
    source = page.locator(selector).first.get_attribute("src")
    return np.asarray(Image.open(io.BytesIO(b64decode(source.partition(",")[2]))).convert("L"), float)


def press_draw(page) -> np.ndarray:
    """The finished grid."""
    page.evaluate("document.querySelector('#result').querySelector('.result').classList.add('old')")
    page.click("#draw")
    page.wait_for_selector(".result:not(.old) a")
    page.wait_for_selector("#draw:visible")
    return pixels(page, ".result img")


def said(page, text: str) -> None:
    """Waits for a sentence of the page."""
    page.wait_for_selector(f".sentence:has-text({text!r})")
    assert "Traceback" not in page.content()


def set_seed(page, seed: int) -> None:
    page.fill("#seed input", str(seed))
    page.keyboard.press("Tab")


def new_ones(grid: np.ndarray) -> np.ndarray:
    """The part of a grid below the support set."""
    return grid[grid.shape[0] // 4 :]


def test_letters_drawn_with_the_mouse_become_images_of_the_shipped_model(serving, opened) -> None:
    page = opened(serving(*open_models([])))
    for number in range(5):
        draw_by_hand(page, number, lean=0.02 * number)
    seen_count(page, 5)
    first = press_draw(page)
    assert new_ones(first).std() > 40 and new_ones(first).min() < 30 and new_ones(first).max() > 240
    assert re.search(r"50 steps, \d+\.\d seconds", page.inner_text("#status"))
    set_seed(page, 1)
    second = press_draw(page)
    assert second.shape == first.shape and np.abs(new_ones(second) - new_ones(first)).mean() > 10
    set_seed(page, 0)
    assert np.array_equal(press_draw(page), first)


@pytest.mark.smoke
def test_the_five_that_the_model_sees_are_shown_centred(address: str, opened) -> None:
    page = opened(address)
    canvas = page.locator(".field canvas").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + 20, steps=3)
    page.mouse.up()
    seen_count(page, 1)
    small = pixels(page, ".seen img")
    ink = np.argwhere(small < 128)
    assert small.shape == (8, 8) and len(ink) > 6 and np.abs(ink.mean(axis=0) - 3.5).max() < 0.6
    page.click(".field:first-child .clear")
    seen_count(page, 0)


def test_the_grid_appears_as_it_is_denoised(address: str, opened) -> None:
    page = opened(address)
    page.click(".examples button")
    seen_count(page, 5)
    page.evaluate(
        """() => {
            window.grids = new Set(); window.words = new Set();
            new MutationObserver(() => {
                const img = document.querySelector(".result img");
                if (img) window.grids.add(img.src);
                window.words.add(document.querySelector("#status").innerText.trim());
            }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
        }"""
    )
    press_draw(page)
    assert page.evaluate("window.grids.size") >= 3
    assert any(re.fullmatch(r"Step \d of 6 · \d+\.\d s", words) for words in page.evaluate("[...window.words]"))


def test_five_of_a_class_are_taken_and_the_picture_can_be_kept(address: str, opened, tmp_path: Path) -> None:
    page = opened(address)
    page.click("text=Take 5 of a class")
    page.click("#split label:has-text('val')")
    page.wait_for_selector(".examples button[title='georgian/10D0 ა']")
    page.click("#take")
    seen_count(page, 5)
    page.fill("#num input[type=number]", "7")
    page.keyboard.press("Tab")
    grid = press_draw(page)
    with page.expect_download() as download:
        page.click("text=Download as PNG")
    download.value.save_as(tmp_path / "kept.png")
    assert download.value.suggested_filename == "drawn.png"
    with Image.open(tmp_path / "kept.png") as kept:
        assert kept.format == "PNG" and np.array_equal(np.asarray(kept.convert("L"), float), grid)
    page.click("#clear")
    seen_count(page, 0)
    assert page.locator(".field.filled").count() == 0


def test_pictures_can_be_opened_and_wrong_ones_are_said(address: str, opened, monkeypatch) -> None:
    page = opened(address)
    files = page.locator(".field input[type=file]")
    files.nth(0).set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png(drawn())})
    seen_count(page, 1)
    page.click("#draw")
    page.wait_for_selector(".result a")
    files.nth(1).set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": b"no picture"})
    said(page, "Picture 2 is no image that can be read")
    page.click("#draw")
    said(page, "Picture 2 is no image that can be read")
    large = {"name": "large.png", "mimeType": "image/png", "buffer": bytes(8_000_001)}
    files.nth(2).set_input_files(large)
    page.wait_for_selector(".note:has-text('large.png is larger than 8 MB')")


def test_wrong_input_is_a_sentence(address: str, opened) -> None:
    page = opened(address)
    page.click("#draw")
    said(page, "All fields are empty")
    page.click(".examples button")
    seen_count(page, 5)
    page.fill("#num input[type=number]", "100000")
    page.keyboard.press("Tab")
    page.click("#draw")
    said(page, "seconds")  # of as many as the slider has
    assert page.input_value("#num input[type=number]") == str(MOST_IMAGES)
    set_seed(page, -5)
    page.click("#draw")
    said(page, "Seed is -5; it must be a whole number")


def test_a_drawing_can_be_stopped_and_another_started(address: str, opened, monkeypatch) -> None:
    steps: list[int] = []

    def slowly(*_: object) -> Iterator[Stage]:
        for step in range(1, 1000):
            steps.append(step)
            yield Stage(step, 1000, 0.1 * step, None)
            time.sleep(0.05)

    page = opened(address)
    page.click(".examples button")
    seen_count(page, 5)
    with monkeypatch.context() as patch:
        patch.setattr(answers, "draw", slowly)
        page.click("#draw")
        page.wait_for_selector(".sentence:has-text('Step 3')")
        assert not page.is_visible("#draw")
        page.click("#stop")
        said(page, "Stopped.")
        reached = 0
        while reached < len(steps) < 900:
            reached = len(steps)
            time.sleep(1)
        assert len(steps) == reached < 900
    assert press_draw(page).std() > 0


def test_another_model_can_be_chosen(address: str, opened) -> None:
    page = opened(address)
    page.click(".examples button")
    seen_count(page, 5)
    of_one = press_draw(page)
    page.click("input[aria-label='Model']")
    page.click("[role=option]:has-text('another.ckpt')")
    assert np.abs(press_draw(page) - of_one).mean() > 1


def test_a_narrow_window_shows_everything_without_scrolling_sideways(address: str, opened) -> None:
    page = opened(address, NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    boxes = [page.locator(".field").nth(number).bounding_box() for number in range(5)]
    assert len({round(box["y"]) for box in boxes}) == 3 and min(box["width"] for box in boxes) > 120
    draw_by_hand(page, 4)
    seen_count(page, 1)
    press_draw(page)
    assert page.locator(".result").bounding_box()["y"] < page.locator("#num").bounding_box()["y"]


def test_nothing_but_this_machine_is_reached(address: str, reached: list[str]) -> None:
    assert reached and set(reached) <= set(LOOPBACK)


def test_other_machines_cannot_reach_it(address: str) -> None:
    port = int(re.search(r":(\d+)/", address)[1])
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", port))  # an address of this machine that is not the page's
