import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from skysense_nb.errors import ParameterError
from skysense_nb.runs.self_check import NotRightYet, Solution, check, pack, self_checks, unpack

SOLUTIONS = {
    2: Solution("half = total / 2\nprint('told')\nanswer_2 = {'half': half}"),
    3: Solution(keys=("a", "b")),
    4: Solution("if total > 5:\n    answer_4 = 1"),
}


def say(number, **names):
    with pytest.raises(NotRightYet) as raised:
        check(SOLUTIONS, number, names)
    return str(raised.value)


def test_an_answer_is_red_until_it_is_right(capsys):
    assert say(2, total=3) == "Exercise 2: expected `answer_2`, got nothing yet. Set it in the cell above."
    assert say(2, total=3, answer_2=...) == say(2, total=3)
    assert say(2, total=3, answer_2=1.5) == (
        "Exercise 2: expected `answer_2` as a dict with the keys 'half', each a number; got a number."
    )
    assert say(2, total=3, answer_2={"half": 3.0}).endswith("got another value of this form.")
    check(SOLUTIONS, 2, {"total": 3, "answer_2": {"half": 1.5}})
    assert capsys.readouterr().out == "Exercise 2: right\n"


def test_the_names_of_the_notebook_are_as_before():
    names = {"total": 3, "half": "mine", "answer_2": {"half": 1.5}}
    before = dict(names)
    check(SOLUTIONS, 2, names)
    assert {name: value for name, value in names.items() if name != "__builtins__"} == before


def test_a_function_of_the_notebook_sees_what_the_solution_sets():
    names = {"answer_1": 4}
    exec("size = 1\ndef double(): return 2 * size", names)
    check({1: Solution("size = 2\nanswer_1 = double()")}, 1, names)
    assert names["size"] == 1


def test_missing_cells_and_other_parameters_are_said():
    assert say(2, answer_2=1) == "Exercise 2: expected the cells above to have run, got no `total`. Run them first."
    assert "expected default parameters" in say(4, answer_4=1, total=3)


def test_a_long_exercise_is_checked_by_its_form(capsys):
    assert "as a dict with the keys 'a', 'b'; got a number." in say(3, answer_3=1.0)
    assert "expected finite numbers" in say(3, answer_3={"a": [1.0], "b": float("nan")})
    assert "expected finite numbers" in say(3, answer_3={"a": np.array([0, np.inf]), "b": 1j})
    check(SOLUTIONS, 3, {"answer_3": {"b": np.array(["u", "v"]), "a": "x"}})
    assert "compare its numbers with the solution" in capsys.readouterr().out


def test_packed_solutions_come_back_and_are_not_in_plain_view():
    packed = pack(SOLUTIONS)
    assert unpack(packed) == SOLUTIONS
    assert "answer" not in packed and '"' not in packed
    with pytest.raises(ParameterError, match="Make this copy again"):
        self_checks(packed[:-8])


def test_an_exercise_in_words_has_no_check():
    with pytest.raises(ParameterError, match="an exercise among 2, 3, 4, got 1"):
        check(SOLUTIONS, 1, {})


def test_a_notebook_shows_the_sentence_alone(capsys):
    shell = InteractiveShell()
    shell.user_ns["red"] = NotRightYet("Exercise 2: no.")
    shell.run_cell("raise red")
    assert capsys.readouterr().out.split("\n")[0] == "Exercise 2: no."
