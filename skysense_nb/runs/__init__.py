"""Running notebooks as experiments: typed parameters in, one folder with a record out.

Start with `runner.run`: it checks the parameters (`parameters.py`), lets papermill execute the cells
(`engine.py`), and writes the executed notebook, an HTML copy (`page.py`) and record.json (`record.py`).
Inside a notebook, `report`, `report_array` and `record_input` (`metrics.py`) hand numbers, summaries of arrays
(`arrays.py`) and checksums to that record; `expectations.py` says what numbers and arrays they should be.
Many runs are a series (`series.py`): each in a process of its own or on a cluster, and never the same one twice; a
sweep (`sweep.py`) is a series over a grid of parameters with a table and a figure at its end. `gallery.py` makes one
page of them all.
`library.py` knows which notebooks there are, `machine.py` what this computer offers, and
`checkup.py` whether that is enough. For teaching, `exercises.py` copies notebooks without their
solutions, and `bundle.py` gathers all for a room without a network.

Only the three calls that notebooks use are imported here, because everything else brings papermill along.
"""

from skysense_nb.runs.metrics import record_input, report, report_array

__all__ = ["record_input", "report", "report_array"]
