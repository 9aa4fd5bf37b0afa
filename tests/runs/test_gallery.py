"""The report of a run set says what happened, to everybody, whatever the notebooks put into it."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output
from PIL import Image
from run_folders import make_record, noise_figure, put_run
from typer.testing import CliRunner

from skysense_nb.commands import app
from skysense_nb.errors import RunError
from skysense_nb.runs import gallery
from skysense_nb.runs.expectations import Drift, NothingExpected
from skysense_nb.runs.gallery import write_gallery
from skysense_nb.runs.record import CellTime, Failure, Record

CSS = Path(gallery.__file__).with_name("templates") / "gallery.css"
BOOM = Failure(cell=2, first_line="go()", error="ValueError", message="it broke")
EVIL = "<script>alert('x')</script>"


def soup(folder: Path, *history: Path) -> BeautifulSoup:
    return BeautifulSoup(write_gallery(folder, history).read_text(), "html.parser")


def words(tag) -> str:
    return " ".join(tag.get_text(" ").split())


@pytest.fixture(autouse=True)
def expected(monkeypatch) -> dict[str, list[Drift]]:
    """What drifted, per notebook; of others nothing is expected."""
    drifted: dict[str, list[Drift]] = {}

    def compare(one: Record) -> list[Drift]:
        if one.notebook not in drifted:
            raise NothingExpected.of("expectations", "none", "Write some.")
        return drifted[one.notebook]

    monkeypatch.setattr(gallery, "compare", compare)
    return drifted


def test_the_newest_run_is_the_card_and_earlier_ones_are_a_line(tmp_path):
    for minute, accuracy in ((0, 0.5), (1, 0.25), (2, 0.75)):
        put_run(tmp_path / "runs", make_record(minute, metrics={"accuracy": accuracy}))
    put_run(tmp_path / "runs", make_record(3, parameters={"seed": 1, "rate": 0.5}, metrics={"accuracy": 0.125}))
    put_run(tmp_path / "runs", make_record(1, notebook="08_other", metrics={"loss": 3.0}))
    put_run(tmp_path / "old", make_record(-60, metrics={"accuracy": 1.0}))
    put_run(tmp_path / "old", make_record(-50, status="failed", failure=BOOM, metrics={"accuracy": -9.0}))
    put_run(tmp_path / "old", make_record(60, metrics={"accuracy": 9.0}))
    cards = soup(tmp_path / "runs", tmp_path / "old").select("article")
    assert [card["id"][:25] for card in cards] == [
        "07_small-20260504-120200-",
        "07_small-20260504-120300-",
        "08_other-20260504-120100-",
    ]
    numbers = cards[0].find("th", string="accuracy").parent
    assert words(numbers) == "accuracy 0.75 4 runs, from 1 to 0.75; lowest 0.25, highest 1"
    assert cards[1].select("svg") == [] == cards[2].select("svg")


def test_verdicts_and_totals(tmp_path, expected):
    expected |= {"07_small": [], "08_off": [Drift("accuracy", "0.9 ± 0.03", "0.5")]}
    put_run(tmp_path, make_record())
    put_run(tmp_path, make_record(notebook="08_off"))
    put_run(tmp_path, make_record(notebook="09_broken", status="failed", failure=BOOM))
    put_run(tmp_path, make_record(notebook="10_new"))
    page = soup(tmp_path)
    assert [words(card.select_one(".verdict")) for card in page.select("article")] == [
        "✓ ok",
        "≠ drifted",
        "✗ failed",
        "✓ ok",
    ]
    assert words(page.select_one(".tally")) == "✓ 2 ok ≠ 1 drifted ✗ 1 failed"
    assert "4 May 2026 · 5 min 00 s in all" in words(page.header)
    ok, off, broken, new = map(words, page.select("article"))
    assert "All numbers are as expected." in ok
    assert "accuracy: expected 0.9 ± 0.03, got 0.5" in off
    assert "ValueError in cell 2 ( go() ) it broke" in broken
    assert "Not compared." in new


def test_a_card_tells_time_memory_parameters_and_where_the_rest_is(tmp_path):
    place = put_run(tmp_path, make_record(parameters={"seed": 3, "rate": 0.5}, seed=3, device="NVIDIA X"))
    (card,) = soup(tmp_path).select("article")
    assert words(card.h3) == "07 · A small thing" and "Shows one thing." in words(card)
    assert [words(one) for one in card.select("strong")] == ["seed = 3"] and "(default 0)" in words(card)
    assert "NVIDIA X · seed 3" in words(card)
    assert "time, s 75.0 memory of the kernel, MiB 321" in words(card)
    assert "1 seed: int = 0 0.50" in words(card.select("details")[1])
    files = [(tmp_path / link["href"]).resolve() for link in card.select("a")]
    assert files == [place / "07_small.html", place / "07_small.ipynb", place / "record.json"]
    assert all(file.is_file() for file in files)


def test_a_run_whose_memory_nobody_measured_has_a_card(tmp_path):
    put_run(tmp_path, make_record(status="failed", peak_memory_mib={}))
    assert len(soup(tmp_path).select("article")) == 1


def test_the_first_figure_is_there_small_and_in_words(tmp_path):
    broken = new_output("display_data", {"image/png": "broken"})
    put_run(tmp_path, make_record(), broken, noise_figure(alt="Noise."), noise_figure(100, 100))
    put_run(tmp_path, make_record(notebook="08_other"), noise_figure())
    first, second = soup(tmp_path).select("article img")
    picture = Image.open(io.BytesIO(base64.b64decode(first["src"].partition(",")[2])))
    assert picture.size == (480, 240) == (int(first["width"]), int(first["height"]))
    assert first["alt"] == "Noise." and second["alt"] == "Figure: The left half is water."


def test_the_environment_stands_there_once_and_differences_are_named(tmp_path):
    put_run(tmp_path, make_record())
    put_run(tmp_path, make_record(notebook="08_other"))
    odd = put_run(tmp_path, make_record(notebook="09_odd", packages={"numpy": "2.4.0"}, git=None))
    page = soup(tmp_path)
    assert words(page).count("2.4.0") == 1 and words(page).count("3.12.1") == 1
    rows = [words(row) for row in page.select("main > table:last-of-type tbody tr")]
    assert rows == [
        "commit 0123456789 2",
        f"commit none, outside a repository {odd.name}",
        "torch 2.14.1 2",
        f"torch not installed {odd.name}",
    ]


def test_what_is_not_whole_is_listed(tmp_path):
    put_run(tmp_path, make_record())
    whole = put_run(tmp_path, make_record(notebook="08_stopped"))
    whole.rename(whole.with_suffix(".unfinished"))
    (put_run(tmp_path, make_record(notebook="09_cut")) / "record.json").write_text('{"notebook": "09_cut", "sta')
    (put_run(tmp_path, make_record(notebook="10_bytes")) / "record.json").write_bytes(b"\xff\xfe")
    (put_run(tmp_path, make_record(notebook="11_none")) / "record.json").unlink()
    (put_run(tmp_path, make_record(notebook="12_gone")) / "12_gone.ipynb").unlink()
    (tmp_path / "something else").mkdir()
    page = soup(tmp_path)
    assert [words(card.h3) for card in page.select("article")] == ["07 · A small thing", "12_gone"]
    listed = [words(item) for item in page.select("main > ul li")]
    assert [line.split("-")[0] for line in listed] == ["08_stopped", "09_cut", "10_bytes", "11_none"]
    assert "1 unfinished" in words(page.header) and "3 unreadable" in words(page.header)


def test_nothing_from_a_notebook_is_taken_for_html(tmp_path):
    failure = Failure(cell=1, first_line=EVIL, error=EVIL, message=EVIL)
    evil = {"parameters": {"seed": EVIL, EVIL: 1}, "metrics": {EVIL: 1.0}, "device": EVIL, "platform": EVIL}
    cells = [CellTime(index=1, first_line=EVIL, seconds=1.0)]
    title = f"# 07 · {EVIL}\n\nPromise {EVIL}."
    put_run(tmp_path, make_record(0, **evil, cells=cells), noise_figure(alt=f'"{EVIL}'), title=title)
    put_run(tmp_path, make_record(1, **evil, cells=cells, status="failed", failure=failure), title=title)
    put_run(tmp_path, make_record(2, packages={EVIL: EVIL}, parameters={"seed": 2}), title=title)
    put_run(tmp_path, make_record(notebook="08")).rename(tmp_path / "08'\"><b>-20260504-120000-00ff")
    text = write_gallery(tmp_path).read_text()
    page = BeautifulSoup(text, "html.parser")
    assert page.find("script") is None and page.find("b") is None
    assert text.count("&lt;script&gt;") > 12
    assert all(set(tag.attrs) <= {"src", "width", "height", "alt"} for tag in page.select("img"))


def test_it_needs_nothing_from_elsewhere_and_no_script(tmp_path):
    put_run(tmp_path, make_record(), noise_figure())
    page = soup(tmp_path)
    asked = [tag.get("src") or tag.get("href") for tag in page.find_all(["img", "link", "a", "iframe", "script"])]
    assert [address for address in asked if re.match(r"(?!data:)\w+:|//|/", address)] == []
    assert not re.search(r"url\(|@import", page.style.string)


def test_headings_are_in_order_pictures_have_words_and_links_lead_somewhere(tmp_path):
    put_run(tmp_path, make_record(), noise_figure())
    put_run(tmp_path, make_record(1, status="failed", failure=BOOM, parameters={"seed": 1}, packages={}))
    put_run(tmp_path, make_record(notebook="08_cut")).rename(tmp_path / "08_cut-20260504-120000-00ff.unfinished")
    page = soup(tmp_path)
    levels = [int(tag.name[1]) for tag in page.find_all(re.compile(r"^h[1-6]$"))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert page.html["lang"] == "en" and all(image["alt"] for image in page.select("img"))
    inside = [link["href"] for link in page.select("a[href^='#']")]
    assert inside and all(page.find(id=link[1:]) for link in inside)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_in_both_modes(mode):
    """WCAG 2 AA: 4.5 for text, 3 for bars and lines."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#ffffff") < 4.5
    light, dark = re.findall(r":root \{([^}]*)\}", CSS.read_text())
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", {"light": light, "dark": dark}[mode]))
    assert set(colours) == {"paper", "card", "ink", "soft", "link", "ok", "drifted", "failed", "bar", "rule"}
    for ground in ("paper", "card"):
        for ink in ("ink", "soft", "link", "ok", "drifted", "failed"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["bar"], colours[ground]) >= 3, ground


def test_colours_come_from_the_variables_alone():
    rules = re.sub(r":root \{[^}]*\}", "", CSS.read_text())
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rules)) == {"#fff"}, "white behind pictures"


def test_a_hundred_runs_stay_below_five_megabytes(tmp_path):
    """A fifth of them, each as large as can be."""
    noise = noise_figure(640, 640)
    cells = [CellTime(index=index, first_line="x" * 500, seconds=1.0) for index in range(40)]
    long = Failure(cell=1, first_line="go()", error="ValueError", message="x" * 100_000)
    for seed in range(20):
        parameters = {"seed": seed, "rate": 0.5} | {f"parameter_{number}": "x" * 500 for number in range(8)}
        put_run(tmp_path, make_record(seed, parameters=parameters, cells=cells, status="failed", failure=long), noise)
    path = write_gallery(tmp_path)
    assert len(BeautifulSoup(path.read_text(), "html.parser").select("article img")) == 20
    assert path.stat().st_size < 5e6 / 5


def test_a_mistake_is_one_sentence_and_leaves_no_page(tmp_path):
    with pytest.raises(RunError, match=r"^Expected runs in .*nowhere, got none\. Make one: skysense-nb run"):
        write_gallery(tmp_path / "nowhere")
    with pytest.raises(RunError, match="got none"):
        write_gallery(tmp_path)
    put_run(tmp_path / "runs", make_record())
    with pytest.raises(RunError, match="nowhere, got none"):
        write_gallery(tmp_path / "runs", [tmp_path / "nowhere"])
    assert list(tmp_path.rglob("index*")) == []


def test_it_is_written_again_beside_an_older_one(tmp_path):
    place = put_run(tmp_path, make_record())
    first = write_gallery(tmp_path).read_text()
    assert write_gallery(tmp_path).read_text() == first
    put_run(tmp_path, make_record(notebook="08_other"))
    shutil.rmtree(place)
    assert [card.h3.string for card in soup(tmp_path).select("article")] == ["08 · A small thing"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["index.html"]


def test_the_command_says_where_the_page_is(tmp_path):
    put_run(tmp_path / "runs", make_record(1))
    put_run(tmp_path / "old", make_record(0))
    done = CliRunner().invoke(app, ["gallery", str(tmp_path / "runs"), "--history", str(tmp_path / "old")])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == f"Open {tmp_path / 'runs' / 'index.html'}"
    assert "2 runs, from 0.5 to 0.5" in (tmp_path / "runs" / "index.html").read_text()
