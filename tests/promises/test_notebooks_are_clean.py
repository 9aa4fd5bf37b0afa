"""Every notebook of the series has the same anatomy and carries nothing a run has made."""

import ast
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from repository import NOTEBOOKS

from skysense_nb.runs.library import describe
from skysense_nb.runs.parameters import declared

LONGEST_CELL = 25
GOALS = "what you will see"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: nbformat.NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def plain(text: str) -> str:
    """A line without emphasis, code marks, leading numbers and closing full stop."""
    return re.sub(r"^[\d.·\s]+", "", re.sub(r"[*_`]", "", text)).strip().rstrip(".")


def test_the_series_starts_with_its_index():
    assert [path.name for path in NOTEBOOKS][:1] == ["00_start_here.ipynb"]


def test_it_is_valid_and_its_cells_have_names(notebook):
    nbformat.validate(notebook)
    names = [cell.id for cell in notebook.cells]
    assert len(set(names)) == len(names)


def test_it_carries_nothing_a_run_has_made(notebook):
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        assert not {"papermill", "execution"} & set(cell.metadata)
    assert not {"papermill", "widgets"} & set(notebook.metadata)
    assert not tagged(notebook, "injected-parameters")


def test_nbstripout_has_nothing_to_strip(path):
    command = [sys.executable, "-m", "nbstripout", "--verify", "--keep-id", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_asks_for_the_plain_kernel(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_it_opens_with_number_title_promise_and_facts(path, notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and re.match(r"# \d\d\b", first.source)
    about = describe(path)
    assert first.source[2:4] == about.number == path.stem[:2]
    assert about.title and about.promise.endswith((".", "?", "!"))
    assert about.fact("cpu") and about.fact("gpu") and about.fact("needs")


def test_the_goals_are_headings_word_for_word(notebook):
    text = prose(notebook)
    goals = re.search(rf"^#+ +{GOALS}[^\n]*\n(.*?)(?=^#|\Z)", text, flags=re.I | re.M | re.S)
    assert goals, "no list of goals"
    wanted = [plain(line) for line in re.findall(r"^\d+\. +(.+)$", goals.group(1), flags=re.M)]
    assert 3 <= len(wanted) <= 5
    headings = [plain(line) for line in re.findall(r"^#{2,} +(.+)$", text[goals.end() :], flags=re.M)]
    assert [heading for heading in headings if heading in wanted] == wanted


def test_headings_skip_no_level(notebook):
    """Readers who listen move from heading to heading."""
    text = re.sub(r"^```.*?^```", "", prose(notebook), flags=re.M | re.S)
    levels = [len(marks) for marks in re.findall(r"^(#{1,6}) +\S", text, flags=re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1] == []


def test_pictures_in_prose_say_what_they_show(notebook):
    assert re.findall(r"!\[\s*\]\(|<img(?![^>]*alt=)[^>]*>", prose(notebook)) == []


def test_one_cell_declares_parameters_with_types_and_comments(path, notebook):
    assert len(tagged(notebook, "parameters")) == 1
    known = declared(path)
    assert "seed" in known
    assert [parameter.name for parameter in known.values() if not parameter.help] == []


def test_it_checks_itself_and_reports(notebook):
    checks = "\n".join(cell.source for cell in tagged(notebook, "check"))
    assert "assert " in checks
    assert "report(" in "\n".join(code(notebook))


def test_cells_are_short(notebook):
    assert [source for source in code(notebook) if len(source.splitlines()) > LONGEST_CELL] == []


def test_one_cell_imports(notebook):
    importing = [
        source
        for source in code(notebook)
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(source)))
    ]
    assert len(importing) == 1


def test_code_is_plain_python_without_installs(notebook):
    for source in code(notebook):
        ast.parse(source)
        assert not re.search(r"^\s*[%!]|get_ipython|pip install|conda install", source, flags=re.M)


def test_code_names_no_place_outside_the_notebook(notebook):
    constants = [
        node.value
        for source in code(notebook)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [text for text in constants if re.match(r"(/\w|~|[A-Z]:\\|\.\./|[a-z]+://)", text)] == []


def test_solutions_are_folded(notebook):
    for cell in tagged(notebook, "solution"):
        assert cell.metadata.get("jupyter", {}).get("source_hidden") is True
