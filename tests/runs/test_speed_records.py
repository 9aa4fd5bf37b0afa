"""Records of speed: a file per day and device, to which measurements are added."""

import json
from datetime import date

import pytest
import torch

from skysense_nb.errors import RunError
from skysense_nb.runs import speed_records as records
from skysense_nb.runs.bench_inference import Comparison
from skysense_nb.runs.bench_step import Step
from skysense_nb.runs.speed_records import keep, speed_records

CPU = torch.device("cpu")
HR = Comparison("HR encoder", "64 px", "fp32", 4.0, 2.0, 2.0, 30.0, 20.0, 1e-6, 0.99999123456, 0.8)
STEP = Step("bf16", 0.5, 4.0, 200.0, 2.0, 3e-3)


@pytest.fixture
def machine(monkeypatch):
    """A processor and a day of its own."""

    class Today(date):
        day_of_month = 1

        @classmethod
        def today(cls):
            return date(2026, 2, cls.day_of_month)

    monkeypatch.setattr(records, "processor", lambda: "Some (R) CPU @ 2.0 GHz")
    monkeypatch.setattr(records.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(records, "date", Today)
    return Today


def test_what_is_kept_is_read_again(machine, tmp_path):
    path = keep("skysense-tiny", [HR, STEP], tmp_path / "speed", CPU)
    assert path.name == "2026-02-01_some-r-cpu-2-0-ghz-4-cores.json"
    hr, step = speed_records(tmp_path / "speed").to_dict("records")
    assert hr["device"] == "Some (R) CPU @ 2.0 GHz, 4 cores" and hr["day"] == date(2026, 2, 1)
    assert (hr["model"], hr["part"], hr["precision"], hr["ratio"]) == ("skysense-tiny", "HR encoder", "fp32", 2.0)
    assert hr["cosine"] == 0.999991 and hr["threads"] == 1 and hr["torch"] == torch.__version__
    assert (step["model"], step["part"], step["precision"]) == ("ViT 384 × 6", "training step", "bf16")
    assert (step["plain_s"], step["plain_mib"], step["fast_mib"]) == (2.0, 400.0, 200.0)


def test_a_second_call_adds_and_replaces(machine, tmp_path):
    other = Comparison(**HR.to_dict() | {"precision": "bf16", "ratio": 4.0})
    again = Comparison(**HR.to_dict() | {"fast_s": 1.6, "ratio": 2.5})
    wider = Comparison(**HR.to_dict() | {"reads": "512 px"})
    keep("skysense-tiny", [HR, other], tmp_path, CPU)
    keep("skysense-tiny", [again, wider], tmp_path, CPU)
    keep("skysense", [HR], tmp_path, CPU)
    assert len(list(tmp_path.iterdir())) == 1
    table = speed_records(tmp_path)
    found = table[["model", "reads", "precision", "ratio"]].values.tolist()
    assert found == [
        ["skysense-tiny", "64 px", "fp32", 2.5],
        ["skysense-tiny", "64 px", "bf16", 4.0],
        ["skysense-tiny", "512 px", "fp32", 2.0],
        ["skysense", "64 px", "fp32", 2.0],
    ]


def test_another_day_and_another_device_are_other_files(machine, tmp_path, monkeypatch):
    keep("skysense-tiny", [HR], tmp_path, CPU)
    machine.day_of_month = 2
    keep("skysense-tiny", [HR], tmp_path, CPU)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    keep("skysense-tiny", [HR], tmp_path, torch.device("cuda"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[1:] == ["2026-02-02_some-gpu.json", "2026-02-02_some-r-cpu-2-0-ghz-4-cores.json"]
    assert len(speed_records(tmp_path)) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"device": "x", "cores": 1, "day": "2026-01-01", "rows": [{}]}'])
def test_broken_records_are_refused_and_left_as_they_are(content, machine, tmp_path):
    path = keep("skysense-tiny", [HR], tmp_path, CPU)
    path.write_text(content)
    for call in (lambda: speed_records(tmp_path), lambda: keep("skysense-tiny", [HR], tmp_path, CPU)):
        with pytest.raises(RunError, match="Expected a record of speed at .* Move it away"):
            call()
    assert path.read_text() == content and list(tmp_path.iterdir()) == [path]


def test_an_empty_folder_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(RunError, match="got none"):
            speed_records(folder)


def test_the_records_that_come_along_can_be_read():
    table = speed_records()
    whole = table[(table["model"] == "skysense") & (table["part"] == "whole model")]
    assert set(whole["precision"]) >= {"fp32", "bf16"} and (whole["cosine"] > 0.999).all()
    assert (table["ratio"] - table["plain_s"] / table["fast_s"]).abs().max() < 1e-3 * table["ratio"].max()
    for path in records.OURS.glob("*.json"):
        assert path.name.startswith(json.loads(path.read_text())["day"])
