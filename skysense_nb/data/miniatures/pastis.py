"""PASTIS-R, small: patches of 32 × 32 pixels, one per fold with the SPOT image of the first, or as many as wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.miniatures.places import aerial, place, scenes, spread
from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic import classes as world
from skysense_nb.data.synthetic.biomes import NAMES, biome_ids
from skysense_nb.data.synthetic.regions import Place

SIDE = 32
PIXEL_M = 10
LEFT_M, TOP_M = 700_000, 6_600_000
VOID, BACKGROUND, MEADOW, GRAPEVINE, ORCHARD = 19, 0, 1, 8, 16
CROPS = {1: 2, 2: 4, 3: 5, 4: 3, 5: 15, 6: 7, 7: 9, 8: 13, 11: 14}
"""PASTIS class per crop of the world; crops that France does not grow are void."""

PATCHES = {10000: (0, 0), 10001: (0, 32), 20002: (32, 0), 30003: (32, 32), 40004: (16, 16)}
"""Id and upper left corner in the scene, of folds 1 to 5."""

ORBITS = {"S1A": "ascending", "S1D": "descending"}
DATES = 5
NO_DATA = -10_000


KINDS = ("fields", "orchard", "fields", "meadow", "fields", "village")
"""Of places to learn from."""

BIOMES = ("temperate", "mediterranean", "prairie", "boreal")
SOUTHERNMOST = 25
"""Degrees of latitude: seasons as in France, where crops are sown and harvested in the same months."""

FIRST_ID = 10_000
MOST_VOID = 0.25
"""Share of a place to learn from: where more grows that France does not, another is drawn."""

SLIVER = 6
"""Pixels up to which a parcel at the edge of a patch is void (our choice; real ones are where most is outside)."""


def write_pastis(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """All that real files have: series of different lengths, a cloud of -10,000, half precision, a third radar band,
    void beside background, and dates as a table, as JSON text and as text in single quotes.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Patches to learn from, in all five folds, instead of one per fold. They have 8 to 12 dates with the
            clouds of the world, no SPOT image, and background wherever no crop grows.
    """
    parts = few_parts(seed) if places is None else many_parts(seed, places)
    base = folder / "PASTIS-R"
    for name in ("DATA_S2", "DATA_S1A", "DATA_S1D", "ANNOTATIONS"):
        (base / name).mkdir(parents=True)
    features, truth = [], {}
    for number, part in enumerate(parts):
        left, top = LEFT_M + 1000 * number, TOP_M - 500 * number
        record = {
            "id": str(part.patch),
            "crs": CRS.from_epsg(2154),
            "transform": Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top),
            **write_target(base / "ANNOTATIONS" / f"TARGET_{part.patch}.npy", part.ids),
            **write_s2(base / "DATA_S2" / f"S2_{part.patch}.npy", part),
            **write_s1(base, part),
        }
        if places is None and number == 0:
            spot = base / "DATA_SPOT" / "PASTIS_SPOT6_RVB_1M00_2019" / f"SPOT6_RVB_1M00_2019_{part.patch}.tif"
            record |= write_spot(spot, seed, record)
        features.append(feature(part, number, (left, top)))
        truth[record["id"]] = record
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    content = {"type": "FeatureCollection", "crs": crs, "features": features[::-1]}
    (base / "metadata.geojson").write_text(json.dumps(content))
    return truth


@dataclass(frozen=True)
class Part:
    """The pixels and dates of one patch.

    Attributes:
        patch: Its id.
        fold: 1 to 5.
        s2: T 10 H W with dates.
        stored: What its file holds of that, int16.
        s1: T 2 H W with dates, per orbit.
        ids: Classes as they are on disk, H W.
    """

    patch: int
    fold: int
    s2: xr.DataArray
    stored: np.ndarray
    s1: dict[str, xr.DataArray]
    ids: np.ndarray


def few_parts(seed: int) -> Iterator[Part]:
    """Five parts of one place; later patches have fewer dates. A block is not known, one pixel is slightly below zero,
    which is, and a corner is void beside background."""
    scene = place("fields", seed, 2 * SIDE * PIXEL_M, year=2019, s2_dates=DATES, s1_dates=24, modalities=("s2", "s1"))
    every = class_ids(scene)
    for number, (patch, corner) in enumerate(PATCHES.items()):
        rows, columns = (slice(start, start + SIDE) for start in corner)
        s2 = scene["s2"]["image"].isel(time=slice(0, DATES - number % 3), y=rows, x=columns)
        stored = s2.values.copy()
        stored[1, :, 8:16, 8:16] = NO_DATA
        stored[0, 0, 0, 0] = -12
        passes = by_orbit(scene["s1"]["image"].isel(y=rows, x=columns))
        s1 = {"S1A": passes["S1A"][: 4 - number % 2], "S1D": passes["S1D"][:3]}
        ids = every[rows, columns].copy()
        ids[:4, :4], ids[:4, 4:8] = VOID, BACKGROUND
        yield Part(patch, number + 1, s2, stored, s1, ids)


def many_parts(seed: int, count: int) -> Iterator[Part]:
    """A part per place, all in the year of the real ones."""
    options = {"year": 2019, "s2_dates": lambda number: int(np.random.default_rng([seed, number]).integers(8, 13))}
    options |= {"s1_dates": 16, "modalities": ("s2", "s1")}
    drawn = scenes(KINDS, seed, count, SIDE * PIXEL_M, grows_known_crops, in_fitting_climate, **options)
    for number, (_, scene) in enumerate(drawn):
        s2, ids = scene["s2"]["image"], class_ids(scene)
        ids[slivers(scene["labels"]["parcel"].values[4::8, 4::8])] = VOID
        fold = 1 + int(5 * spread(number, len(KINDS)))
        yield Part(FIRST_ID + number, fold, s2, s2.values, by_orbit(scene["s1"]["image"]), ids)


def class_ids(scene: xr.DataTree) -> np.ndarray:
    """Class ids as they are on disk, H W, from the middle of each pixel."""
    crop, cover = (scene["labels"][name].values[4::8, 4::8] for name in ("crop", "land_cover"))
    ids = np.vectorize(lambda crop: CROPS.get(crop, VOID) if crop else BACKGROUND)(crop)
    for one, kind in ((world.GRASS, MEADOW), (world.VINEYARD, GRAPEVINE), (world.ORCHARD, ORCHARD)):
        ids[cover == one] = kind
    return ids


def grows_known_crops(_: Place, scene: xr.DataTree) -> bool:
    """Whether little is void and some is neither that nor background."""
    ids = class_ids(scene)
    return bool((ids == VOID).mean() <= MOST_VOID and np.setdiff1d(ids, (VOID, BACKGROUND)).size)


def in_fitting_climate(spot: Place) -> bool:
    """Whether a place is in a biome with crops of France, and on its hemisphere."""
    return (
        spot.lat > SOUTHERNMOST
        and NAMES[int(biome_ids(World().seed, np.array([spot.lon]), np.array([spot.lat]))[0])] in BIOMES
    )


def slivers(parcels: np.ndarray) -> np.ndarray:
    """Parcels at the edge of which only a few pixels are inside, H W bool.

    Example:
        >>> slivers(np.pad(np.full((1, 4), 5), ((0, 9), (0, 9)))).sum()
        np.int64(4)
    """
    numbers, inverse, counts = np.unique(parcels, return_inverse=True, return_counts=True)
    edge = np.concatenate([parcels[0], parcels[-1], parcels[:, 0], parcels[:, -1]])
    few = (numbers > 0) & (counts <= SLIVER) & np.isin(numbers, edge)
    return few[inverse.reshape(parcels.shape)]


def by_orbit(radar: xr.DataArray) -> dict[str, xr.DataArray]:
    """Passes of each orbit by the name that its files have."""
    return {kind: radar[radar["orbit"] == orbit] for kind, orbit in ORBITS.items()}


def write_target(path: Path, ids: np.ndarray) -> Record:
    """Classes, and two layers that are not; the mask."""
    np.save(path, np.stack([ids, ids[::-1], np.full_like(ids, 7)]).astype(np.uint8))
    return {"mask": torch.from_numpy(np.where(ids == VOID, 255, ids).astype(np.int64))}


def write_s2(path: Path, part: Part) -> Record:
    """T 10 H W int16."""
    np.save(path, part.stored)
    s2 = torch.from_numpy(np.where(part.stored == NO_DATA, np.nan, part.stored).astype(np.float32))
    return {"s2": s2, "s2_date": days(part.s2)}


def write_s1(base: Path, part: Part) -> Record:
    """T 3 H W float16 per orbit, the third being the difference in dB; the ascending passes."""
    for kind, radar in part.s1.items():
        vv, vh = radar.values[:, 0], radar.values[:, 1]
        np.save(base / f"DATA_{kind}" / f"{kind}_{part.patch}.npy", np.stack([vv, vh, vv - vh], 1).astype(np.float16))
    ascending = part.s1["S1A"]
    halved = ascending.values.astype(np.float16).astype(np.float32)
    return {"s1": torch.from_numpy(halved), "s1_date": days(ascending)}


def write_spot(path: Path, seed: int, record: Record) -> Record:
    """R G B at 1 m. It shows the middle of the place, which is not quite where the patch lies."""
    side = SIDE * PIXEL_M
    image = aerial(place("fields", seed, side, year=2019, s2_dates=1, s1_dates=1, modalities=("hr",)))
    every = np.linspace(0, len(image) - 1, side).round().astype(int)
    image = image[every][:, every].transpose(2, 0, 1) // 8 * 8
    path.parent.mkdir(parents=True)
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint8", "compress": "deflate"}
    footprint = {"crs": record["crs"], "transform": record["transform"] @ Affine.scale(1 / PIXEL_M)}
    with rasterio.open(path, "w", predictor=2, **profile, **footprint) as file:
        file.write(image)
    return {"hr": torch.from_numpy(image.copy())[None], "hr_date": UNKNOWN_DATE.reshape(1)}


def feature(part: Part, number: int, corner: tuple[int, int]) -> dict[str, Any]:
    """One feature of the metadata."""
    (left, top), side = corner, SIDE * PIXEL_M
    ring = [[left, top - side], [left + side, top - side], [left + side, top], [left, top], [left, top - side]]
    tables = {"S2": part.s2, **part.s1}
    dates = {
        f"dates-{kind}": {str(n): int(str(day).replace("-", "")) for n, day in enumerate(days(image))}
        for kind, image in tables.items()
    }
    spelled = (dict, json.dumps, str)[number % 3]
    return {
        "type": "Feature",
        "id": str(part.patch),
        "properties": {"ID_PATCH": part.patch, "Fold": part.fold} | {key: spelled(one) for key, one in dates.items()},
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]},
    }


def days(image: xr.DataArray) -> np.ndarray:
    """T datetime64[D]."""
    return image["time"].values.astype("datetime64[D]")
