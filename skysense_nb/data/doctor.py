"""The doctor: compares a scene with what the encoders were trained on, in words, before any inference.

Errors are symptoms under which features mean nothing (wrong unit, wrong bands); warnings are inputs far from
the training data; notes are worth knowing. Where a sound but unusual place could look the same, it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401  (registers the .odc accessor)
import pandas as pd
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr

from skysense_nb.data import symptoms
from skysense_nb.data.rasters import name_bands, open_file
from skysense_nb.data.scene import DIMS, modalities
from skysense_nb.data.storage import open_scene
from skysense_nb.errors import SceneError
from skysense_nb.sensors import HR_PIXELS_PER_CELL, SENSORS

LEVELS = ("ok", "note", "warning", "error")
FIRST_DATE = {"hr": "1960-01-01", "s2": "2015-06-23", "s1": "2014-04-03"}
"""Launch of the first satellite of each kind: no date can be earlier."""

SAMPLE_EDGE = 256
"""Content is judged on at most this many rows and columns, spread over the image."""

SAMPLE_DATES = 24


@dataclass(frozen=True)
class Finding:
    """One check on one modality.

    Attributes:
        modality: `hr`, `s2`, `s1`, or `scene` for checks between modalities.
        check: What was looked at.
        level: `ok`, `note`, `warning` or `error`.
        seen: What the data show.
        expected: What the encoder was trained on.
        next_step: What to do about it, empty when nothing is wrong.
    """

    modality: str
    check: str
    level: str
    seen: str
    expected: str
    next_step: str = ""

    def __str__(self) -> str:
        line = f"  {self.level:<8} {self.modality} · {self.check}: {self.seen}"
        return line if self.level == "ok" else f"{line}; trained on {self.expected}. {self.next_step}"


@dataclass(frozen=True)
class Report:
    """All findings; prints as a short list, the worst first."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True without warning or error."""
        return not any(finding.level in ("warning", "error") for finding in self.findings)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Every finding as a plain dictionary, for tables, JSON and `views.doctor_figure`."""
        return [asdict(finding) for finding in self.findings]

    def at(self, level: str) -> list[Finding]:
        """The findings of one level."""
        return [finding for finding in self.findings if finding.level == level]

    def to_dict(self) -> dict:
        """For JSON: `ok`, the number of findings per level, and every finding."""
        counts = {level: len(self.at(level)) for level in LEVELS}
        return {"ok": self.ok, "counts": counts, "findings": self.rows}

    def __str__(self) -> str:
        wrong = [level for level in reversed(LEVELS) if level != "ok" and self.at(level)]
        listed = ", ".join(f"{len(self.at(level))} {level}{'s' * (len(self.at(level)) > 1)}" for level in wrong)
        head = f"{'Fit' if self.ok else 'Not fit'} for the encoders: {listed or 'nothing to remark'}"
        passed = [f"{finding.modality} {finding.check}" for finding in self.at("ok")]
        lines = [str(finding) for level in wrong for finding in self.at(level)]
        return "\n".join([head, *lines, f"  ok       {', '.join(passed)}" if passed else ""]).rstrip()

    __repr__ = __str__


def diagnose(scene: xr.DataTree | str | Path) -> Report:
    """Examines a scene, a saved scene at a path, or one GeoTIFF, whose band count then tells the sensor.

    Raises:
        SceneError: The path holds no scene.

    Example:
        >>> print(diagnose("village.zarr"))              # doctest: +SKIP
    """
    scene = open_patient(scene) if isinstance(scene, str | Path) else scene
    names = modalities(scene)
    if not names:
        raise SceneError.of("a child among hr, s2, s1", f"{list(scene.children)}", "Build it with data.build.")
    findings = [finding for name in names for finding in examine(name, scene[name]["image"], scene[name].get("clear"))]
    return Report((*findings, *check_alignment({name: scene[name]["image"] for name in names})))


def open_patient(path: str | Path) -> xr.DataTree:
    """A saved scene, or one GeoTIFF as it is: two bands are taken for radar, three or four for HR, others for S2."""
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        return open_scene(path)
    image = open_file(path, chunks=1024)
    name = {1: "s1", 2: "s1", 3: "hr", 4: "hr"}.get(image.sizes["band"], "s2")
    if image.sizes["band"] == len(SENSORS[name].bands):
        image = image.assign_coords(band=name_bands(image, name, None, path.name))
    return xr.DataTree.from_dict({name: image.expand_dims("time").to_dataset(name="image")})


def diagnose_image(name: str, image: xr.DataArray) -> Report:
    """Examines one raw image of the modality `name`, also one that `scene.build` would refuse.

    Args:
        name: `hr`, `s2` or `s1`.
        image: Any array with dimensions among time, band, y, x; a missing CRS, date or band is a finding.

    Example:
        >>> diagnose_image("s1", backscatter).ok         # doctest: +SKIP
    """
    if name not in SENSORS:
        raise SceneError.of(f"a modality among {', '.join(SENSORS)}", repr(name), "Say which sensor the image is from.")
    return Report(tuple(examine(name, image)))


def examine(name: str, image: xr.DataArray, clear: xr.DataArray | None = None) -> Iterator[Finding]:
    """Every check on one image: the form first, then the content if the bands can be told apart."""
    if not {"band", "y", "x"} <= set(image.dims) <= set(DIMS):
        seen, fix = f"dimensions {image.dims}", "Name the axes: image.rename(...), expand_dims, squeeze."
        yield Finding(name, "dimensions", "error", seen, f"{DIMS}", fix)
        return
    yield check_dates(name, image)
    yield check_crs(name, image)
    yield from check_pixel_size(name, image)
    bands = check_band_names(name, image)
    yield bands
    if bands.level == "error" or 0 in image.shape:
        return
    shown = thinned(image.sel(band=list(SENSORS[name].bands)) if has_band_names(image) else image)
    dates = shown["time"].values if "time" in shown.coords else None
    seen = None if clear is None else thinned(clear.expand_dims("band"))[:, 0].values > 0
    content = symptoms.look(name, pixels(shown), dates, seen, image.rio.nodata)
    yield from (Finding(name, *symptom) for symptom in content)


def thinned(image: xr.DataArray) -> xr.DataArray:
    """At most `SAMPLE_DATES` × C × `SAMPLE_EDGE` × `SAMPLE_EDGE` pixels, evenly spread (time, band, y, x)."""
    image = image.expand_dims("time") if "time" not in image.dims else image
    limits = {"time": SAMPLE_DATES, "y": SAMPLE_EDGE, "x": SAMPLE_EDGE}
    steps = {dim: slice(None, None, max(1, -(-image.sizes[dim] // most))) for dim, most in limits.items()}
    return image.isel(steps).transpose(*DIMS)


def pixels(image: xr.DataArray) -> np.ndarray:
    """Values T C H W as floats; refuses a damaged file in words."""
    try:
        return image.values.astype("float64")
    except (OSError, RuntimeError) as error:
        raise SceneError.of("readable pixels", str(error), "The file is damaged; copy it again.") from error


def check_band_names(name: str, image: xr.DataArray) -> Finding:
    """Number and names of the bands."""
    wanted = list(SENSORS[name].bands)
    count, trained = image.sizes["band"], f"{len(wanted)} bands {' '.join(wanted)}"
    if not has_band_names(image):
        level = "error" if count != len(wanted) else "note"
        fix = f"Name them: image.assign_coords(band={wanted})."
        return Finding(name, "bands", level, f"{count} bands without names", trained, fix)
    bands = [str(band) for band in image["band"].values]
    missing = [band for band in wanted if band not in bands]
    if missing:
        fix = f"Find {' '.join(missing)}, or rename the bands if they only have other names."
        return Finding(name, "bands", "error", f"{count} bands {' '.join(bands)}", trained, fix)
    if bands == wanted or (name == "hr" and bands == [*wanted, "NIR"]):
        return Finding(name, "bands", "ok", " ".join(bands), trained)
    fix = f"Bring them into model order: image.sel(band={wanted})."
    return Finding(name, "bands", "warning", f"{count} bands in the order {' '.join(bands)}", trained, fix)


def has_band_names(image: xr.DataArray) -> bool:
    """Whether bands carry names, not just the numbers that raster readers give them."""
    return "band" in image.coords and image["band"].dtype.kind in "UOT"


def has_even_grid(image: xr.DataArray) -> bool:
    """Whether rows and columns have evenly spaced coordinates."""
    if not all(dim in image.coords and image[dim].dtype.kind in "fiu" for dim in ("x", "y")):
        return False
    steps = [np.diff(image[dim].values.astype("float64")) for dim in ("x", "y")]
    return all(step.size and step[0] != 0 and np.allclose(step, step[0], rtol=0.01) for step in steps)


def check_dates(name: str, image: xr.DataArray) -> Finding:
    """Acquisition dates: there, plausible, ascending, each once."""
    trained, fix = "one calendar date per image", "Assign them: image.assign_coords(time=pd.to_datetime([...]))."
    times = np.atleast_1d(image["time"].values) if "time" in image.coords else np.array([])
    if times.size == 0 or not np.issubdtype(times.dtype, np.datetime64):
        return Finding(name, "dates", "error", "none" if times.size == 0 else f"{times.dtype} values", trained, fix)
    if np.isnat(times).any():
        return Finding(name, "dates", "error", f"{np.isnat(times).sum()} of {times.size} empty", trained, fix)
    days = pd.DatetimeIndex(times)
    if days.min() < pd.Timestamp(FIRST_DATE[name]):
        seen = f"{days.min():%Y-%m-%d}, before the first satellite of this kind ({FIRST_DATE[name]})"
        return Finding(name, "dates", "warning", seen, trained, fix)
    if days.max() > pd.Timestamp.now() + pd.Timedelta(days=1):
        return Finding(name, "dates", "warning", f"{days.max():%Y-%m-%d}, in the future", trained, fix)
    if days.has_duplicates:
        seen = f"{days[days.duplicated()][0]:%Y-%m-%d} more than once"
        return Finding(name, "dates", "warning", seen, trained, "Drop or merge the repeated images.")
    if not days.is_monotonic_increasing:
        return Finding(name, "dates", "note", "not in ascending order", trained, "Sort them: image.sortby('time').")
    return Finding(name, "dates", "ok", f"{len(days)} from {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}", trained)


def check_crs(name: str, image: xr.DataArray) -> Finding:
    """A CRS in metres, and a position for every row and column."""
    crs, trained = image.rio.crs, "projected pixels in metres"
    if not has_even_grid(image):
        fix = "Assign the middles of rows and columns as y and x."
        return Finding(name, "CRS", "error", "no evenly spaced x and y", trained, fix)
    if crs is None:
        return Finding(name, "CRS", "error", "none", trained, "Write the right one: image.rio.write_crs('EPSG:…').")
    if crs.is_geographic:
        fix = "Reproject: image.odc.reproject('utm', resolution=…) with the pixel size in metres."
        return Finding(name, "CRS", "error", f"{crs.to_string()}, in degrees", trained, fix)
    return Finding(name, "CRS", "ok", crs.to_string(), trained)


def check_pixel_size(name: str, image: xr.DataArray) -> Iterator[Finding]:
    """Ground size of a pixel against the sensor's, when there is a grid in metres."""
    crs = image.rio.crs
    if crs is None or crs.is_geographic or not has_even_grid(image):
        return
    width, height = (abs(step) for step in image.rio.resolution())
    size = SENSORS[name].pixel_size_m
    seen, trained = f"{width:.4g} m", f"{size:g} m"
    if abs(width - height) > 0.02 * width:
        fix = "Resample to square pixels: image.odc.reproject(image.odc.crs, resolution=…)."
        yield Finding(name, "pixel size", "warning", f"{width:.4g} × {height:.4g} m", trained, fix)
    elif 0.5 <= width / size <= 2:
        yield Finding(name, "pixel size", "ok", seen, trained)
    else:
        fix = f"Objects look {max(width / size, size / width):,.0f} times too {'small' if width > size else 'large'}: "
        yield Finding(name, "pixel size", "warning", seen, trained, fix + "take another source, or read with care.")


def check_alignment(images: dict[str, xr.DataArray]) -> Iterator[Finding]:
    """Modalities over the same ground, whole pixels on whole pixels, 32 high-resolution pixels per cell."""
    crs = {name: image.rio.crs for name, image in images.items() if image.rio.crs}
    if len(set(crs.values())) > 1:
        seen = ", ".join(f"{name} in {one.to_string()}" for name, one in crs.items())
        fix = "Bring them together: image.odc.reproject(crs, resolution=…)."
        yield Finding("scene", "CRS", "error", seen, "one CRS for all modalities", fix)
        return
    grids = {name: image.odc.geobox for name, image in images.items() if image.rio.crs and has_even_grid(image)}
    coarse = [name for name in ("s2", "s1") if name in grids]
    if "hr" in grids and coarse:
        ratio = abs(grids[coarse[0]].resolution.x / grids["hr"].resolution.x)
        off = abs(ratio - HR_PIXELS_PER_CELL) / HR_PIXELS_PER_CELL
        level = "ok" if off < 0.005 else "note" if off < 0.15 else "warning"
        fix = "" if level == "ok" else "The sample resamples to 32 to 1; the finer grid loses or invents detail."
        trained = f"{HR_PIXELS_PER_CELL} × {HR_PIXELS_PER_CELL} hr pixels per {coarse[0]} pixel"
        yield Finding("scene", "pixel ratio", level, f"{ratio:.4g} hr pixels per {coarse[0]} pixel", trained, fix)
    if len(grids) < 2:
        return
    reference = grids[coarse[0] if coarse else next(iter(grids))]
    step = abs(reference.resolution.x)
    edges = np.array([grid.boundingbox.bbox for grid in grids.values()])
    shift = np.abs(edges - np.array(reference.boundingbox.bbox)).max() / step
    trained, fix = "the same ground in every modality", "Cut them with build(..., clip=True), or resample to one grid."
    level = "ok" if shift < 0.05 else "note" if shift <= 0.5 else "warning"
    seen = "edges agree" if level == "ok" else f"edges {shift:.2g} coarse pixels apart"
    yield Finding("scene", "alignment", level, seen, trained, "" if level == "ok" else fix)
