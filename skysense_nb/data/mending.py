"""Mending: undoes what the doctor finds and what can be undone without guessing, one line per step.

Whatever more than one cause could explain is left as it is, with the doctor's advice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from skysense_nb.data import symptoms
from skysense_nb.data.doctor import check_band_names, diagnose, has_band_names, pixels, thinned
from skysense_nb.data.rasters import canonical, from_reflectance, to_db, undo_offset
from skysense_nb.data.scene import DIMS, modalities
from skysense_nb.errors import ParameterError
from skysense_nb.sensors import S2_OFFSET, S2_OFFSET_SINCE, SENSORS

NODATA_ATTRS = ("_FillValue", "missing_value", "fill_value", "nodata")


@dataclass(frozen=True)
class Step:
    """One line of what was done, or left.

    Attributes:
        modality: `hr`, `s2`, `s1`, or `scene`.
        check: The doctor's check it is about.
        done: False for what was found and left as it is.
        words: What was done, or why not and what to do.
    """

    modality: str
    check: str
    done: bool
    words: str

    def __str__(self) -> str:
        return f"  {'mended' if self.done else 'left':<8} {self.modality} · {self.check}: {self.words}"


def mend(scene: xr.DataTree, only: Sequence[str] | None = None) -> tuple[xr.DataTree, list[Step]]:
    """Undoes what is certain: bands, dates, fill values, units and offset, each where the doctor finds it.

    Args:
        scene: Any scene, also one that `build` would refuse; it is not changed.
        only: Which of `MENDS` to try; all without it.

    Returns:
        A mended copy, or `scene` itself where nothing was done, and the steps: those done, then what the doctor
        still finds and nothing but you can decide.

    Raises:
        ParameterError: An unknown name in `only`.

    Example:
        >>> mended, steps = mend(scene)                  # doctest: +SKIP
        >>> print(*steps, sep="\\n")                      # doctest: +SKIP
          mended   s1 · unit: linear power to decibels
    """
    wanted = tuple(MENDS) if only is None else (only,) if isinstance(only, str) else tuple(only)
    if unknown := [name for name in wanted if name not in MENDS]:
        raise ParameterError.of(f"mends among {', '.join(MENDS)}", ", ".join(unknown), "Choose from these.")
    mended, steps = scene.copy(), []
    for name in modalities(scene):
        before = node = scene[name].to_dataset()
        if not {"band", "y", "x"} <= set(node["image"].dims) <= set(DIMS) or 0 in node["image"].shape:
            continue
        for check in (check for check in MENDS if check in wanted):
            node, words = MENDS[check](name, node)
            steps += [Step(name, check, True, words)] if words else []
        if node is not before:
            mended[name] = node.drop_encoding()
    mended = mended if steps else scene
    shown = {*wanted} if only is not None else None
    return mended, steps + still_there(mended, shown)


def still_there(scene: xr.DataTree, checks: set[str] | None) -> list[Step]:
    """What the doctor still finds: warnings and errors, and notes on what could be mended if it were certain."""
    found = diagnose(scene).findings
    left = [one for one in found if one.level in ("warning", "error") or (one.level == "note" and one.check in MENDS)]
    return [
        Step(one.modality, one.check, False, f"{one.seen}. {one.next_step}")
        for one in left
        if checks is None or one.check in checks
    ]


def mend_bands(name: str, node: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Bands by name into model order; names such as `B02` are spelled as the model spells them."""
    if not has_band_names(node["image"]):
        return node, ""
    held = [str(band) for band in node["band"].values]
    names, wanted = [canonical(band) for band in held], list(SENSORS[name].bands)
    wanted += ["NIR"] if name == "hr" and "NIR" in names else []
    if held == wanted or len(set(names)) < len(names) or not set(wanted) <= set(names):
        return node, ""
    extra = [band for band in names if band not in wanted]
    words = f"{' '.join(held)} into model order {' '.join(wanted)}"
    words += f", without {' '.join(extra)}" if extra else ""
    return node.assign_coords(band=names).sel(band=wanted), words


def mend_dates(name: str, node: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Images without a date dropped, the others in ascending order."""
    if "time" not in node.dims or "time" not in node.coords or not np.issubdtype(node["time"].dtype, np.datetime64):
        return node, ""
    undated = np.isnat(node["time"].values)
    if undated.all():
        return node, ""
    words = [f"{undated.sum()} without a date dropped"] if undated.any() else []
    node = node.isel(time=~undated) if undated.any() else node
    if not pd.DatetimeIndex(node["time"].values).is_monotonic_increasing:
        node, words = node.sortby("time"), [*words, "sorted in ascending order"]
    return node, ", ".join(words)


def mend_fill(name: str, node: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Fill values become NaN."""
    image = as_float(node["image"])
    values = pixels(thinned(image))
    void = symptoms.is_fill(values, image.rio.nodata)
    if not void.any():
        return node, ""
    mended = image.where(~fill_in(image))
    mended.attrs = {key: value for key, value in image.attrs.items() if key not in NODATA_ATTRS}
    listed = ", ".join(f"{fill:g}" for fill in np.unique(values[void])[:3])
    return node.assign(image=mended), f"{listed} to NaN, {void.mean():.1%} of the values"


def fill_in(image: xr.DataArray) -> xr.DataArray:
    """Where an image holds a fill value: `symptoms.is_fill` without reading the pixels yet."""
    void = image.astype("float32").isin(np.float32(symptoms.FILL_VALUES)) | np.isinf(image)
    nodata = image.rio.nodata
    return void | (image == nodata).all("band") if nodata and not np.isnan(nodata) else void


def mend_empty_dates(name: str, node: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Dates on which nothing was measured dropped, unless none would be left."""
    if "time" not in node["image"].dims:
        return node, ""
    image = node["image"].transpose(*DIMS)
    held = np.array(
        [np.isfinite(symptoms.hide_fill(pixels(image[[n]]))).any() for n in range(image.sizes["time"])], dtype=bool
    )
    if held.all() or not held.any():
        return node, ""
    return node.isel(time=held), f"{(~held).sum()} of {len(held)} dropped, they held no measurement"


def mend_unit(name: str, node: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Reflectance 0–1 to digital numbers, linear power to decibels. Anything else is no unit that can be undone."""
    values = ground_values(name, node)
    if values is None or not np.isfinite(values).any():
        return node, ""
    image = as_float(node["image"])
    if name == "s2" and symptoms.is_reflectance(values):
        return node.assign(image=beside_fill(from_reflectance, image)), "reflectance × 10,000"
    if name == "s1" and symptoms.s1_scale(values) == "power":
        return node.assign(image=beside_fill(to_db, image)), "linear power to decibels"
    return node, ""


def mend_offset(name: str, node: xr.Dataset) -> tuple[xr.Dataset, str]:
    """The 1,000 taken off Sentinel-2 dates whose day and whose darkest pixels both say that they carry it."""
    values = ground_values(name, node) if name == "s2" else None
    if values is None or not np.isfinite(values).any() or "time" not in node.coords or "time" not in node["image"].dims:
        return node, ""
    unit = symptoms.check_s2_unit(values)
    offset = symptoms.check_s2_offset(values, thinned(node["image"])["time"].values)
    if unit[1] != "ok" or offset[1] != "warning":
        return node, ""
    count = int((node["time"] >= np.datetime64(S2_OFFSET_SINCE)).sum())
    image = beside_fill(undo_offset, as_float(node["image"]))
    words = f"{-S2_OFFSET:,} taken off {count} of {node.sizes['time']} dates, those since {S2_OFFSET_SINCE}"
    return node.assign(image=image), words


def ground_values(name: str, node: xr.Dataset) -> np.ndarray | None:
    """The values the doctor judges: thinned, without fill, where the ground is seen; None if bands are missing."""
    image = node["image"]
    if check_band_names(name, image).level == "error":
        return None
    shown = thinned(image.sel(band=list(SENSORS[name].bands)) if has_band_names(image) else image)
    clear = thinned(node["clear"].expand_dims("band"))[:, 0].values > 0 if "clear" in node else None
    return symptoms.on_ground(symptoms.hide_fill(pixels(shown), image.rio.nodata), clear)


def beside_fill(convert: Callable[[xr.DataArray], xr.DataArray], image: xr.DataArray) -> xr.DataArray:
    """Converts measurements and keeps fill values, which a conversion would turn into numbers nobody recognises."""
    return convert(image).where(~fill_in(image), image).assign_attrs(image.attrs)


def as_float(image: xr.DataArray) -> xr.DataArray:
    """Whole numbers as float32, which can be negative and can be NaN; floats as they are."""
    return image if image.dtype.kind == "f" else image.astype("float32")


MENDS: dict[str, Callable[[str, xr.Dataset], tuple[xr.Dataset, str]]] = {
    "bands": mend_bands,
    "dates": mend_dates,
    "fill values": mend_fill,
    "empty dates": mend_empty_dates,
    "unit": mend_unit,
    "offset": mend_offset,
}
"""Everything that can be mended, by the doctor's name for the check, in the order in which it is tried."""
