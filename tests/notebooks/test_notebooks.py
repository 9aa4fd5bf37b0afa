"""A notebook runs, with its defaults and with one parameter changed, and its numbers are right.

A notebook may name its own change in its metadata (`{"skysense": {"changed": {"preset": "…"}}}`);
otherwise the seed moves by one.
"""

import base64
import json
import math
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

from skysense_nb.runs.expectations import compare
from skysense_nb.runs.metrics import MIME
from skysense_nb.runs.parameters import declared
from skysense_nb.runs.runner import Run, run

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
TIMEOUT_S = 600
PNG = b"\x89PNG\r\n\x1a\n"


pytestmark = [pytest.mark.notebook, pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)]


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    """Runs a notebook once per set of parameters, however many tests look at it."""
    out = tmp_path_factory.mktemp("runs")

    @cache
    def once(path: Path, changed: bool = False) -> Run:
        return run(path, change(path) if changed else None, out, timeout_s=TIMEOUT_S)

    return once


def change(path: Path) -> dict:
    asked = json.loads(path.read_text())["metadata"].get("skysense", {}).get("changed")
    return asked or {"seed": declared(path)["seed"].default + 1}


def outputs(done: Run) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(done.notebook, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


def pictures(done: Run) -> list[str]:
    return [
        "".join(output.data["image/png"].split()) for output in outputs(done) if "image/png" in output.get("data", {})
    ]


def test_it_runs_with_its_defaults_and_leaves_a_record(path, execute):
    done = execute(path)
    record = json.loads((done.folder / "record.json").read_text())
    assert (record["notebook"], record["status"], record["failure"]) == (path.stem, "ok", None)
    assert record["parameters"] == {name: parameter.default for name, parameter in declared(path).items()}
    assert record["metrics"] and all(math.isfinite(value) for value in record["metrics"].values())
    assert record["peak_memory_mib"]["kernel"] > 50
    assert len(record["cells"]) == sum("start_time" in cell for cell in timed_cells(done))


def timed_cells(done: Run) -> list[dict]:
    """papermill's own account of the code cells that are not empty."""
    cells = nbformat.read(done.notebook, as_version=4).cells
    return [cell.metadata.papermill for cell in cells if cell.cell_type == "code" and cell.source.strip()]


def test_it_shows_pictures_and_the_page_holds_them_offline(path, execute):
    done = execute(path)
    shown = pictures(done)
    assert shown and all(base64.b64decode(picture).startswith(PNG) for picture in shown)
    page = done.page.read_text()
    assert [number for number, picture in enumerate(shown) if picture not in page] == []
    images = re.findall(r"<img[^>]+src=[\"']?([^\s\"'>]{0,12})", page)
    assert [source for source in images if not source.startswith("data:image/")] == []


def test_what_it_reports_is_as_expected(path, execute):
    assert [str(one) for one in compare(execute(path).record)] == []
    if set(change(path)) == {"preset"}:  # of other changed parameters nothing is expected
        assert [str(one) for one in compare(execute(path, changed=True).record)] == []


def test_nothing_complains(path, execute):
    noise = [output.text for output in outputs(execute(path)) if output.get("name") == "stderr"]
    assert [text for text in noise if "Warning" in text or "Traceback" in text] == []


def test_one_changed_parameter_changes_the_result(path, execute):
    before, after = execute(path), execute(path, changed=True)
    assert after.record.status == "ok"
    assert after.record.parameters == before.record.parameters | change(path)
    assert set(after.record.metrics) == set(before.record.metrics)
    assert set(after.record.arrays) == set(before.record.arrays)
    assert (after.record.metrics, pictures(after)) != (before.record.metrics, pictures(before))


def test_the_metrics_travel_in_the_notebook(path, execute):
    told = {}
    for output in outputs(execute(path)):
        told.update(output.get("data", {}).get(MIME, {}).get("metrics", {}))
    assert told == execute(path).record.metrics
