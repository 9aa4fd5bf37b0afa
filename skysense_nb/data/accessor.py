"""`scene.sky`: the verbs of this library on any scene, as `.rio` is for rasters."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from skysense_nb.data import sample, scene, storage

if TYPE_CHECKING:
    from skysense_nb.data.doctor import Report
    from skysense_nb.data.mending import Step


@xr.register_datatree_accessor("sky")
class Sky:
    """What a scene can do; shown on its own it prints the scene in a few lines."""

    def __init__(self, tree: xr.DataTree) -> None:
        self.tree = tree

    def __repr__(self) -> str:
        return scene.describe(self.tree)

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities in the scene, in model order."""
        return scene.modalities(self.tree)

    @property
    def lonlat(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        return scene.center_lonlat(self.tree)

    def only(self, wanted: tuple[str, ...]) -> xr.DataTree:
        """The scene with just the wanted modalities; see `data.sample.only`."""
        return sample.only(self.tree, wanted)

    def to_sample(self, **options: float) -> sample.Sample:
        """Tensors for a model; see `data.sample.to_sample`."""
        return sample.to_sample(self.tree, **options)

    def to_map(self, cells: np.ndarray, **attrs: str) -> xr.DataArray:
        """Values per ground cell (D h w) as a map with CRS; see `data.sample.to_map`."""
        return sample.to_map(self.tree, cells, **attrs)

    def save(self, path: str | Path) -> Path:
        """Writes the scene to `.zarr` or `.nc`; see `data.storage.save`."""
        return storage.save(self.tree, path)

    def diagnose(self) -> Report:
        """Compares the scene with what the encoders were trained on; see `data.doctor.diagnose`."""
        from skysense_nb.data.doctor import diagnose

        return diagnose(self.tree)

    def mend(self, only: Sequence[str] | None = None) -> tuple[xr.DataTree, list[Step]]:
        """Undoes what the doctor finds and is certain, and says what it did; see `data.mending.mend`."""
        from skysense_nb.data.mending import mend

        return mend(self.tree, only)


def show_scenes_as_text() -> None:
    """In a notebook, a scene at the end of a cell shows as a few lines instead of kilobytes of HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    plain, html = (shell.display_formatter.formatters[kind] for kind in ("text/plain", "text/html"))
    plain.for_type(xr.DataTree, lambda tree, printer, cycle: printer.text(text_of(tree)))
    html.for_type(xr.DataTree, lambda tree: None if scene.modalities(tree) else tree._repr_html_())


def text_of(tree: xr.DataTree) -> str:
    """The short text of a scene, or what xarray prints of any other tree."""
    return scene.describe(tree) if scene.modalities(tree) else repr(tree)


show_scenes_as_text()
