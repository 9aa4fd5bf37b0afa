"""What runs were made with: software, system and commit, once where all agree, and who differs where they do not."""

from __future__ import annotations

from collections.abc import Mapping

from skysense_nb.runs.record import Record

ABSENT = "not installed"


def environment(record: Record) -> dict[str, str]:
    """Everything a run was made with, by name: Python, platform, commit, then packages."""
    if record.git is None:
        commit = "none, outside a repository"
    else:
        commit = record.git.commit[:10] + (" with changes" if record.git.dirty else "")
    return {"Python": record.python, "platform": record.platform, "commit": commit, **record.packages}


def compare_environments(records: Mapping[str, Record]) -> tuple[dict[str, str], dict[str, dict[str, list[str]]]]:
    """What all runs share, and what they do not.

    Args:
        records: By name of the run.

    Returns:
        Name to the value all have; and name to its values, each with the runs that have it, the most usual first.
    """
    found = {run: environment(record) for run, record in records.items()}
    same, different = {}, {}
    for name in dict.fromkeys(name for one in found.values() for name in one):
        runs_by_value: dict[str, list[str]] = {}
        for run, one in found.items():
            runs_by_value.setdefault(one.get(name, ABSENT), []).append(run)
        if len(runs_by_value) == 1:
            same[name] = next(iter(runs_by_value))
        else:
            different[name] = dict(sorted(runs_by_value.items(), key=lambda item: -len(item[1])))
    return same, different
