"""Pictures on a map: leafmap layers that need no tile server and a background that needs no network.

Leaflet stretches an image evenly between its corners in Web Mercator, so every picture is first warped to that
projection, transparent outside its footprint; a pixel then lies where its coordinates say.
"""

from __future__ import annotations

import base64
import io
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.transform import from_bounds
from rasterio.warp import reproject, transform, transform_bounds

from skysense_nb.errors import SceneError
from skysense_nb.views.furniture import ground_size_m

if TYPE_CHECKING:
    import ipyleaflet
    import leafmap

Bounds = tuple[float, float, float, float]
"""Outer edges (left, bottom, right, top) in the CRS named beside them."""

EQUATOR_PIXEL_M = 156_543.03
"""Ground size of a screen pixel at zoom 0 on the equator."""

OVERLAY_EDGE = (512, 2048)
"""The longer side of an overlay, in pixels: enough for straight cell edges, not too much for a notebook."""

LAND_STYLE = {"color": "#b9b4a7", "weight": 0.5, "fillColor": "#efece4", "fillOpacity": 1.0, "pane": "background"}


def quiet_map(
    center: tuple[float, float] = (20.0, 0.0),
    zoom: int = 2,
    *,
    around: xr.DataArray | None = None,
    basemap: bool = False,
    height: str = "420px",
) -> leafmap.Map:
    """A map whose background is a local outline of the continents: it asks the network for nothing.

    Args:
        center: Latitude and longitude in degrees.
        zoom: Leaflet zoom, 0 (world) to 24.
        around: An image with CRS; centre and zoom then show it whole.
        basemap: Take OpenStreetMap instead, for readers with a network.
        height: Height on the page.

    Example:
        >>> place_map = quiet_map(around=scene["s2"]["image"])   # doctest: +SKIP
    """
    import ipyleaflet
    import leafmap

    if around is not None:
        center, zoom = frame(around)
    shown = leafmap.Map(
        center=center, zoom=zoom, height=height, draw_control=False, toolbar_control=False, layers_control=True
    )
    if not basemap:
        shown.layers = ()
        shown.panes = {"background": {"zIndex": 150}}  # below every raster, which Leaflet draws under vectors
        shown.add(ipyleaflet.GeoJSON(data=land(), style=LAND_STYLE, hover_style={}, name="Land"))
    return shown


def add_overlay(
    shown: leafmap.Map,
    picture: np.ndarray,
    *,
    like: xr.DataArray | None = None,
    crs: str | None = None,
    bounds: Bounds | None = None,
    name: str = "image",
    opacity: float = 1.0,
) -> ipyleaflet.ImageOverlay:
    """Lays a picture over the map where it belongs, as a PNG inside the page.

    Args:
        shown: Map of `quiet_map` or any ipyleaflet map.
        picture: Colours (y, x, 3 or 4), floats 0–1 or bytes 0–255, north up; NaN becomes transparent.
        like: An image with CRS that covers the same ground; or give `crs` and `bounds`.
        crs: CRS of `bounds`, such as `EPSG:32633`.
        bounds: Outer edges (left, bottom, right, top).
        name: Name in the layer list.
        opacity: 0 (transparent) to 1.

    Raises:
        SceneError: No place given, or not a picture.

    Example:
        >>> add_overlay(place_map, composite(image), like=image)   # doctest: +SKIP
    """
    import ipyleaflet

    crs, bounds = locate(like, crs, bounds)
    url, corners = overlay(picture, crs, bounds)
    layer = ipyleaflet.ImageOverlay(url=url, bounds=corners, name=name, opacity=opacity)
    shown.add(layer)
    return layer


def add_footprint(
    shown: leafmap.Map,
    *,
    like: xr.DataArray | None = None,
    crs: str | None = None,
    bounds: Bounds | None = None,
    name: str = "footprint",
    color: str = "#D55E00",
) -> ipyleaflet.Polygon:
    """Outlines the ground of an image (or of `bounds` in `crs`)."""
    import ipyleaflet

    locations = ring(*locate(like, crs, bounds))
    line = ipyleaflet.Polygon(locations=locations, color=color, fill=False, weight=2, name=name)
    shown.add(line)
    return line


def ring(crs: CRS, bounds: Bounds) -> list[tuple[float, float]]:
    """The outline of `bounds` as (lat, lon), eight steps a side, so that it bends as the picture does."""
    left, bottom, right, top = bounds
    along, still = np.linspace(0, 1, 9), np.zeros(9)
    x = left + (right - left) * np.concatenate([along, still + 1, 1 - along, still])
    y = top - (top - bottom) * np.concatenate([still, along, still + 1, 1 - along])
    lon, lat = transform(crs, "EPSG:4326", x, y)
    return list(zip(lat, lon, strict=True))


def overlay(picture: np.ndarray, crs: CRS, bounds: Bounds) -> tuple[str, list[tuple[float, float]]]:
    """A picture as a PNG data URL in Web Mercator, and its south-west and north-east corners (lat, lon)."""
    pixels, edges = warp_to_mercator(as_bytes(picture), crs, bounds)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)  # four times as fast for a tenth more bytes
    west, south, east, north = transform_bounds("EPSG:3857", "EPSG:4326", *edges)
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return url, [(south, west), (north, east)]


def warp_to_mercator(pixels: np.ndarray, crs: CRS, bounds: Bounds) -> tuple[np.ndarray, Bounds]:
    """Bytes (y, x, 4) on a Web Mercator grid fine enough to keep cell edges, with the grid's outer edges."""
    rows, columns = pixels.shape[:2]
    edges = transform_bounds(crs, "EPSG:3857", *bounds)
    sides = np.array([edges[2] - edges[0], edges[3] - edges[1]])
    longest = np.clip(2 * max(rows, columns), *OVERLAY_EDGE)
    width, height = np.maximum(np.round(longest * sides / sides.max()), 1).astype(int).tolist()
    warped = np.zeros((4, height, width), dtype="uint8")
    reproject(
        np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), warped,
        src_transform=from_bounds(*bounds, columns, rows), src_crs=crs,
        dst_transform=from_bounds(*edges, width, height), dst_crs="EPSG:3857", resampling=Resampling.nearest,
    )  # fmt: skip
    return np.moveaxis(warped, 0, -1), edges


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """Picture (y, x, 3 or 4) as bytes with alpha (y, x, 4)."""
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise SceneError.of(
            "a picture (y, x, 3 or 4)", f"shape {picture.shape}", "Colour it with composite or pca_rgb."
        )
    if picture.dtype != np.uint8:
        known = np.isfinite(picture).all(axis=-1, keepdims=True)
        colours = np.round(np.clip(np.where(known, picture, 0), 0, 1) * 255).astype("uint8")
        alpha = colours[..., 3:] if picture.shape[2] == 4 else np.full_like(colours[..., :1], 255)
        return np.concatenate([colours[..., :3], np.where(known, alpha, 0)], axis=-1)
    return picture if picture.shape[2] == 4 else np.dstack([picture, np.full(picture.shape[:2], 255, "uint8")])


def locate(like: xr.DataArray | None, crs: str | None, bounds: Bounds | None) -> tuple[CRS, Bounds]:
    """CRS and outer edges, from an image or as given."""
    if like is not None:
        crs, bounds = like.rio.crs, like.rio.bounds()
    if crs is None or bounds is None:
        raise SceneError.of("like=image with a CRS, or crs and bounds", "neither", "Pass the image the picture shows.")
    try:
        return CRS.from_user_input(crs), tuple(bounds)
    except CRSError as error:
        raise SceneError.of("a CRS such as 'EPSG:32633'", repr(crs), "Look it up in the file.") from error


def frame(image: xr.DataArray, screen_pixels: int = 400) -> tuple[tuple[float, float], int]:
    """Centre (lat, lon) and the closest zoom that shows an image whole."""
    crs, (left, bottom, right, top) = locate(image, None, None)
    (lon,), (lat,) = transform(crs, "EPSG:4326", [(left + right) / 2], [(bottom + top) / 2])
    metres = max(ground_size_m(image)) / screen_pixels
    zoom = np.floor(np.log2(EQUATOR_PIXEL_M * np.cos(np.radians(lat)) / metres))
    return (lat, lon), int(np.clip(zoom, 0, 24))


@cache
def land() -> dict:
    """The continents as GeoJSON (Natural Earth, public domain; written by make_land.py)."""
    return json.loads(files("skysense_nb.views").joinpath("land.geojson").read_text())
