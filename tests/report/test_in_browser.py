"""What the page does in a browser: Chromium, driven by Playwright, where both are there."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lightning_nsd.report.collect import collect
from lightning_nsd.report.page import page as page_of
from tests.report.conftest import CLASSES, make_run

sync_api = pytest.importorskip("playwright.sync_api", reason="the tests in a browser need playwright (extra `dev`)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the tests in a browser need Chromium")
PHONE = {"width": 390, "height": 844}
HOSTILE = "<img src=x onerror=alert(1)>" * 8


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the pages of one run, of two, and of one whose names are hostile."""
    folder = tmp_path_factory.mktemp("pages")
    one, two = make_run(folder / "one"), make_run(folder / "two", ("bicycle", "candle", "drum"), (12.5, 18.0, 40.0))
    hostile = make_run(folder / "hostile", (HOSTILE, "b", "c"))
    found = {}
    for name, roots in {"one": [one], "pair": [one, two], "hostile": [hostile]}.items():
        path = folder / f"{name}.html"
        path.write_text(page_of([collect(root) for root in roots]), encoding="utf-8")
        found[name] = path.as_uri()
    return found


@pytest.fixture
def view(browser: Any) -> Iterator[Any]:
    """Opens a page as a phone does; nothing may be wrong with it, and nothing be fetched by it."""
    context = browser.new_context(viewport=PHONE, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    opened: list[str] = []
    page.on("request", lambda request: opened.append(request.url))

    def open_page(address: str) -> Any:
        page.goto(address)
        page.wait_for_selector(".uplot")
        return page

    yield open_page
    assert complaints == []
    assert [url for url in opened[1:] if not url.startswith("data:")] == []
    context.close()


def first_column(page: Any) -> list[str]:
    return page.locator("table.sortable tbody th").all_inner_texts()


def reach(page: Any) -> list[float]:
    """The steps that the first chart shows, from and to."""
    found: list[float] = page.evaluate("document.querySelector('.chart').range()")
    return found


def test_a_heading_sorts_and_sorts_back(view: Any, reports: dict[str, str]) -> None:
    page = view(reports["one"])
    assert first_column(page) == list(CLASSES)
    heading = page.get_by_role("button", name="fd_glyphnet", exact=True)
    heading.click()
    assert first_column(page) == ["bicycle", "candle", "anchor"]  # 10, 20, 30
    heading.click()
    assert first_column(page) == ["anchor", "candle", "bicycle"]
    page.get_by_role("button", name="class", exact=True).click()
    assert first_column(page) == list(CLASSES)


def test_classes_without_a_value_come_last_both_ways(view: Any, reports: dict[str, str]) -> None:
    page = view(reports["pair"])
    heading = page.get_by_role("button", name="fd_glyphnet B", exact=True)
    heading.click()
    assert first_column(page) == ["bicycle", "candle", "drum", "anchor"]
    heading.click()
    assert first_column(page) == ["drum", "candle", "bicycle", "anchor"]


def test_a_slider_changes_the_picture_and_what_is_said_of_it(view: Any, reports: dict[str, str]) -> None:
    page = view(reports["one"])
    slider = page.locator("[data-slider='0']")
    before = slider.locator("img").get_attribute("src")
    assert slider.locator("output").inner_text() == "step 8"
    slider.locator("input").press("Home")
    assert slider.locator("output").inner_text() == "step 4"
    assert slider.locator("img").get_attribute("src") != before


def test_a_chain_plays_to_its_end(view: Any, reports: dict[str, str]) -> None:
    page = view(reports["one"])
    chain = page.locator("[data-slider='2']")
    chain.locator("button").click()
    assert chain.locator("output").inner_text() == "after step 1 of 4"
    sync_api.expect(chain.locator("output")).to_have_text("after step 4 of 4")


@pytest.mark.parametrize("by", ["mouse", "finger"])
def test_a_curve_is_zoomed_by_dragging_and_shown_whole_again(by: str, view: Any, reports: dict[str, str]) -> None:
    page = view(reports["one"])
    over = page.locator(".chart .u-over").first
    over.scroll_into_view_if_needed()
    spot = over.bounding_box()
    left, right = (spot["x"] + part * spot["width"] for part in (0.4, 0.8))
    y = spot["y"] + spot["height"] / 2
    whole = reach(page)
    if by == "mouse":
        page.mouse.move(left, y)
        page.mouse.down()
        page.mouse.move(right, y, steps=4)
        page.mouse.up()
    else:
        kinds = [
            ("pointerdown", left),
            ("pointermove", (left + right) / 2),
            ("pointermove", right),
            ("pointerup", right),
        ]
        for kind, x in kinds:
            over.dispatch_event(kind, {"clientX": x, "clientY": y, "pointerType": "touch", "bubbles": True})
    page.wait_for_timeout(100)
    low, high = reach(page)
    assert whole[0] < low < high < whole[1]
    page.get_by_role("button", name="whole").first.click()
    page.wait_for_timeout(100)
    assert reach(page) == whole


def test_any_figure_can_be_chosen(view: Any, reports: dict[str, str]) -> None:
    page = view(reports["one"])
    page.locator("#figure").select_option("train/loss")
    assert page.locator("#chosen strong").inner_text() == "train/loss"


@pytest.mark.parametrize("name", ["one", "pair", "hostile"])
def test_a_phone_scrolls_down_and_not_aside(name: str, view: Any, reports: dict[str, str]) -> None:
    page = view(reports[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_hostile_names_are_shown_as_they_are(view: Any, reports: dict[str, str]) -> None:
    page = view(reports["hostile"])
    assert HOSTILE in first_column(page)
    page.locator("#figure").select_option(f"val/fid/{HOSTILE}")
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("#chosen .u-label").last.inner_text().startswith("val/fid/<img")


def test_a_script_that_came_in_would_not_run(browser: Any, reports: dict[str, str]) -> None:
    page = browser.new_page()
    page.goto(reports["one"])
    ran = page.evaluate(
        """() => new Promise(done => {
            document.addEventListener('securitypolicyviolation', () => done(Boolean(window.ran)));
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            setTimeout(() => done('nothing held it'), 3000);
        })"""
    )
    assert ran is False
