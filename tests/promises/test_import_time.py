"""`import skysense_nb` costs little more than torch: nothing heavy comes along. Counted in modules, not seconds."""

import json
import subprocess
import sys

import pytest

HEAVY_BY_USE = {
    "looking": "leafmap ipyleaflet ipywidgets IPython matplotlib plotly",
    "training": "lightning pytorch_lightning torchgeo torchvision torchmetrics kornia segmentation_models_pytorch",
    "rasters": "xarray pandas rasterio rioxarray odc zarr h5py h5netcdf dask distributed pystac",
    "science": "scipy sklearn shapely geopandas pyproj huggingface_hub",
    "running": "papermill nbclient nbconvert nbformat pydantic yaml typer",
}
HEAVY = {name for names in HEAVY_BY_USE.values() for name in names.split()}


def loaded(statement: str, before: str = "pass") -> set[str]:
    """Top-level modules that `statement` adds to a fresh process."""
    program = (
        f"import json, sys\n{before}\nknown = set(sys.modules)\n{statement}\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - known})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_library_adds_nothing_heavy_to_torch():
    assert loaded("import skysense_nb", before="import torch") & HEAVY == set()


@pytest.mark.parametrize("statement", ["import skysense_nb.models", "import skysense_nb.runs"])
def test_rooms_that_notebooks_import_first_stay_light(statement):
    assert loaded(statement, before="import torch") & HEAVY == set()


def test_the_command_line_lists_notebooks_without_jupyter():
    statement = "from skysense_nb import __main__; from skysense_nb.runs import library"
    assert loaded(statement, before="import torch, typer") & (HEAVY - {"typer"}) == set()
