"""The history of a run as it grows: read while another process writes it."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from skysense_nb.errors import RunError

NAME = "history.csv"
HEADER = "step,seconds,name,value"


class RunHistory:
    """The table that `pretrain` and `fine_tune` leave in their folder, read anew from where it was read to.

    A last line that is only half written is left for the next time. A run that goes on from a checkpoint writes its
    table again without the steps it will repeat; then it is read from the beginning.

    Args:
        folder: Of the run.

    Attributes:
        table: Columns step, seconds, name, value; in the order they were written.

    Example:
        >>> _ = Path("history.csv").write_text("step,seconds,name,value\\n1,0.5,loss,2.5\\n2,1.0,lo")
        >>> RunHistory(".").refresh()
           step  seconds  name  value
        0     1      0.5  loss    2.5
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / NAME
        self.forget()

    def forget(self) -> None:
        """Begins at the first line again."""
        self.read_to, self.ending = 0, b""
        self.table = pd.DataFrame({"step": [], "seconds": [], "name": [], "value": []})

    def refresh(self) -> pd.DataFrame:
        """Reads what has come since the last time; the whole table.

        Raises:
            RunError: No such file, nothing in it yet, or another kind of table.
        """
        try:
            with self.path.open("rb") as file:
                if not self.still_there(file):
                    self.forget()
                file.seek(self.read_to)
                come = file.read()
        except (FileNotFoundError, NotADirectoryError) as error:
            fix = "Start pretrain or fine_tune with this folder, or check the path; then refresh."
            raise RunError.of(f"the history of a run at {self.path}", "no such file", fix) from error
        come = come[: come.rfind(b"\n") + 1]
        if come:
            self.take(come)
        if self.table.empty:
            fix = "The first step is not done yet: wait and refresh, or see whether the run still works."
            raise RunError.of(f"rows in {self.path}", "none", fix)
        return self.table

    def take(self, come: bytes) -> None:
        """Adds whole lines to the table."""
        text = come.decode("utf-8", "replace")
        if self.read_to == 0:
            first, _, text = text.partition("\n")
            if first.strip() != HEADER:
                fix = "Give the folder of a run of pretrain or fine_tune."
                raise RunError.of(f"a table {HEADER} in {self.path}", first.strip()[:60] or "an empty line", fix)
        rows = pd.read_csv(io.StringIO(text), names=HEADER.split(","), on_bad_lines="skip", keep_default_na=False)
        numbers = rows[["step", "seconds", "value"]].apply(pd.to_numeric, errors="coerce")
        rows = rows.assign(**numbers)[numbers["step"].notna() & (rows["name"] != "")].astype({"step": int})
        self.table = rows if self.table.empty else pd.concat([self.table, rows], ignore_index=True)
        self.ending = (self.ending + come)[-256:]
        self.read_to += len(come)

    def still_there(self, file: io.BufferedReader) -> bool:
        """Whether the file still holds what was read of it, so that reading can go on behind it."""
        file.seek(self.read_to - len(self.ending))
        return file.read(len(self.ending)) == self.ending

    def curve(self, name: str) -> pd.Series:
        """One quantity over steps; where a step was written twice, its last value."""
        rows = self.table[self.table["name"] == name]
        return rows.drop_duplicates("step", keep="last").set_index("step")["value"].sort_index()

    def names(self) -> list[str]:
        """Quantities in the order of their first row."""
        return list(dict.fromkeys(self.table["name"]))

    def seconds_per_step(self) -> pd.Series:
        """How long each step took, by the clock of the run, from the second on; pauses between starts do not count."""
        ends = self.table.groupby("step")["seconds"].min()
        steps = ends.index.to_series().diff()
        return (ends.diff() / steps).iloc[1:]
