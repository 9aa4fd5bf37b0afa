"""CORINE names of a place of the synthetic world, from what covers its ground."""

from __future__ import annotations

import numpy as np
import xarray as xr

from skysense_nb.data.synthetic import classes as world

RICE = next(crop.id for crop in world.CROPS if crop.name == "rice")

SIMPLE = {
    "Continuous urban fabric": (world.BUILDING, 0.12),
    "Discontinuous urban fabric": (world.GARDEN, 0.08),
    "Industrial or commercial units": (world.CAR_PARK, 0.05),
    "Airports": (world.RUNWAY, 0.02),
    "Port areas": (world.QUAY, 0.03),
    "Vineyards": (world.VINEYARD, 0.03),
    "Fruit trees and berry plantations": (world.ORCHARD, 0.03),
    "Beaches, dunes, sands": (world.BEACH, 0.02),
}
"""Land cover of the world and the share of the ground from which on it counts; thresholds here are our choice."""

WOODED, PASTURE, GRASSY, SHRUBBY, ARABLE, BARE, WET = 0.1, 0.05, 0.15, 0.06, 0.1, 0.05, 0.02
EVEN = 0.3
"""Share that the rarer of broadleaf and conifer trees has in a mixed forest."""


def corine_names(scene: xr.DataTree) -> tuple[str, ...]:
    """Names of the 43 classes seen in a scene, as BigEarthNet has them on disk.

    Some of them become none of the 19 classes, and five of the 19 do not occur: the world has no wetlands, and does not
    mix fields with trees or with each other finely enough.

    Args:
        scene: With labels, of some hundred metres at least.

    Example:
        >>> from skysense_nb import World
        >>> corine_names(World(0).scene(20.6, 49.77, size_m=160, s2_dates=1, modalities=("s2",)))[0]
        'Discontinuous urban fabric'
    """
    layers = scene["labels"]
    cover = layers["land_cover"].values
    share = np.bincount(cover.ravel(), minlength=len(world.LAND_COVER)) / cover.size
    names = {name for name, (one, enough) in SIMPLE.items() if share[one] >= enough}
    if "Continuous urban fabric" in names and "Discontinuous urban fabric" not in names:
        names.remove("Continuous urban fabric")  # halls without a garden
    if share[world.CROPLAND] >= ARABLE:
        rice = (layers["crop"].values == RICE).mean() > share[world.CROPLAND] / 2
        names.add("Rice fields" if rice else "Non-irrigated arable land")
    pasture = ((cover == world.GRASS) & (layers["parcel"].values > 0)).mean()
    names |= {"Pastures"} if pasture >= PASTURE else set()
    names |= {"Natural grassland"} if share[world.GRASS] - pasture >= GRASSY else set()
    names |= forest_names(share)
    if share[world.BARE] >= BARE:
        quarry = scene.attrs["scene_class"] == "quarry"
        names.add("Mineral extraction sites" if quarry else "Sparsely vegetated areas")
    tags = dict(zip(scene.attrs["tags"], scene.attrs["tag_shares"], strict=True))
    names |= {"Water courses"} if tags.get("waterway=river", 0) >= WET else set()
    names |= {"Sea and ocean"} if tags.get("natural=coastline", 0) >= WET else set()
    return tuple(sorted(names))


def forest_names(share: np.ndarray) -> set[str]:
    """Names of trees and shrubs from the share of each land cover."""
    broad, conifer, shrub = share[world.BROADLEAF], share[world.CONIFER], share[world.SHRUB]
    names = set()
    if broad + conifer >= WOODED:
        mixed = min(broad, conifer) >= EVEN * (broad + conifer)
        names.add("Mixed forest" if mixed else "Broad-leaved forest" if broad > conifer else "Coniferous forest")
    if shrub >= SHRUBBY:
        names.add("Transitional woodland/shrub" if broad + conifer >= shrub else "Moors and heathland")
    return names
