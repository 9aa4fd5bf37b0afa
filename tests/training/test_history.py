"""A history is read while it grows, with the writer that runs use."""

from types import SimpleNamespace

import numpy as np
import pytest

from skysense_nb.errors import RunError
from skysense_nb.training.checkpoints import COLUMNS, History
from skysense_nb.training.history import HEADER, RunHistory


def begin(folder, step=0):
    """The writer of a run that starts, or goes on after a step."""
    writer = History(folder / "history.csv")
    writer.on_train_start(SimpleNamespace(global_step=step, is_global_zero=True), None)
    return writer


def test_the_header_is_the_writers():
    assert ",".join(COLUMNS) == HEADER


def test_rows_come_as_they_are_written(tmp_path):
    writer, history = begin(tmp_path), RunHistory(tmp_path)
    writer.add(1, {"loss": 2.5, "score/Beaches, dunes, sands": 0.25})
    assert history.refresh()[["step", "name", "value"]].values.tolist() == [
        [1, "loss", 2.5], [1, "score/Beaches, dunes, sands", 0.25],
    ]  # fmt: skip
    read_to = history.read_to
    writer.add(2, {"loss": 1.5})
    assert len(history.refresh()) == 3 and history.read_to > read_to
    assert history.curve("loss").to_dict() == {1: 2.5, 2: 1.5}
    assert history.names() == ["loss", "score/Beaches, dunes, sands"]
    assert len(history.refresh()) == 3  # nothing new, nothing twice


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_half_written_last_line_waits_until_it_is_whole(tmp_path, cut):
    path, whole = tmp_path / "history.csv", f"{HEADER}\r\n1,0.5,loss,2.5\r\n2,1.0,loss,12.75\r\n"
    path.write_text(whole[:-cut], newline="")
    history = RunHistory(tmp_path)
    assert history.refresh()["value"].tolist() == [2.5]
    path.write_text(whole, newline="")
    assert history.refresh()["value"].tolist() == [2.5, 12.75]


def test_a_resumed_run_is_read_anew(tmp_path):
    writer, history = begin(tmp_path), RunHistory(tmp_path)
    for step in (1, 2, 3):
        writer.add(step, {"loss": step})
    history.refresh()
    again = begin(tmp_path, step=1)  # the checkpoint was of step 1
    for step in (2, 3, 4, 5):
        again.add(step, {"loss": 10 * step})
    assert history.refresh()["value"].tolist() == [1, 20, 30, 40, 50]


def test_values_that_are_no_numbers_stay_visible(tmp_path):
    writer, history = begin(tmp_path), RunHistory(tmp_path)
    writer.add(1, {"loss": float("nan"), "None": float("inf")})
    values = history.refresh()["value"].tolist()
    assert np.isnan(values[0]) and values[1] == np.inf and history.names() == ["loss", "None"]


def test_seconds_per_step_come_from_the_clock_of_the_run(tmp_path):
    rows = ["1,2.0,loss,1", "1,9.0,probe/score,1", "2,4.0,loss,1", "4,10.0,loss,1"]
    (tmp_path / "history.csv").write_text("\n".join([HEADER, *rows, ""]))
    history = RunHistory(tmp_path)
    history.refresh()
    assert history.seconds_per_step().to_dict() == {2: 2.0, 4: 3.0}


def test_refusals_in_words(tmp_path):
    history = RunHistory(tmp_path)
    with pytest.raises(
        RunError, match=r"history\.csv, got no such file\. Start pretrain or fine_tune with this folder"
    ):
        history.refresh()
    begin(tmp_path)
    with pytest.raises(RunError, match=r"^Expected rows in .*, got none\. The first step is not done yet"):
        history.refresh()
    (tmp_path / "history.csv").write_text("epoch,train_loss\n1,2\n")
    with pytest.raises(RunError, match="got epoch,train_loss"):
        history.refresh()
