"""Copies of the notebooks to practise on: solutions out; an empty answer and a self-check per exercise in.

An exercise's answer is what its solution prints last, or else the value of its last expression. `as_program` rewrites
a solution so that this lands in `answer_N`; the rewritten solutions are what self-checks run (`self_check.py`) and
what the teacher's copy shows.
"""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from skysense_nb.errors import ParameterError, writable
from skysense_nb.runs.library import find_notebook, list_notebooks, read_cells
from skysense_nb.runs.self_check import Solution, pack

HEADING = "### Exercises"
FORM_ONLY = "form-only"
"""Tag of a solution that trains for long, draws at random or changes what it reads: no check runs it again."""

HOW_TO = """
Leave each answer in the name its cell gives, then run the check below it. A check is red until the answer says what \
the solution says, and tells which form that has. Solutions are in the notebook this is a copy of."""

IN_WORDS = "*An exercise to try and to talk about; nothing checks it.*"

CHECKS = """from skysense_nb.runs.self_check import self_checks

check_exercise = self_checks("{packed}")"""


@dataclass(frozen=True)
class Exercise:
    """One exercise of a notebook: its number, its text, and its solution where that is code."""

    number: int
    text: str
    solution: NotebookNode | None


def write_exercises(
    folder: str | Path, names: Sequence[str] = (), solved_folder: str | Path | None = None
) -> list[Path]:
    """Writes a copy to practise on of each notebook.

    Args:
        folder: Made if missing; takes the copies.
        names: Numbers, names or paths of notebooks; none for the whole series.
        solved_folder: Takes the same copies with the answers filled in, for the teacher.

    Returns:
        The copies in `folder`.

    Raises:
        ParameterError: An unknown notebook, one without exercises, two of one name, or a copy that exists; nothing is
            written then.
    """
    sources = [find_notebook(name).resolve() for name in names] or [notebook.path for notebook in list_notebooks()]
    called = Counter(source.name for source in set(sources))
    if twice := next((name for name, count in called.items() if count > 1), None):
        raise ParameterError.of(
            "notebooks of different names", f"{called[twice]} called {twice}", "Copy one at a time."
        )
    folders = {Path(folder): False} | ({Path(solved_folder): True} if solved_folder else {})
    if len({place.resolve() for place in folders}) == 1 and solved_folder:
        raise ParameterError.of("two folders", f"{folder} twice", "Give the teacher's copies a place of their own.")
    targets = {place / source.name: (source, solved) for place, solved in folders.items() for source in sources}
    if there := next((path for path in targets if path.exists()), None):
        raise ParameterError.of(f"nothing at {there}", "a file", "Choose another folder; nothing was written.")
    copies = {path: exercise_copy(source, solved) for path, (source, solved) in targets.items()}
    for path, notebook in copies.items():
        write_beside(notebook, path)
    return [path for path in copies if path.parent == Path(folder)]


def write_beside(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook so that it appears whole.

    Raises:
        ParameterError: The folder cannot be made or written.
    """
    unfinished = path.with_suffix(".unfinished")
    with writable(path.parent, ParameterError):
        nbformat.write(notebook, unfinished)
        os.replace(unfinished, path)


def exercise_copy(source: Path, solved: bool = False) -> NotebookNode:
    """A notebook with self-checks in place of its solutions, or (`solved`) with the answers filled in.

    Raises:
        ParameterError: Not a notebook, or one without exercises.
    """
    read_cells(source)  # refuses what is no notebook at all
    try:
        notebook = nbformat.read(source, as_version=4)
    except nbformat.ValidationError as error:
        raise ParameterError.of(f"a Jupyter notebook at {source}", error.message, "Save it in JupyterLab.") from error
    start, exercises = find_exercises(notebook.cells, source)
    solutions = {one.number: to_check(one) for one in exercises if one.solution}
    packed = new_code_cell(CHECKS.format(packed=pack(solutions)), id="self-checks")
    packed.metadata = {"tags": ["self-checks"], "jupyter": {"source_hidden": True}}
    # Code behind the exercises only clears away what they still need.
    rest = [cell for cell in notebook.cells[start + 1 :] if cell.cell_type == "markdown" and not solves(cell)]
    notebook.cells = [
        *notebook.cells[:start],
        new_markdown_cell(HEADING + "\n" + HOW_TO, id="exercises"),
        packed,
        *(cell for exercise in exercises for cell in exercise_cells(exercise, solved)),
        *rest,
    ]
    return notebook


def find_exercises(cells: list[NotebookNode], source: Path) -> tuple[int, list[Exercise]]:
    """Position of the cell that lists the exercises, and the exercises with their solutions.

    Solutions in words name their exercise. Those in code follow the order of the others and end with the last one: it
    is the first ones, which turn a knob, that may have none.

    Raises:
        ParameterError: There are none.
    """
    start = next((at for at, cell in enumerate(cells) if cell.source.startswith(HEADING)), None)
    coded = [cell for cell in cells if "solution" in cell.metadata.get("tags", [])]
    if start is None or not coded:
        raise ParameterError.of(f"exercises with solutions in {source.name}", "none", "Choose another notebook.")
    texts = re.findall(r"^\d+\. (.+?)(?=^\d+\. |\Z)", cells[start].source, flags=re.MULTILINE | re.DOTALL)
    in_words = {number for cell in cells for number in solves(cell)}
    open_numbers = [number for number in range(1, len(texts) + 1) if number not in in_words]
    by_number = dict(zip(reversed(open_numbers), reversed(coded), strict=False))
    return start, [Exercise(number, text.strip(), by_number.get(number)) for number, text in enumerate(texts, 1)]


def solves(cell: NotebookNode) -> list[int]:
    """Numbers of the exercises that a markdown cell solves in words."""
    found = re.findall(r"<summary>Solution (\d+)</summary>", cell.source) if cell.cell_type == "markdown" else []
    return list(map(int, found))


def to_check(exercise: Exercise) -> Solution:
    """How an exercise is checked: by running its solution again, or by its form alone."""
    source = exercise.solution.source
    if FORM_ONLY not in exercise.solution.metadata.tags:
        return Solution(program=as_program(source, exercise.number))
    last = ast.parse(source).body[-1]
    keys = last.value.keys if isinstance(last, ast.Expr) and isinstance(last.value, ast.Dict) else []
    return Solution(keys=tuple(key.value for key in keys))


def exercise_cells(exercise: Exercise, solved: bool) -> list[NotebookNode]:
    """The text of an exercise, the cell for its answer and the check."""
    number, text = exercise.number, f"**Exercise {exercise.number}.** {exercise.text}"
    if exercise.solution is None:
        return [new_markdown_cell(f"{text}\n\n{IN_WORDS}", id=f"exercise-{number}")]
    answer = f"# Exercise {number}: define `answer_{number}`\nanswer_{number} = ..."
    if solved:
        answer = as_program(exercise.solution.source, number)
    answer_cell, check = (
        new_code_cell(answer, id=f"answer-{number}", metadata={"tags": ["exercise"]}),
        new_code_cell(f"check_exercise({number})", id=f"check-{number}"),
    )
    check.metadata = {"tags": ["self-check", "raises-exception"]}  # Run All goes on past a red one
    return [new_markdown_cell(text, id=f"exercise-{number}"), answer_cell, check]


def as_program(source: str, number: int) -> str:
    """A solution that leaves in `answer_N` what it prints last, or else the value of its last expression.

    Example:
        >>> as_program("a = 2\\na + 1", 3)
        'a = 2\\nanswer_3 = a + 1\\nanswer_3'
        >>> as_program("print(a, b)", 1)
        'print(*(answer_1 := (a, b)))'
    """
    tree, name = ast.parse(source), f"answer_{number}"
    prints = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"]
    if not prints:
        return inserted(source, {start_of(tree.body[-1]): f"{name} = "}).rstrip() + f"\n{name}"
    values = max(prints, key=start_of).args
    if len(values) == 1:
        return inserted(source, {start_of(values[0]): f"{name} := "})
    ending = (values[-1].end_lineno, values[-1].end_col_offset)
    return inserted(source, {start_of(values[0]): f"*({name} := (", ending: "))"})


def start_of(node: ast.expr | ast.stmt) -> tuple[int, int]:
    """Line and byte at which a piece of source begins."""
    return node.lineno, node.col_offset


def inserted(source: str, pieces: dict[tuple[int, int], str]) -> str:
    """Source with pieces put in at lines and bytes, as the syntax tree counts them."""
    lines = source.encode().split(b"\n")
    for (line, byte), piece in sorted(pieces.items(), reverse=True):
        lines[line - 1] = lines[line - 1][:byte] + piece.encode() + lines[line - 1][byte:]
    return b"\n".join(lines).decode()
