"""DynamicEarthNet, small: six cubes of 64 × 64 pixels, two or three months each.

Everything odd about the real files is here: a cube without the folder `Labels`, one that joins its zone with a hyphen,
two with the same raster name, dates in two spellings, a leading slash and a prefix in the lists that is not on disk,
stray `.aux.xml`, a listed month without a label, snow, pixels without a class, Sentinel composites that are missing.
The ids of the cubes for validation and test, all tiles and the footprints are made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.crs import CRS

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.miniatures.places import place
from skysense_nb.data.synthetic import classes as world
from skysense_nb.sensors import S2

SIDE = 64
PIXEL_M = 3.0
MONTHS = ("2018-01", "2018-02", "2018-03", "2018-04")
WEEKLY = (1, 5, 10, 15, 20, 25)
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
    corner: tuple[int, int]
    months: int = 2
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


CUBES = (
    Cube("1417_3281_13", "11N", "train", "11N-117W-33N-L3H-SR", (0, 0), months=3, labels_level="Raster"),
    Cube("2235_3403_13", "17N", "train", "17N-81W-29N-L3H-SR", (0, 64), joint="-", label_date="%Y-%m-%d"),
    Cube("6468_3360_13", "48N", "train", "48N-104E-30N-L3H-SR", (64, 0)),
    Cube("6475_3361_13", "48N", "train", "48N-104E-30N-L3H-SR", (64, 64)),
    Cube("1001_2001_13", "32S", "val", "32S-9E-1S-L3H-SR", (32, 0)),
    Cube("1002_2002_13", "33S", "test", "33S-13E-9S-L3H-SR", (0, 32)),
)
WITHOUT_S2 = ("1417_3281_13", "2018-02")
WITHOUT_S1 = ("6468_3360_13", "2018-01")
WITHOUT_LABEL = ("2235_3403_13", "2018-03")
"""In the list, with images."""


def write_dyna_pla(folder: Path, seed: int) -> dict[str, Record]:
    """Planet images on the publishers' six days of each month, and one more in January; the truth has the first."""
    return write(folder, seed, sensors=("hr",), days=(*WEEKLY, 28))


def write_dyna_s2(folder: Path, seed: int) -> dict[str, Record]:
    """Composites of twelve bands; one is missing. The truth is that of segmentation."""
    return write(folder, seed, sensors=("s2",))


def write_dyna_mm(folder: Path, seed: int) -> dict[str, Record]:
    """All sensors; Planet on two days of each month. The truth is of months that have them all."""
    return write(folder, seed, sensors=("hr", "s2", "s1"), days=(1, 5))


def write(folder: Path, seed: int, sensors: tuple[str, ...], days: tuple[int, ...] = ()) -> dict[str, Record]:
    """Images, labels and lists of all cubes; the record of every month that has all sensors and a label."""
    truth, lists = {}, {"train": [], "val": [], "test": []}
    images = Images(seed, radar="s1" in sensors)
    for cube in CUBES:
        months = [*MONTHS[: cube.months], *(month for one, month in [WITHOUT_LABEL] if one == cube.id)]
        footprint = {"crs": CRS.from_epsg(epsg(cube.zone)), "transform": footprint_of(cube)}
        for number, month in enumerate(months):
            name = f"{cube.raster}-{np.datetime64(month, 'D').item():{cube.label_date}}.tif"
            lists[cube.split].append(f"/reprocess-cropped/UTM-24000/{cube.planet} /{cube.labels}/{name} {month}")
            record = {"id": f"{cube.id}_{month}", **footprint}
            if "hr" in sensors:
                record |= write_planet(folder / "planet" / cube.planet, images, cube, number, days, footprint)
            if "s2" in sensors and (cube.id, month) != WITHOUT_S2:
                record |= write_s2(folder / "sentinel2" / cube.id, images, cube, number, footprint)
            if "s1" in sensors and (cube.id, month) != WITHOUT_S1:
                record |= write_s1(folder / "sentinel1" / cube.id, images, cube, number, footprint)
            if (cube.id, month) != WITHOUT_LABEL:
                record["mask"] = write_label(folder / cube.labels / name, images.label(cube, number), footprint)
            if {"mask", *sensors} <= record.keys():
                truth[record["id"]] = record
    for split, lines in lists.items():
        path = folder / "dynnet_training_splits" / f"{split}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return truth


class Images:
    """One cloudless place of the world over four months, of which every cube is a part."""

    def __init__(self, seed: int, radar: bool) -> None:
        days = tuple(f"{month}-01" for month in MONTHS)
        modalities = ("s2", "s1") if radar else ("s2",)
        scene = place("river", seed, 2 * SIDE * 10, s2_dates=days, s1_dates=days, modalities=modalities, clouds=False)
        self.s2 = scene["s2"]["image"].values // 8 * 8  # smaller files
        self.s1 = np.round(scene["s1"]["image"].values * 4) / 4 if radar else None
        cover = scene["labels"]["land_cover"].values[4::8, 4::8]
        self.classes = np.vectorize(lambda one: CLASSES.get(one, IMPERVIOUS))(cover)

    @staticmethod
    def part(values: np.ndarray, cube: Cube) -> np.ndarray:
        """The pixels of a cube."""
        top, left = cube.corner
        return values[..., top : top + SIDE, left : left + SIDE]

    def planet(self, cube: Cube, month: int, day: int) -> np.ndarray:
        """B G R NIR between the first of this month and of the next, 4 H W uint16."""
        first, following = (
            self.part(self.s2[number, [0, 1, 2, 6]], cube).astype(float) for number in (month, month + 1)
        )
        return ((first + (following - first) * (day - 1) / 31) // 32 * 32).astype(np.uint16)

    def label(self, cube: Cube, month: int) -> np.ndarray:
        """Ids, with a field that is cleared and built on, a patch of snow, and one without any class."""
        ids = self.part(self.classes, cube).copy()
        ids[8:24, 8:24] = (AGRICULTURE, SOIL, IMPERVIOUS)[month]
        ids[40:48, 8 : 16 + 8 * month] = SNOW
        ids[56:, 56:] = UNSET
        return ids


def write_planet(
    folder: Path, images: Images, cube: Cube, month: int, days: tuple[int, ...], footprint: Record
) -> Record:
    """Images of some days, with a stray file beside the first; the record of the first of the month."""
    for day in days:
        if day > WEEKLY[-1] and month > 0:
            continue
        path = folder / f"{MONTHS[month]}-{day:02d}.tif"
        save(path, images.planet(cube, month, day), footprint)
    (folder / f"{MONTHS[month]}-01.tif.aux.xml").write_text("<PAMDataset/>\n")
    blue, green, red, near_infrared = images.planet(cube, month, 1).astype(np.float32)
    hr = np.stack([red, green, blue, near_infrared])
    return {"hr": torch.from_numpy(hr)[None], "hr_date": first_day(month)}


def write_s2(folder: Path, images: Images, cube: Cube, month: int, footprint: Record) -> Record:
    """Twelve bands, of which B1 and B9 are none of the model's and hold 1 and 9."""
    ten = images.part(images.s2[month], cube)
    by_name = dict(zip(S2.bands, ten, strict=True)) | {f"B{one}": np.full_like(ten[0], one) for one in (1, 9)}
    stored = ("B1", *S2.bands[:8], "B9", "B11", "B12")
    save(folder / f"{MONTHS[month].replace('-', '_')}.tif", np.stack([by_name[one] for one in stored]), footprint)
    return {"s2": torch.from_numpy(ten.astype(np.float32))[None], "s2_date": first_day(month)}


def write_s1(folder: Path, images: Images, cube: Cube, month: int, footprint: Record) -> Record:
    """Eight bands: VV, VH and six that hold their number; one cube has its id in the file names."""
    two = images.part(images.s1[month], cube).astype(np.float32)
    others = [np.full_like(two[0], number) for number in range(3, 9)]
    name = f"{MONTHS[month].replace('-', '_')}.tif"
    save(folder / (f"{cube.id}_{name}" if cube.split == "val" else name), np.stack([*two, *others]), footprint)
    return {"s1": torch.from_numpy(two)[None], "s1_date": first_day(month)}


def write_label(path: Path, ids: np.ndarray, footprint: Record) -> torch.Tensor:
    """Seven bands of 0 or 255, with a stray file beside them; the mask."""
    save(path, np.stack([np.where(ids == band, 255, 0) for band in range(7)]).astype(np.uint8), footprint)
    path.with_name(f"{path.name}.aux.xml").write_text("<PAMDataset/>\n")
    return torch.from_numpy(np.select([ids == SNOW, ids == UNSET], [255, IMPERVIOUS], ids).astype(np.int64))


def save(path: Path, values: np.ndarray, footprint: Record) -> None:
    """A GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": len(values), "dtype": values.dtype}
    packed = {"compress": "deflate", "predictor": 3 if values.dtype.kind == "f" else 2, "interleave": "band"}
    with rasterio.open(path, "w", **profile, **packed, **footprint) as file:
        file.write(values)


def first_day(month: int) -> np.ndarray:
    """The date of all truth."""
    return np.array([f"{MONTHS[month]}-01"], "datetime64[D]")


def epsg(zone: str) -> int:
    """Code of a UTM zone.

    Example:
        >>> epsg("11N"), epsg("33S")
        (32611, 32733)
    """
    return (32600 if zone[-1] == "N" else 32700) + int(zone[:-1])


def footprint_of(cube: Cube) -> Affine:
    """Somewhere in its zone, each cube elsewhere."""
    return Affine(PIXEL_M, 0, 500_000 + 10 * int(cube.id[:4]), 0, -PIXEL_M, 4_000_000 + 10 * int(cube.id[5:9]))
