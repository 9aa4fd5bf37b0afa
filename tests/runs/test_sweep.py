import json
from types import SimpleNamespace

import pandas as pd
import pytest

from skysense_nb.errors import ParameterError
from skysense_nb.runs.series import Outcome, Task
from skysense_nb.runs.sweep import Sweep, combinations, sweep, tabulate
from skysense_nb.runs.sweep_values import parse_lists, read_lists, read_sweep_file

SCORE = "from skysense_nb.runs import report\nreport(score=len(preset) + 1 / (seed - 2))"


def test_every_combination_is_a_run_and_a_row(make_notebook, tmp_path):
    lists = {"preset": ["a", "bcd"], "seed": range(1, 4)}
    done = sweep(make_notebook(SCORE), lists, tmp_path / "out", parameters={"rate": 2.0}, jobs=2, timeout_s=60)
    table = pd.read_csv(done.csv)
    assert table[["preset", "seed", "status"]].to_numpy().tolist() == [
        ["a", 1, "ok"], ["a", 2, "failed"], ["a", 3, "ok"], ["bcd", 1, "ok"], ["bcd", 2, "failed"], ["bcd", 3, "ok"],
    ]  # fmt: skip
    assert table["score"].dropna().tolist() == [0.0, 2.0, 2.0, 4.0]
    assert table["kernel_mib"].isna().tolist() == [False, True, False, False, True, False]
    assert {one.run.record.parameters["rate"] for one in done.outcomes} == {2.0}
    assert done.summary().loc["score"].to_dict() == {"a": "1 ± 1.4", "bcd": "3 ± 1.4"}
    assert done.figure.read_bytes().startswith(b"\x89PNG")
    again = sweep(make_notebook(SCORE), {"seed": [1, 3], "preset": ["a"]}, tmp_path / "out", parameters={"rate": 2.0})
    assert [one.kept for one in again.outcomes] == [True, True]


def test_means_are_over_the_seeds_only(tmp_path):
    table = pd.DataFrame({"seed": [0, 1], "status": ["ok", "ok"], "miou": [0.5, 0.7], "once": [None, 2.0]})
    summary = Sweep([], ["seed"], table, tmp_path, None).summary()
    assert summary.loc["miou"].tolist() == ["0.6 ± 0.14"] and summary.loc["once"].tolist() == ["2"]
    assert Sweep([], ["seed"], table[["seed", "status"]], tmp_path, None).summary().empty
    table = pd.DataFrame({"bands": [json.dumps(["B2"]), "x"], "status": "ok", "miou": [0.5, 0.7]})
    assert Sweep([], ["bands"], table, tmp_path, None).summary().loc["miou"].tolist() == ["0.5", "0.7"]


def outcome(parameters, **metrics) -> Outcome:
    """A finished run as far as a table reads it."""
    record = SimpleNamespace(status="ok", metrics=metrics, wall_s=1.5, peak_memory_mib={"kernel": 64.0})
    return Outcome(Task("07", parameters), SimpleNamespace(record=record))


def test_none_is_a_value_like_others(tmp_path):
    runs = [outcome({"limit": limit, "seed": seed}, miou=0.5 + seed) for limit in (None, 2) for seed in (0, 1)]
    table = tabulate(runs, ["limit", "seed"])
    assert table["limit"].tolist() == ["None", "None", 2, 2]
    summary = Sweep([], ["limit", "seed"], table, tmp_path, None).summary()
    assert summary.loc["miou"].to_dict() == {"None": "1 ± 0.71", 2: "1 ± 0.71"}
    table.to_csv(tmp_path / "sweep.csv")
    read = pd.read_csv(tmp_path / "sweep.csv")[table.columns]  # pandas takes "None" for a missing value
    assert Sweep([], ["limit", "seed"], read, tmp_path, None).summary().shape[1] == 2


def test_a_number_named_like_another_column_keeps_both():
    runs = [outcome({"rate": rate}, rate=rate / 2, status=3.0, wall_s=4.0, miou=0.5) for rate in (1.0, 2.0)]
    (first, second) = tabulate(runs, ["rate"]).to_dict("records")
    assert first == {
        "rate": 1.0, "status": "ok", "reported_rate": 0.5, "reported_status": 3.0, "reported_wall_s": 4.0, "miou": 0.5,
        "wall_s": 1.5, "kernel_mib": 64.0,
    }  # fmt: skip
    assert (second["rate"], second["reported_rate"]) == (2.0, 1.0)


def test_values_get_the_declared_type(make_notebook):
    tasks = combinations(make_notebook(), {"rate": [1, 2.0]}, {})
    assert [repr(task.parameters["rate"]) for task in tasks] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({}, "Expected a parameter to sweep over, got none"),
        ({"sead": [1]}, "Did you mean 'seed'"),
        ({"seed": []}, "Expected values of seed to sweep over, got none"),
        ({"seed": [1, "2"]}, "Expected seed as int, got '2'"),
        ({"rate": [1.0]}, "got 2.0 for all runs as well"),
    ],
)
def test_wrong_lists(make_notebook, lists, message):
    with pytest.raises(ParameterError, match=message):
        combinations(make_notebook(), lists, {"rate": 2.0})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=0..4", {"seed": [0, 1, 2, 3, 4]}),
        ("seed=-1..0,7", {"seed": [-1, 0, 7]}),
        ("preset=tiny,skysense-v2, 0..1", {"preset": ["tiny", "skysense-v2", "0..1"]}),
        ("rate=1e-3,0.5", {"rate": [0.001, 0.5]}),
        ("limit=none,2", {"limit": [None, 2]}),
        ("flag=true,false", {"flag": [True, False]}),
        ("bands=[B2],[B3, B4]", {"bands": [["B2"], ["B3", "B4"]]}),
        ("preset=2024-02-30,b", {"preset": ["2024-02-30", "b"]}),
    ],
)
def test_values_as_people_write_them(make_notebook, text, values):
    assert parse_lists(make_notebook(), [text]) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "Expected values as name=a,b,c, got 'seed'"),
        ("seed=4..0", "Expected seed from low to high, got '4..0'. Write 0..4."),
        ("seed=x", "Expected seed as int, got 'x'"),
        ("bands=[B2", "Expected values as a,b,c"),
        ("bands=[2024-02-30],[B2]", "Expected values as a,b,c"),
        ("seed=2024-02-30,1", "Expected seed as int, got '2024-02-30'"),
    ],
)
def test_values_that_cannot_be(make_notebook, text, message):
    with pytest.raises(ParameterError) as caught:
        parse_lists(make_notebook(), [text])
    assert message in str(caught.value)


def test_a_name_given_twice_is_refused(make_notebook):
    with pytest.raises(ParameterError, match="Expected values of seed once, got them twice"):
        parse_lists(make_notebook(), ["seed=0..2", "rate=1.0", "seed =5"])


def test_a_file_says_the_same(make_notebook, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("notebook: 00\nparameters: {rate: 2.0}\nsweep:\n  seed: 0..2\n  bands: [[B2], [B3]]\n")
    asked = read_sweep_file(path)
    assert (asked.name, asked.parameters) == ("00", {"rate": 2.0})
    assert read_lists(make_notebook(), asked.sweep) == {"seed": [0, 1, 2], "bands": [["B2"], ["B3"]]}
    path.write_text("sweeps: {}\n")
    with pytest.raises(ParameterError, match="Expected notebook, parameters and sweep in .*sweep"):
        read_sweep_file(path)
