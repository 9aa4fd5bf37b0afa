"""PASTIS-R: series of Sentinel-2 and Sentinel-1 over French fields, with the SPOT images of PASTIS-HD where there."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from affine import Affine
from rasterio.crs import CRS
from torch import Tensor

from skysense_nb.data.benchmarks.files import as_float, read_array, read_json, read_raster
from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Reader, Record
from skysense_nb.errors import DatasetError, ParameterError
from skysense_nb.sensors import S1, S2

FOLDERS = {"TARGET": "ANNOTATIONS", "S2": "DATA_S2", "S1A": "DATA_S1A", "S1D": "DATA_S1D"}
FOLDS = {"train": (1, 2, 3), "val": (4,), "test": (5,)}
"""The first of the five official rotations; which one SkySense used is not known."""

ORBITS = {"ascending": ("S1A",), "descending": ("S1D",), "both": ("S1A", "S1D")}
VOID = 19
"""Pixels that are not scored. Background, 0, is another thing: a class."""

NO_DATA = -10_000
"""In Sentinel-2. Other negative values are reflectances that the atmospheric correction left below zero."""

S1_STORED = 3
"""VV, VH and their ratio, which is no polarisation."""

SPOT = "DATA_SPOT/PASTIS_SPOT6_RVB_1M00_2019"
LAMBERT_93 = 2154


@dataclass(frozen=True)
class Patch:
    """One feature of the metadata: dates as they are written there, and corners if its CRS is known."""

    id: int
    dates: dict[str, Any]
    corners: tuple[tuple[float, float], ...]


class PASTIS(Reader):
    """PASTIS-R, with `hr` for the patches that have a SPOT image.

    Layout: `PASTIS-R/metadata.geojson`, `DATA_S2/S2_<id>.npy` (T 10 H W int16), `DATA_S1A/S1A_<id>.npy` and
    `DATA_S1D/S1D_<id>.npy` (T 3 H W float16, dB), `ANNOTATIONS/TARGET_<id>.npy` (3 H W uint8, the first is the class),
    and from PASTIS-HD `DATA_SPOT/PASTIS_SPOT6_RVB_1M00_2019/SPOT6_RVB_1M00_2019_<id>.tif` (R G B at 1 m, of 2019, day
    unknown). Numbers of dates differ from patch to patch, and between the sensors of one patch.

    Masks hold 255 for void and 0 for background, which is scored. Georeferences come from the outlines in the
    metadata, if these are in Lambert-93; that the rows of the arrays run along their edges is not verified.

    Args:
        root: The folder that holds `PASTIS-R`, or that folder itself.
        split: train (folds 1, 2, 3), val (4) or test (5).
        folds: Other folds for this split.
        orbit: Of Sentinel-1, ascending, descending or both, in the order of dates.
    """

    name = "pastis"

    def __init__(
        self, root: str | Path, split: str = "train", folds: Sequence[int] | None = None, orbit: str = "ascending"
    ) -> None:
        if orbit not in ORBITS:
            raise ParameterError.of(f"an orbit among {', '.join(ORBITS)}", repr(orbit), "Choose one of these.")
        if folds is not None and (not folds or not set(folds) <= {1, 2, 3, 4, 5}):
            raise ParameterError.of("folds from 1 to 5", f"{folds}", "Pass such as (1, 2, 3).")
        self.folds = FOLDS.get(split, ()) if folds is None else tuple(folds)
        self.passes = ORBITS[orbit]
        super().__init__(root, split)

    def index(self) -> list[Patch]:
        self.metadata = self.root.first("PASTIS-R/metadata.geojson", "PASTIS-HD/metadata.geojson", "metadata.geojson")
        self.top = self.root.name(self.metadata.parent)
        content = read_json(self.root.file(self.metadata))
        try:
            named = str(((content.get("crs") or {}).get("properties") or {}).get("name", ""))
            self.crs = CRS.from_epsg(LAMBERT_93) if named.endswith(str(LAMBERT_93)) else None
            features = [one for one in content["features"] if int(one["properties"]["Fold"]) in self.folds]
            patches = [self.patch(one) for one in features]
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            expected = f"features with ID_PATCH, Fold, dates and a polygon in {self.metadata}"
            raise DatasetError.of(expected, repr(error), self.root.advice) from error
        patches.sort(key=lambda patch: patch.id)
        for kind in ("TARGET", "S2", *self.passes):
            self.check_complete(kind, patches)
        self.with_spot = self.names(SPOT) if self.root.inside(self.top, SPOT).exists() else set()
        return patches

    def patch(self, feature: dict[str, Any]) -> Patch:
        """What the metadata say of one patch; dates are decoded when it is read."""
        properties = feature["properties"]
        dates = {kind: properties[f"dates-{kind}"] for kind in ("S2", *self.passes)}
        return Patch(int(properties["ID_PATCH"]), dates, outline(feature["geometry"]) if self.crs else ())

    def check_complete(self, kind: str, patches: list[Patch]) -> None:
        """Refuses metadata with patches that have no file of some kind, with one look at its folder."""
        there = self.names(FOLDERS[kind])
        missing = [patch.id for patch in patches if f"{kind}_{patch.id}.npy" not in there]
        if missing:
            file = self.root.inside(self.top, FOLDERS[kind], f"{kind}_{missing[0]}.npy")
            expected = f"{self.root.name(file)}, as in {self.root.name(self.metadata)}"
            got = f"none, nor {len(missing) - 1} others"
            raise DatasetError.of(expected, got, "Unpack all parts of PASTIS-R into one folder.")

    def read(self, item: Patch) -> Record:
        mask = self.mask(item)
        record = {"id": str(item.id), "mask": mask}
        if self.crs is not None:
            record |= {"crs": self.crs, "transform": grid(item.corners, *mask.shape)}
        if spot_name(item) in self.with_spot:
            record |= {"hr": self.spot(item)[None], "hr_date": UNKNOWN_DATE.reshape(1)}
        s2, s2_days = self.series("S2", item, mask.shape)
        s1, s1_days = by_date([self.series(kind, item, mask.shape) for kind in self.passes])
        return record | {"s2": s2, "s2_date": s2_days, "s1": s1, "s1_date": s1_days}

    def mask(self, item: Patch) -> Tensor:
        """Class ids, H W int64."""
        path = self.path("TARGET", item.id)
        target = read_array(path)
        if target.ndim != 3 or target[0].max() > VOID:
            got = f"{target.shape} up to {target.max()}"
            raise DatasetError.of(f"3 H W with ids up to {VOID} in {path}", got, "Get the official file.")
        return torch.from_numpy(np.where(target[0] == VOID, IGNORED, target[0]).astype(np.int64))

    def spot(self, item: Patch) -> Tensor:
        """The SPOT image, 3 H W uint8."""
        path = self.root.file(self.top, SPOT, spot_name(item))
        image = read_raster(path, [1, 2, 3])
        if image.dtype != np.uint8:
            raise DatasetError.of(f"values from 0 to 255 in {path}", f"{image.dtype}", "Get the official file.")
        return torch.from_numpy(image)

    def series(self, kind: str, item: Patch, shape: torch.Size) -> tuple[Tensor, np.ndarray]:
        """Model bands of one sensor or orbit, T C H W float32, and its days."""
        stored, wanted = (len(S2.bands), len(S2.bands)) if kind == "S2" else (S1_STORED, len(S1.bands))
        path = self.path(kind, item.id)
        whole = stored == wanted  # then it is read and converted in one go
        values, days = read_array(path, lazily=whole), days_of(item.dates[kind], self.metadata, item.id)
        if values.shape != (len(days), stored, *shape):
            expected = f"{len(days)} dates of {stored} bands and {tuple(shape)} pixels, as the metadata say, in {path}"
            raise DatasetError.of(expected, f"{values.shape}", "Copy both again from the same version.")
        return as_float(values[:, :wanted], NO_DATA if kind == "S2" else None), days

    def path(self, kind: str, number: int) -> Path:
        """The array of some kind of a patch."""
        return self.root.file(self.top, FOLDERS[kind], f"{kind}_{number}.npy")

    def names(self, folder: str) -> set[str]:
        """Files in a folder."""
        return {path.name for path in self.root.folder(self.top, folder).iterdir()}

    def files(self, item: Patch) -> list[Path]:
        spot = [self.root.file(self.top, SPOT, spot_name(item))] if spot_name(item) in self.with_spot else []
        return [self.path(kind, item.id) for kind in ("TARGET", "S2", *self.passes)] + spot


def by_date(parts: list[tuple[Tensor, np.ndarray]]) -> tuple[Tensor, np.ndarray]:
    """Series of one or two orbits as one in the order of dates; copied only where that is needed."""
    series = parts[0][0] if len(parts) == 1 else torch.cat([images for images, _ in parts])
    days = np.concatenate([days for _, days in parts])
    if (days[:-1] <= days[1:]).all():
        return series, days
    order = np.argsort(days, kind="stable")
    return series[order], days[order]


def spot_name(patch: Patch) -> str:
    """File of a SPOT image; RVB is French for RGB."""
    return f"SPOT6_RVB_1M00_2019_{patch.id}.tif"


def days_of(stored: Any, metadata: Path, number: int) -> np.ndarray:
    """Days of a series, T datetime64[D], from `{"0": 20180924, …}` or its text in quotes of either kind.

    Example:
        >>> days_of("{'10': 20190101, '9': 20181222}", Path("metadata.geojson"), 10000)
        array(['2018-12-22', '2019-01-01'], dtype='datetime64[D]')
    """
    try:
        table = ast.literal_eval(stored) if isinstance(stored, str) else stored
        days = [str(table[key]) for key in sorted(table, key=int)]
        parsed = [date(int(day[:4]), int(day[4:6]), int(day[6:])) for day in days]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        expected = f"dates such as {{'0': 20180924}} of patch {number} in {metadata}"
        raise DatasetError.of(expected, repr(stored)[:80], "Get the official metadata.") from error
    return np.array(parsed, "datetime64[D]")


def outline(geometry: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    """Upper left, upper right and lower left corner of a square, which may be turned a little."""
    ring = geometry["coordinates"][0][0] if geometry["type"] == "MultiPolygon" else geometry["coordinates"][0]
    points = [(float(x), float(y)) for x, y, *_ in ring]
    return (
        max(points, key=lambda point: point[1] - point[0]),
        max(points, key=lambda point: point[0] + point[1]),
        min(points, key=lambda point: point[0] + point[1]),
    )


def grid(corners: tuple[tuple[float, float], ...], height: int, width: int) -> Affine:
    """From columns and rows of pixels to coordinates.

    Example:
        >>> grid(((0, 1280), (1280, 1280), (0, 0)), 128, 128) @ (1, 2)
        (10.0, 1260.0)
    """
    (left, top), (right, right_y), (low_x, low) = corners
    across, down = ((right - left) / width, (right_y - top) / width), ((low_x - left) / height, (low - top) / height)
    return Affine(across[0], down[0], left, across[1], down[1], top)
