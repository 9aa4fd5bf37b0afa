import hashlib
import math

import numpy as np
import pytest
import torch

from skysense_nb.errors import ParameterError
from skysense_nb.runs.arrays import ArraySummary, summarise
from skysense_nb.runs.metrics import MIME, checksum, read_reports, record_input, report, report_array, to_number


def test_report_prints_outside_a_notebook(capsys):
    report(accuracy=0.91234, steps=12)
    assert capsys.readouterr().out == "accuracy 0.9123 · steps 12\n"


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.array(2), torch.tensor(2.0), torch.tensor([2], dtype=torch.int8)]
)
def test_numbers_of_every_library_become_plain(value):
    assert to_number("n", value) == 2.0
    assert type(to_number("n", value)) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, "2", None, [1], torch.zeros(3), np.zeros(3)])
def test_what_is_not_one_finite_number_is_refused(value):
    with pytest.raises(ParameterError, match="Expected loss as one finite number"):
        report(loss=value)


def test_an_array_is_summed_up_for_the_reader_and_the_record(monkeypatch, capsys):
    report_array("fused", torch.ones(2, 3))
    assert capsys.readouterr().out == "fused · float 2 × 3, mean 1, std 0\n"
    shown = []
    monkeypatch.setattr("skysense_nb.runs.metrics.show", lambda payload, text: shown.append({"data": {MIME: payload}}))
    report_array("fused", torch.ones(2, 3))
    report_array("days", np.arange(3))
    found = read_reports([{"outputs": shown}]).arrays
    assert [ArraySummary(**found[name]) for name in ("fused", "days")] == [
        summarise("fused", np.ones((2, 3))),
        summarise("days", np.arange(3)),
    ]


def test_checksum_of_a_file_is_the_sha256_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"ground")
    assert record_input(tmp_path / "a") == hashlib.sha256(b"ground").hexdigest()


def test_checksum_of_a_folder_sees_names_and_contents(tmp_path):
    folder = tmp_path / "scene.zarr"
    (folder / "s2").mkdir(parents=True)
    (folder / "s2" / "0").write_bytes(b"1")
    first = checksum(folder)
    assert checksum(folder) == first
    (folder / "s2" / "0").write_bytes(b"2")
    second = checksum(folder)
    (folder / "s2" / "0").rename(folder / "s2" / "1")
    assert len({first, second, checksum(folder)}) == 3


def test_checksum_of_nothing(tmp_path):
    with pytest.raises(ParameterError, match="Expected a file or folder at .*none, got nothing"):
        record_input(tmp_path / "none")


def test_later_reports_win_and_other_outputs_are_ignored():
    cells = [
        {"cell_type": "markdown"},
        {"outputs": [{"output_type": "stream", "text": "x"}, {"data": {MIME: {"metrics": {"a": 1.0, "b": 2.0}}}}]},
        {"outputs": [{"data": {MIME: {"metrics": {"b": 3.0}}}}, {"data": {MIME: {"inputs": {"f": "00"}}}}]},
    ]
    found = read_reports(cells)
    assert found.metrics == {"a": 1.0, "b": 3.0}
    assert found.inputs == {"f": "00"}
