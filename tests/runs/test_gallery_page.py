import re

import pytest
from run_folders import make_record

from skysense_nb.runs.gallery import Card
from skysense_nb.runs.gallery_page import between, brief, duration, measures, settings


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (86_400, "24 h 00 min")],
)
def test_durations_carry_over(seconds, words):
    assert duration(seconds) == words


def test_days_from_first_to_last():
    noon, late = make_record().started, make_record(60 * 24 * 30).started
    assert between([late, noon]) == "4 May 2026 to 3 June 2026"
    assert between([noon, noon]) == "4 May 2026" and between([]) == ""


def test_a_long_text_is_cut_and_says_so():
    assert brief("a" * 9, longest=9) == "a" * 9 and brief("a" * 10, longest=9) == "a" * 9 + " …"


def test_runs_that_did_not_report_a_number_are_left_out_of_its_line():
    newest = make_record(3, metrics={"new": 2.0, "old": 4.0}, peak_memory_mib={"kernel": 300.0, "device": 1500.0})
    earlier = [make_record(0, metrics={"old": 1.0}), make_record(1, metrics={"old": float("nan"), "gone": 1.0})]
    found = {one.name: one for one in measures(Card(None, newest, earlier, "ok", [], "title"))}
    assert list(found) == ["new", "old", "time, s", "memory of the kernel, MiB", "memory of the device, MiB"]
    lengths = {name: re.findall(r"(\d+) runs", one.line) for name, one in found.items()}
    assert lengths["new"] == [] and lengths["old"] == ["2"] and lengths["time, s"] == ["3"]
    assert found["memory of the device, MiB"].text == "1,500" and found["memory of the device, MiB"].line == ""


def test_changed_parameters_come_first_with_their_default():
    one = make_record(parameters={"seed": 0, "rate": 1.0, "unknown": "x"})
    card = Card(None, one, [], "ok", [], "title", defaults={"seed": 0, "rate": 0.5})
    assert [(each.name, each.value, each.default) for each in settings(card)] == [
        ("rate", "1.0", "0.5"),
        ("seed", "0", None),
        ("unknown", "'x'", None),
    ]
