import ast
import re
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.errors import ParameterError
from skysense_nb.runs.exercises import as_program, exercise_copy, find_exercises, write_exercises
from skysense_nb.runs.runner import run
from skysense_nb.runs.self_check import unpack

SERIES = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
LIST = """### Exercises

1. Turn the knob.
2. What is twice
   the seed?
3. Say it."""


@pytest.fixture
def lesson(make_notebook) -> Path:
    """A notebook with three exercises, two of them with solutions in code, and a cell that clears up."""
    path = make_notebook("x = seed + 1")
    notebook = nbformat.read(path, as_version=4)
    for source in ("2 * seed", "y = x * 10\nprint('→', y)"):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["solution"]})
        notebook.cells.append(cell)
    notebook.cells.insert(-2, nbformat.v4.new_markdown_cell(LIST))
    notebook.cells += [nbformat.v4.new_code_cell("del x"), nbformat.v4.new_markdown_cell("### Summary")]
    nbformat.write(notebook, path)
    return path


def cells(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if tag in cell.metadata.get("tags", [])]


def verdicts(notebook: Path) -> list[str]:
    """What each self-check of an executed copy printed or raised."""
    outputs = [cell.outputs for cell in cells(notebook, "self-check")]
    return [out.get("evalue") or out.text.strip() for (out,) in outputs]


def test_a_copy_has_text_answer_and_check_and_no_solution(lesson, tmp_path):
    (copy,) = write_exercises(tmp_path / "copies", [str(lesson)])
    notebook = nbformat.read(copy, as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells[-8:]] == [
        "**Exercise 1.** Turn the knob.\n\n*An exercise to try and to talk about; nothing checks it.*",
        "**Exercise 2.** What is twice\n   the seed?",
        "# Exercise 2: define `answer_2`\nanswer_2 = ...",
        "check_exercise(2)",
        "**Exercise 3.** Say it.",
        "# Exercise 3: define `answer_3`\nanswer_3 = ...",
        "check_exercise(3)",
        "### Summary",
    ]
    assert "2 * seed" not in copy.read_text() and "del x" not in copy.read_text()
    (checks,) = cells(copy, "self-checks")
    assert checks.metadata.jupyter.source_hidden
    programs = unpack(re.search(r'"(.+)"', checks.source).group(1))
    assert {number: one.program for number, one in programs.items()} == {
        2: "answer_2 = 2 * seed\nanswer_2",
        3: "y = x * 10\nprint(*(answer_3 := ('→', y)))",
    }


def test_a_copy_runs_past_red_checks_and_is_green_with_the_answers(lesson, tmp_path):
    (copy,) = write_exercises(tmp_path / "copies", [str(lesson)], tmp_path / "solved")
    red = run(copy, {"seed": 4}, tmp_path / "out")
    assert red.record.status == "ok"
    assert [one.split(", got")[0] for one in verdicts(red.notebook)] == [
        "Exercise 2: expected `answer_2`",
        "Exercise 3: expected `answer_3`",
    ]
    green = run(tmp_path / "solved" / copy.name, {"seed": 4}, tmp_path / "out")
    assert verdicts(green.notebook) == ["Exercise 2: right", "Exercise 3: right"]


def test_the_command_says_where_the_copies_are(lesson, tmp_path):
    options = ["exercises", str(tmp_path / "copies"), str(lesson), "--with-solutions", str(tmp_path / "key")]
    done = CliRunner().invoke(app, options)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/copies/07_small.ipynb\n")
    assert "answer_2 = 2 * seed" in (tmp_path / "key/07_small.ipynb").read_text()


def test_nothing_is_overwritten_and_nothing_half_written(lesson, tmp_path):
    (copy,) = write_exercises(tmp_path / "copies", [str(lesson)])
    copy.write_text("a participant's work")
    with pytest.raises(ParameterError, match="nothing was written"):
        write_exercises(tmp_path / "copies", [str(lesson)], tmp_path / "solved")
    assert copy.read_text() == "a participant's work" and not (tmp_path / "solved").exists()
    with pytest.raises(ParameterError, match="two folders"):
        write_exercises(tmp_path / "new", [str(lesson)], tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="a writable folder"):
        write_exercises(tmp_path / "file", [str(lesson)])


def test_one_folder_written_in_two_ways_is_one(lesson, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("mine")
    for other in (tmp_path / "mine", "other/../mine", "link"):
        with pytest.raises(ParameterError, match="Expected two folders, got mine twice"):
            write_exercises("mine", [str(lesson)], other)
    assert not (tmp_path / "mine").exists()


def test_two_notebooks_of_one_name_are_refused(lesson, tmp_path):
    other = tmp_path / "elsewhere" / lesson.name
    other.parent.mkdir()
    other.write_text(lesson.read_text())
    with pytest.raises(ParameterError, match="notebooks of different names, got 2 called 07_small.ipynb"):
        write_exercises(tmp_path / "copies", [str(lesson), str(other)])
    assert not (tmp_path / "copies").exists()
    assert len(write_exercises(tmp_path / "copies", [str(lesson), str(lesson)])) == 1


@pytest.mark.parametrize("content", ["{", "", "[]", '{"cells": [], "nbformat": 4}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    (tmp_path / "broken.ipynb").write_text(content)
    with pytest.raises(ParameterError, match="a Jupyter notebook at .*broken.ipynb"):
        write_exercises(tmp_path / "copies", [str(tmp_path / "broken.ipynb")])


def test_a_notebook_without_exercises_is_refused(make_notebook, tmp_path):
    with pytest.raises(ParameterError, match="exercises with solutions in 07_small.ipynb, got none"):
        write_exercises(tmp_path / "copies", [str(make_notebook("1"))])
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize(
    ("source", "program"),
    [
        ("a\nb.c  # why", "a\nanswer_1 = b.c  # why\nanswer_1"),
        ("{\n    1: 2\n}", "answer_1 = {\n    1: 2\n}\nanswer_1"),
        ("print('é', a, sep='')", "print(*(answer_1 := ('é', a)), sep='')"),
        ("try:\n    f()\nexcept E as e:\n    print(e)", "try:\n    f()\nexcept E as e:\n    print(answer_1 := e)"),
        ("print(a)\nprint(b)\nundo()", "print(a)\nprint(answer_1 := b)\nundo()"),
    ],
)
def test_a_solution_leaves_its_result_in_a_name(source, program):
    assert as_program(source, 1) == program


@pytest.mark.parametrize("path", SERIES, ids=lambda path: path.stem)
def test_every_solution_of_the_series_has_a_number_and_a_result(path):
    notebook = nbformat.read(path, as_version=4)
    exercises = find_exercises(notebook.cells, path)[1]
    coded = [one for one in exercises if one.solution]
    assert len(coded) == len([cell for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])])
    for one in coded:
        names = {node.id for node in ast.walk(ast.parse(as_program(one.solution.source, one.number)))
                 if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
        assert f"answer_{one.number}" in names
    copy = exercise_copy(path)
    assert "solution" not in {tag for cell in copy.cells for tag in cell.metadata.get("tags", [])}
    nbformat.validate(copy)


@pytest.mark.notebook
def test_a_notebook_of_the_series_is_red_before_and_green_after(tmp_path):
    """One run: each exercise of 61 is checked as copied, then again behind the teacher's answer."""
    (path,) = (path for path in SERIES if path.stem.startswith("61"))
    copy, solved = exercise_copy(path), exercise_copy(path, solved=True)
    answers = {cell.id: cell for cell in solved.cells}
    for check in [cell for cell in copy.cells if "self-check" in cell.metadata.get("tags", [])]:
        again = nbformat.from_dict(check | {"id": f"{check.id}-again"})
        answer = answers[check.id.replace("check", "answer")]
        at = copy.cells.index(check) + 1
        copy.cells[at:at] = [nbformat.from_dict(answer | {"id": f"{answer.id}-solved"}), again]
    nbformat.write(copy, tmp_path / path.name)
    told = verdicts(run(tmp_path / path.name, out=tmp_path / "out").notebook)
    assert told[1::2] == [f"Exercise {number}: right" for number in (1, 2, 3)]
    assert all(
        one.startswith(f"Exercise {n}: expected `answer_{n}`, got nothing yet") for n, one in enumerate(told[::2], 1)
    )
