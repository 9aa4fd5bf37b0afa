"""A fault that raises nothing is caught: it is put into a copy of the package, and the comparison names what it moves.

Of each notebook only the opening is run, up to the cell that computes its first array, against the committed
expectations of the whole.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from skysense_nb.runs.expectations import Drift, compare
from skysense_nb.runs.library import CHECKOUT
from skysense_nb.runs.runner import run

pytestmark = pytest.mark.notebook


@dataclass(frozen=True)
class Opening:
    """The part of a notebook that leads to its first array.

    Attributes:
        notebook: Name.
        last: Beginning of the line that computes the array.
        array: Name under which the notebook reports it.
    """

    notebook: str
    last: str
    array: str

    def write(self, folder: Path, package: Path) -> Path:
        """The opening as a notebook of its own, which refuses any package but that in `package`."""
        whole = nbformat.read(CHECKOUT / "notebooks" / f"{self.notebook}.ipynb", as_version=4)
        lines = [line for cell in whole.cells for line in cell.source.splitlines()]
        call = next(line for line in lines if line.startswith(f'report_array("{self.array}"'))
        last = next(n for n, cell in enumerate(whole.cells) if f"\n    {self.last}" in cell.source)
        where = f"import skysense_nb\nassert skysense_nb.__file__ == {str(package / '__init__.py')!r}"
        whole.cells = [*whole.cells[: last + 1], nbformat.v4.new_code_cell(f"{where}\n{call}")]
        nbformat.write(whole, folder / f"{self.notebook}.ipynb")
        return folder / f"{self.notebook}.ipynb"


ENCODER = Opening("02_the_factorised_encoder", "features = model.features", "fused")
LOSSES = Opening("10_contrast_at_three_granularities", "first = networks.losses", "first_losses")


@dataclass(frozen=True)
class Fault:
    """One changed text in one file of the package, and the opening that shows it."""

    opening: Opening
    file: str
    right: str
    wrong: str


SAMPLE = "data/sample.py"
SWAP = "hide_fill(values)[:, [1, 0, *range(2, 10)] if name == 's2' else slice(None)]"
FAULTS = {
    "sign of a loss": Fault(LOSSES, "pretraining/contrast.py", "-(target * answer)", "(target * answer)"),
    "two bands swapped": Fault(ENCODER, SAMPLE, "else hide_fill(values)", f"else {SWAP}"),
    "days off by one": Fault(ENCODER, SAMPLE, ".day_of_year.to_numpy() - 1", ".day_of_year.to_numpy()"),
    "no normalisation": Fault(ENCODER, SAMPLE, " - mean[:, None, None]) / std[:, None, None]", ")"),
}


@pytest.fixture
def drifted(tmp_path, monkeypatch):
    """How an opening's array drifts when a copy of the package has a fault, or none."""

    def run_copy(opening: Opening, fault: Fault | None = None) -> list[Drift]:
        package = tmp_path / "copy" / "skysense_nb"
        shutil.copytree(CHECKOUT / "skysense_nb", package)
        if fault:
            text = (package / fault.file).read_text()
            assert text.count(fault.right) == 1
            (package / fault.file).write_text(text.replace(fault.right, fault.wrong))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        record = run(opening.write(tmp_path, package), out=tmp_path / "runs").record
        return [one for one in compare(record) if one.name == opening.array]

    return run_copy


@pytest.mark.parametrize("opening", [ENCODER, LOSSES], ids=lambda opening: opening.notebook)
def test_an_unchanged_copy_is_as_expected(drifted, opening):
    assert drifted(opening) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_and_named(drifted, name):
    fault = FAULTS[name]
    assert drifted(fault.opening, fault) != []
