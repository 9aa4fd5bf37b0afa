"""PASTIS-R, small: one patch per fold, 32 × 32 pixels, and the SPOT image of the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import xarray as xr
from affine import Affine
from rasterio.crs import CRS

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.miniatures.places import aerial, place
from skysense_nb.data.synthetic import classes as world

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


def write_pastis(folder: Path, seed: int) -> dict[str, Record]:
    """All that real files have: series of different lengths, a cloud of -10,000, half precision, a third radar band,
    void beside background, and dates as a table, as JSON text and as text in single quotes."""
    scene = place("fields", seed, 2 * SIDE * PIXEL_M, year=2019, s2_dates=DATES, s1_dates=24, modalities=("s2", "s1"))
    base = folder / "PASTIS-R"
    for name in ("DATA_S2", "DATA_S1A", "DATA_S1D", "ANNOTATIONS"):
        (base / name).mkdir(parents=True)
    features, truth = [], {}
    for number, (patch, corner) in enumerate(PATCHES.items()):
        part = Part(scene, corner, number)
        left, top = LEFT_M + 1000 * number, TOP_M - 500 * number
        record = {
            "id": str(patch),
            "crs": CRS.from_epsg(2154),
            "transform": Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top),
            **write_target(base / "ANNOTATIONS" / f"TARGET_{patch}.npy", part),
            **write_s2(base / "DATA_S2" / f"S2_{patch}.npy", part),
            **write_s1(base, patch, part),
        }
        if number == 0:
            spot = base / "DATA_SPOT" / "PASTIS_SPOT6_RVB_1M00_2019" / f"SPOT6_RVB_1M00_2019_{patch}.tif"
            record |= write_spot(spot, seed, record)
        features.append(feature(patch, number, part, (left, top)))
        truth[record["id"]] = record
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    content = {"type": "FeatureCollection", "crs": crs, "features": features[::-1]}
    (base / "metadata.geojson").write_text(json.dumps(content))
    return truth


class Part:
    """The pixels and dates of one patch; later patches have fewer dates."""

    def __init__(self, scene: xr.DataTree, corner: tuple[int, int], number: int) -> None:
        self.number = number
        rows, columns = (slice(start, start + SIDE) for start in corner)
        self.s2 = scene["s2"]["image"].isel(time=slice(0, DATES - number % 3), y=rows, x=columns)
        radar = scene["s1"]["image"].isel(y=rows, x=columns)
        passes = {kind: radar[radar["orbit"] == orbit] for kind, orbit in ORBITS.items()}
        self.s1 = {"S1A": passes["S1A"][: 4 - number % 2], "S1D": passes["S1D"][:3]}
        fine = {name: scene["labels"][name].values[4::8, 4::8][rows, columns] for name in ("crop", "land_cover")}
        self.crop, self.cover = fine["crop"], fine["land_cover"]


def write_target(path: Path, part: Part) -> Record:
    """Classes, and two layers that are not; the mask."""
    ids = np.vectorize(lambda crop: CROPS.get(crop, VOID) if crop else BACKGROUND)(part.crop)
    for cover, kind in ((world.GRASS, MEADOW), (world.VINEYARD, GRAPEVINE), (world.ORCHARD, ORCHARD)):
        ids[part.cover == cover] = kind
    ids[:4, :4], ids[:4, 4:8] = VOID, BACKGROUND
    np.save(path, np.stack([ids, ids[::-1], np.full_like(ids, 7)]).astype(np.uint8))
    return {"mask": torch.from_numpy(np.where(ids == VOID, 255, ids).astype(np.int64))}


def write_s2(path: Path, part: Part) -> Record:
    """T 10 H W int16 with a block that is not known, and one pixel slightly below zero, which is."""
    values = part.s2.values.copy()
    values[1, :, 8:16, 8:16] = -10_000
    values[0, 0, 0, 0] = -12
    np.save(path, values)
    s2 = torch.from_numpy(np.where(values == -10_000, np.nan, values).astype(np.float32))
    return {"s2": s2, "s2_date": days(part.s2)}


def write_s1(base: Path, patch: int, part: Part) -> Record:
    """T 3 H W float16 per orbit, the third being the difference in dB; the ascending passes."""
    for kind, radar in part.s1.items():
        vv, vh = radar.values[:, 0], radar.values[:, 1]
        np.save(base / f"DATA_{kind}" / f"{kind}_{patch}.npy", np.stack([vv, vh, vv - vh], 1).astype(np.float16))
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


def feature(patch: int, number: int, part: Part, corner: tuple[int, int]) -> dict[str, Any]:
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
        "id": str(patch),
        "properties": {"ID_PATCH": patch, "Fold": number + 1} | {key: spelled(one) for key, one in dates.items()},
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]},
    }


def days(image: xr.DataArray) -> np.ndarray:
    """T datetime64[D]."""
    return image["time"].values.astype("datetime64[D]")
