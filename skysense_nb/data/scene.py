"""A scene: up to three sensors over the same ground, as one `xarray.DataTree`.

Each modality (`hr`, `s2`, `s1`) is a child node with the variable `image` (time, band, y, x), a CRS,
and optionally the boolean `clear` (time, y, x), True where the ground is seen. Pixel sizes differ by
any ratio; the extents agree. A further child `labels` may hold truth.
"""

from __future__ import annotations

import numpy as np
import odc.geo.xr  # noqa: F401  (registers the .odc accessor)
import pandas as pd
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from rasterio.warp import transform

from skysense_nb.errors import SceneError
from skysense_nb.sensors import SENSORS

DIMS = ("time", "band", "y", "x")
MASK_DIMS = ("time", "y", "x")


def build(
    hr: xr.DataArray | None = None,
    s2: xr.DataArray | None = None,
    s1: xr.DataArray | None = None,
    *,
    clear: dict[str, xr.DataArray] | None = None,
    labels: xr.Dataset | None = None,
    clip: bool = False,
) -> xr.DataTree:
    """Puts images of one place together and checks that they can be one scene.

    Args:
        hr: High-resolution image (time, band, y, x), bands R G B or R G B NIR, 0–255.
        s2: Sentinel-2 series, ten bands in model order, reflectance × 10,000 without offset.
        s1: Sentinel-1 series, bands VV VH, dB.
        clear: Per modality a boolean (time, y, x), True where no cloud or gap hides the ground.
        labels: Truth on any grid of the same ground.
        clip: Cut every image to the ground that all of them share, instead of refusing.

    Returns:
        A `DataTree` with one child per modality given, north up, dates ascending.

    Raises:
        SceneError: No image, wrong or reordered bands, no dates, no or mixed CRS, no common ground.

    Example:
        >>> place = build(s2=series)                     # doctest: +SKIP
        >>> place.sky                                    # doctest: +SKIP
    """
    images = {name: image for name, image in (("hr", hr), ("s2", s2), ("s1", s1)) if image is not None}
    if unknown := sorted(set(clear or {}) - set(images)):
        raise SceneError.of(f"clear for {', '.join(images) or 'an image'}", ", ".join(unknown), "Name it as its image.")
    if not images:
        raise SceneError.of("at least one of hr, s2, s1", "none", "Pass one image as (time, band, y, x).")
    nodes = {}
    for name, image in images.items():
        check_image(name, image)
        node = image.rename("image").to_dataset()
        if clear and name in clear:
            node["clear"] = check_clear(name, clear[name], image)
        nodes[name] = node.sortby("time").sortby("y", ascending=False).sortby("x")
    check_one_crs(nodes)
    nodes = clip_to_common_ground(nodes) if clip else check_same_ground(nodes)
    if labels is not None:
        nodes["labels"] = labels
    return xr.DataTree.from_dict(nodes)


def check_image(name: str, image: xr.DataArray) -> None:
    """Refuses an image whose axes, bands, dates or CRS cannot serve the modality `name`."""
    if not isinstance(image, xr.DataArray):
        raise SceneError.of(f"{name} as a DataArray", type(image).__name__, "Read files with data.rasters.read.")
    if image.dims != DIMS:
        raise SceneError.of(
            f"{name} with dimensions {DIMS}", str(image.dims), "Use expand_dims and transpose to bring it there."
        )
    if not (np.issubdtype(image.dtype, np.integer) or np.issubdtype(image.dtype, np.floating)):
        raise SceneError.of(
            f"{name} as whole or real numbers", str(image.dtype), "Convert it: image.astype('float32')."
        )
    check_bands(name, image)
    times = image["time"].values if "time" in image.coords else np.array([])
    if times.size == 0 or not np.issubdtype(times.dtype, np.datetime64) or np.isnat(times).any():
        raise SceneError.of(
            f"an acquisition date for every image of {name}",
            "none" if times.size == 0 else f"{times.dtype} values {times[:3].tolist()}",
            "Assign them: image.assign_coords(time=pd.to_datetime([...])).",
        )
    if image.rio.crs is None:
        raise SceneError.of(f"{name} with a CRS", "none", "Write it: image.rio.write_crs('EPSG:…').")
    if min(image.sizes["y"], image.sizes["x"]) < 2:
        raise SceneError.of(f"{name} of at least 2 × 2 pixels", f"{dict(image.sizes)}", "Read a larger window.")
    check_regular(name, image)


def check_regular(name: str, image: xr.DataArray) -> None:
    """Refuses pixels without places, and places that are not evenly spaced."""
    for axis in ("x", "y"):
        if axis not in image.coords:
            raise SceneError.of(f"{name} with {axis} coordinates", "none", f"Assign them: assign_coords({axis}=…).")
        steps = np.diff(image[axis].values.astype("float64"))
        if np.ptp(steps) > 0.01 * abs(steps).max():
            fix = "Bring it onto a regular grid: image.odc.reproject(…)."
            raise SceneError.of(f"{name} with evenly spaced {axis}", f"steps {steps.min():g} to {steps.max():g}", fix)


def check_clear(name: str, clear: xr.DataArray, image: xr.DataArray) -> xr.DataArray:
    """A mask as booleans on the pixels and dates of its image; refuses one of another shape or place."""
    wanted = tuple(image.sizes[axis] for axis in MASK_DIMS)
    if clear.dims != MASK_DIMS or clear.shape != wanted:
        got = f"{clear.dims} of {clear.shape}"
        raise SceneError.of(f"clear of {name} as {MASK_DIMS} of {wanted}", got, "Resample it onto the image first.")
    for axis in MASK_DIMS:
        if axis in clear.coords and not np.array_equal(clear[axis].values, image[axis].values):
            fix = f"Use the image's own: clear.assign_coords({axis}=image.{axis}) if they mean the same."
            raise SceneError.of(f"clear of {name} with the {axis} of its image", "others", fix)
    return xr.DataArray(clear.data.astype(bool), dims=MASK_DIMS, coords={axis: image[axis] for axis in MASK_DIMS})


def check_bands(name: str, image: xr.DataArray) -> None:
    """Refuses missing, extra or reordered bands, naming them."""
    wanted = list(SENSORS[name].bands)
    if "band" not in image.coords:
        got = f"{image.sizes['band']} unnamed bands"
        raise SceneError.of(
            f"{name} bands named {' '.join(wanted)}", got, f"Assign them: assign_coords(band={wanted})."
        )
    bands = [str(band) for band in image["band"].values]
    accepted = [wanted, [*wanted, "NIR"]] if name == "hr" else [wanted]
    if bands in accepted:
        return
    if sorted(bands) == sorted(wanted):
        fix = f"Reorder them: image.sel(band={wanted})."
    elif set(wanted) <= set(bands):
        fix = f"Pick the model's bands: image.sel(band={wanted})."
    else:
        fix = f"Missing: {' '.join(band for band in wanted if band not in bands)}."
    raise SceneError.of(f"{name} bands {' '.join(wanted)} in this order", f"{len(bands)} bands {' '.join(bands)}", fix)


def check_one_crs(nodes: dict[str, xr.Dataset]) -> None:
    """Refuses modalities in different projections."""
    found = {name: node.rio.crs for name, node in nodes.items()}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} in {crs.to_string()}" for name, crs in found.items())
        fix = "Bring them together: image.odc.reproject(crs, resolution=…)."
        raise SceneError.of("one CRS for all modalities", listed, fix)


def geobox(node: xr.Dataset | xr.DataTree) -> GeoBox:
    """Grid of a modality node: CRS, origin, pixel size and shape."""
    return node["image"].odc.geobox


def bounds(node: xr.Dataset | xr.DataTree) -> BoundingBox:
    """Outer edges of a modality node (left, bottom, right, top) in its CRS."""
    return geobox(node).boundingbox


def pixel_size(node: xr.Dataset | xr.DataTree) -> float:
    """Pixel width of a modality node in CRS units (metres for projected systems)."""
    return abs(geobox(node).resolution.x)


def common_ground(nodes: dict[str, xr.Dataset]) -> BoundingBox:
    """Extent shared by all modalities.

    Raises:
        SceneError: There is none.
    """
    boxes = {name: bounds(node) for name, node in nodes.items()}
    left, bottom = (max(getattr(box, side) for box in boxes.values()) for side in ("left", "bottom"))
    right, top = (min(getattr(box, side) for box in boxes.values()) for side in ("right", "top"))
    if left >= right or bottom >= top:
        listed = "; ".join(
            f"{name} x {b.left:.0f}–{b.right:.0f}, y {b.bottom:.0f}–{b.top:.0f}" for name, b in boxes.items()
        )
        raise SceneError.of("modalities that overlap", listed, "Check the CRS and the footprints of the files.")
    return BoundingBox(left, bottom, right, top, crs=next(iter(boxes.values())).crs)


def check_same_ground(nodes: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Refuses extents that differ by more than half a coarse pixel; returns `nodes` unchanged."""
    shared = common_ground(nodes)
    tolerance = max(pixel_size(node) for node in nodes.values()) / 2
    for name, node in nodes.items():
        off = max(abs(a - b) for a, b in zip(bounds(node).bbox, shared.bbox, strict=True))
        if off > tolerance:
            raise SceneError.of(
                "modalities over the same ground", f"{name} reaching {off:.1f} beyond the shared extent",
                "Pass clip=True to cut all of them to it.",
            )  # fmt: skip
    return nodes


def clip_to_common_ground(nodes: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Cuts every modality to the shared extent, on whole pixels of the coarsest one."""
    shared = common_ground(nodes)
    coarse = geobox(max(nodes.values(), key=pixel_size))
    step = abs(coarse.resolution.x)
    inner = {
        "left": coarse.boundingbox.left + np.ceil((shared.left - coarse.boundingbox.left) / step - 1e-6) * step,
        "right": coarse.boundingbox.left + np.floor((shared.right - coarse.boundingbox.left) / step + 1e-6) * step,
        "top": coarse.boundingbox.top - np.ceil((coarse.boundingbox.top - shared.top) / step - 1e-6) * step,
        "bottom": coarse.boundingbox.top - np.floor((coarse.boundingbox.top - shared.bottom) / step + 1e-6) * step,
    }
    cut = {
        name: node.sel(x=slice(inner["left"], inner["right"]), y=slice(inner["top"], inner["bottom"]))
        for name, node in nodes.items()
    }
    for name, node in cut.items():
        if min(node.sizes["x"], node.sizes["y"]) < 1:
            raise SceneError.of("a shared extent of at least one pixel", f"less for {name}", "Check the footprints.")
    return cut


def modalities(scene: xr.DataTree) -> list[str]:
    """Names of the modalities in a scene, in model order."""
    return [name for name in SENSORS if name in scene.children]


def center_lonlat(scene: xr.DataTree) -> tuple[float, float]:
    """Longitude and latitude of the middle of a scene, degrees."""
    node = scene[modalities(scene)[0]]
    box = bounds(node)
    middle = [(box.left + box.right) / 2], [(box.bottom + box.top) / 2]
    (lon,), (lat,) = transform(node["image"].rio.crs, "EPSG:4326", *middle)
    return lon, lat


def describe(scene: xr.DataTree) -> str:
    """A few lines of text: place, then bands, size, pixel and dates of each modality."""
    names = modalities(scene)
    lon, lat = center_lonlat(scene)
    unit = "°" if scene[names[0]]["image"].rio.crs.is_geographic else "m"
    lines = [f"Scene at {lat:.4f}°, {lon:.4f}° (lat, lon) · {scene[names[0]]['image'].rio.crs.to_string()}"]
    for name in names:
        node, sizes = scene[name], scene[name]["image"].sizes
        dates = pd.DatetimeIndex(node["time"].values)
        span = f"{dates[0]:%Y-%m-%d}" + (f" to {dates[-1]:%Y-%m-%d}" if len(dates) > 1 else "")
        seen = f" · {float(node['clear'].mean()):.0%} clear" if "clear" in node else ""
        lines.append(
            f"  {name}: {sizes['band']} bands · {sizes['y']} × {sizes['x']} px of {pixel_size(node):g} {unit}"
            f" · {len(dates)} {'date' if len(dates) == 1 else 'dates'} {span}{seen}"
        )
    if "labels" in scene.children:
        lines.append(f"  labels: {', '.join(map(str, scene['labels'].data_vars))}")
    return "\n".join(lines)
