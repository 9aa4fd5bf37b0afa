"""Files of one cube of DynamicEarthNet as they lie on disk, for both kinds of miniature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.synthetic import classes as world
from skysense_nb.sensors import S2

SIDE = 64
PIXEL_M = 3.0
WEEKLY = (1, 5, 10, 15, 20, 25)
"""Days of a month that the publishers call weekly."""

IMPERVIOUS, AGRICULTURE, FOREST, WETLANDS, SOIL, WATER, SNOW, UNSET = range(8)
CLASSES = {
    world.WATER: WATER, world.BEACH: WETLANDS, world.BARE: SOIL, world.GRASS: FOREST, world.SHRUB: FOREST,
    world.BROADLEAF: FOREST, world.CONIFER: FOREST, world.CROPLAND: AGRICULTURE, world.ORCHARD: AGRICULTURE,
    world.VINEYARD: AGRICULTURE, world.GARDEN: FOREST,
}  # fmt: skip
"""Of the world's land cover; what is built is impervious."""


@dataclass(frozen=True)
class Cube:
    """One cube as it lies on disk."""

    id: str
    zone: str
    split: str
    raster: str
    joint: str = "_"
    labels_level: str = "Labels/Raster"
    label_date: str = "%Y_%m_%d"

    @property
    def labels(self) -> str:
        """Folder of its label files."""
        return f"labels/{self.id}{self.joint}{self.zone}/{self.labels_level}/{self.raster}"

    @property
    def planet(self) -> str:
        """Folder of its Planet images, without the part that the lists and the disk call differently."""
        return f"{self.zone}/23E-{self.id[:3]}N/{self.id}/PF-SR"

    def label(self, month: str) -> str:
        """Label file of a month, YYYY-MM."""
        return f"{self.labels}/{self.raster}-{np.datetime64(month, 'D').item():{self.label_date}}.tif"


def class_ids(cover: np.ndarray) -> np.ndarray:
    """Classes of the benchmark from the world's land cover.

    Example:
        >>> class_ids(np.array([world.WATER, world.BUILDING])).tolist()
        [5, 0]
    """
    return np.array([CLASSES.get(one.id, IMPERVIOUS) for one in world.LAND_COVER])[cover]


def write_planet(folder: Path, cube: Cube, month: str, images: dict[int, np.ndarray], footprint: Record) -> Record:
    """Images of some days of a month, B G R NIR uint16, with a stray file beside the first; the record of the first."""
    folder = folder / "planet" / cube.planet
    for day, image in images.items():
        save(folder / f"{month}-{day:02d}.tif", image, footprint)
    (folder / f"{month}-01.tif.aux.xml").write_text("<PAMDataset/>\n")
    blue, green, red, near_infrared = images[1].astype(np.float32)
    hr = np.stack([red, green, blue, near_infrared])
    return {"hr": torch.from_numpy(hr)[None], "hr_date": first_of(month)}


def write_s2(folder: Path, cube: Cube, month: str, ten: np.ndarray, footprint: Record) -> Record:
    """Twelve bands, of which B1 and B9 are none of the model's and hold 1 and 9."""
    by_name = dict(zip(S2.bands, ten, strict=True)) | {f"B{one}": np.full_like(ten[0], one) for one in (1, 9)}
    stored = np.stack([by_name[one] for one in ("B1", *S2.bands[:8], "B9", "B11", "B12")])
    save(folder / "sentinel2" / cube.id / f"{month.replace('-', '_')}.tif", stored, footprint)
    return {"s2": torch.from_numpy(ten.astype(np.float32))[None], "s2_date": first_of(month)}


def write_s1(folder: Path, cube: Cube, month: str, two: np.ndarray, footprint: Record, with_id: bool = False) -> Record:
    """Eight bands: VV, VH and six that hold their number; some cubes have their id in the file names."""
    others = [np.full_like(two[0], number) for number in range(3, 9)]
    name = f"{cube.id}_" * with_id + f"{month.replace('-', '_')}.tif"
    save(folder / "sentinel1" / cube.id / name, np.stack([*two, *others]), footprint)
    return {"s1": torch.from_numpy(two)[None], "s1_date": first_of(month)}


def write_label(folder: Path, cube: Cube, month: str, ids: np.ndarray, footprint: Record) -> Record:
    """Seven bands of 0 or 255, with a stray file beside them; the mask."""
    path = folder / cube.label(month)
    save(path, np.stack([np.where(ids == band, 255, 0) for band in range(7)]).astype(np.uint8), footprint)
    path.with_name(f"{path.name}.aux.xml").write_text("<PAMDataset/>\n")
    mask = np.select([ids == SNOW, ids == UNSET], [255, IMPERVIOUS], ids)
    return {"mask": torch.from_numpy(mask.astype(np.int64))}


def list_line(cube: Cube, month: str) -> str:
    """A line of a list, with a leading slash and a prefix that is not on disk."""
    return f"/reprocess-cropped/UTM-24000/{cube.planet} /{cube.label(month)} {month}"


def write_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    """Lines per split."""
    for split, lines in lists.items():
        path = folder / "dynnet_training_splits" / f"{split}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def save(path: Path, values: np.ndarray, footprint: Record) -> None:
    """A GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": len(values), "dtype": values.dtype}
    packed = {"compress": "deflate", "predictor": 3 if values.dtype.kind == "f" else 2, "interleave": "band"}
    with rasterio.open(path, "w", **profile, **packed, **footprint) as file:
        file.write(values)


def first_of(month: str) -> np.ndarray:
    """The date of all truth, as an array of one."""
    return np.array([f"{month}-01"], "datetime64[D]")


def epsg(zone: str) -> int:
    """Code of a UTM zone.

    Example:
        >>> epsg("11N"), epsg("33S")
        (32611, 32733)
    """
    return (32600 if zone[-1] == "N" else 32700) + int(zone[:-1])
