"""Running notebooks as experiments: typed parameters in, one folder with a record out.

Start with `runner.run`: it checks the parameters (`parameters.py`), lets papermill execute the cells
(`engine.py`), and writes the executed notebook, an HTML copy (`page.py`) and record.json (`record.py`).
Inside a notebook, `report` and `record_input` (`metrics.py`) hand numbers and checksums to that record.
`library.py` knows which notebooks there are, `machine.py` what this computer offers.

Only the two calls that notebooks use are imported here, because everything else brings papermill along.
"""

from skysense_nb.runs.metrics import record_input, report

__all__ = ["record_input", "report"]
