"""The report of a run set in a real browser: offline, in both modes, on a phone, without a mouse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folders import make_record, noise_figure, put_run

from skysense_nb.runs.gallery import write_gallery
from skysense_nb.runs.record import CellTime, Failure

pytestmark = pytest.mark.browser

LONG = "a_name_without_any_place_where_a_line_could_break" * 4


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A good run with an earlier one and a failed one, with the longest names."""
    folder = tmp_path_factory.mktemp("runs")
    failure = Failure(cell=1, first_line=f"{LONG}()", error=LONG, message=LONG)
    cells = [CellTime(index=1, first_line=LONG, seconds=2.0), CellTime(index=3, first_line="draw()", seconds=1.0)]
    for minute, accuracy in enumerate((0.5, 0.75)):
        put_run(folder, make_record(minute, metrics={"accuracy": accuracy, LONG: 1e9}, cells=cells), noise_figure())
    changed = {"parameters": {"seed": LONG, LONG: LONG}, "packages": {LONG: LONG}}
    put_run(folder, make_record(2, status="failed", failure=failure, **changed))
    put_run(folder, make_record(notebook=LONG)).rename(folder / f"{LONG}-20260504-120000-00ff.unfinished")
    return write_gallery(folder)


@pytest.fixture
def look(browser, report) -> Iterator:
    """Opens the report; what it asks for is kept in `page.asked`."""
    contexts = []

    def opened(width: int = 1200, mode: str = "light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, color_scheme=mode, offline=True))
        page = contexts[-1].new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_sticks_out(look, width):
    page = look(width)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    right_edges = "[...document.querySelectorAll('body *')].map(one => one.getBoundingClientRect().right)"
    assert max(page.evaluate(right_edges)) <= width


def test_it_asks_nobody_and_its_picture_is_drawn(look, report):
    page = look()
    assert [url for url in page.asked if not url.startswith("data:")] == [report.as_uri()]
    assert page.evaluate("[...document.images].map(one => [one.naturalWidth, one.naturalHeight])") == [[480, 240]]


def test_the_mode_of_the_reader_is_taken(look):
    ground = "getComputedStyle(document.body).backgroundColor"
    assert look(mode="light").evaluate(ground) == "rgb(244, 245, 247)"
    assert look(mode="dark").evaluate(ground) == "rgb(20, 23, 26)"


def test_everything_can_be_reached_and_opened_by_keyboard(look):
    page = look()
    focused = "document.activeElement.closest('summary, a')?.innerText"
    reached = []
    while page.keyboard.press("Tab") or (text := page.evaluate(focused)):
        reached.append(text)
        if text.startswith("Time of"):
            assert not page.get_by_role("cell", name="draw()").is_visible()
            page.keyboard.press("Enter")
            assert page.get_by_role("cell", name="draw()").is_visible()
            break
    assert reached[0].startswith("07 · A small thing") and reached[-1].startswith("Time of")
