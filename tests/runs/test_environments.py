from run_folders import make_record

from skysense_nb.runs.environments import ABSENT, compare_environments, environment
from skysense_nb.runs.record import Git


def test_a_commit_says_whether_files_were_changed_since():
    assert environment(make_record())["commit"] == "0123456789"
    assert environment(make_record(git=Git(commit="f" * 40, dirty=True)))["commit"] == "ffffffffff with changes"
    assert environment(make_record(git=None))["commit"] == "none, outside a repository"


def test_what_all_share_is_apart_from_what_they_do_not():
    runs = {
        "odd": make_record(python="3.11.9", packages={"numpy": "2.4.0"}),
        "a": make_record(),
        "b": make_record(),
    }
    same, different = compare_environments(runs)
    assert same == {"platform": "Linux", "commit": "0123456789", "numpy": "2.4.0"}
    assert different == {
        "Python": {"3.12.1": ["a", "b"], "3.11.9": ["odd"]},
        "torch": {"2.14.1": ["a", "b"], ABSENT: ["odd"]},
    }
    assert list(different["Python"]) == ["3.12.1", "3.11.9"], "the usual one first"


def test_no_runs_share_nothing():
    assert compare_environments({}) == ({}, {})
