"""Pictures on a map lie where an independent projection puts them, and nothing asks the network."""

import base64
import io

import leafmap
import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from skysense_nb.errors import SceneError
from skysense_nb.views.maps import add_footprint, add_overlay, as_bytes, frame, land, quiet_map, warp_to_mercator


def decode(layer) -> np.ndarray:
    """Pixels (y, x, 4) of an overlay."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(layer.url.split(",", 1)[1]))))


def lonlat_of(layer, row, column) -> tuple[float, float]:
    """Where Leaflet draws a pixel: evenly between the corners in Web Mercator."""
    rows, columns = decode(layer).shape[:2]
    project = Transformer.from_crs(4326, 3857, always_xy=True)
    (south, west), (north, east) = layer.bounds
    left, bottom = project.transform(west, south)
    right, top = project.transform(east, north)
    x, y = left + (right - left) * (column + 0.5) / columns, top - (top - bottom) * (row + 0.5) / rows
    return project.transform(x, y, direction="INVERSE")


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3035", "EPSG:4326", "EPSG:3857"])
def test_a_marked_pixel_lies_where_pyproj_puts_it(crs):
    """Also far from the central meridian, where the warped picture is visibly turned."""
    left, bottom, right, top = {
        "EPSG:32633": (200_000, 5_900_000, 320_000, 5_980_000),
        "EPSG:3035": (4_000_000, 3_000_000, 4_120_000, 3_080_000),
        "EPSG:4326": (10, 50, 11.2, 50.8),
        "EPSG:3857": (1_000_000, 6_500_000, 1_120_000, 6_580_000),
    }[crs]
    picture = np.zeros((80, 120, 3))
    row, column = 17, 93
    picture[row, column] = 1
    shown = quiet_map()
    layer = add_overlay(shown, picture, crs=crs, bounds=(left, bottom, right, top))
    rows, columns = np.nonzero(decode(layer)[..., 0] == 255)
    lon, lat = lonlat_of(layer, rows.mean(), columns.mean())
    x, y = left + (column + 0.5) * (right - left) / 120, top - (row + 0.5) * (top - bottom) / 80
    true_lon, true_lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y)
    pixel_degrees = 1_000 / 111_320 if crs != "EPSG:4326" else 0.01
    assert lat == pytest.approx(true_lat, abs=0.5 * pixel_degrees)
    assert lon == pytest.approx(true_lon, abs=0.5 * pixel_degrees / np.cos(np.radians(lat)))


def test_outside_is_transparent_and_cells_keep_their_size():
    """A turned footprint leaves transparent corners; every cell of a coarse picture gets its share of the area."""
    pixels = as_bytes(np.random.default_rng(0).random((4, 6, 3)))
    warped, _ = warp_to_mercator(pixels, "EPSG:32633", (200_000, 5_900_000, 320_000, 5_980_000))
    assert max(warped.shape) == 512
    opaque = warped[..., 3] == 255
    assert not opaque[0, 0] and opaque[warped.shape[0] // 2, warped.shape[1] // 2]
    colours, counts = np.unique(warped[opaque], axis=0, return_counts=True)
    assert len(colours) == 24 and counts.min() > 0.9 * counts.mean()


def test_missing_values_and_alpha():
    picture = np.full((2, 2, 3), 0.5)
    picture[0, 1] = np.nan
    assert as_bytes(picture)[..., 3].tolist() == [[255, 0], [255, 255]]
    assert as_bytes(np.full((2, 2, 4), 0.25))[0, 0].tolist() == [64] * 4
    assert as_bytes(np.full((2, 2, 3), 7, "uint8"))[0, 0].tolist() == [7, 7, 7, 255]


def test_overlay_takes_its_place_from_an_image(image, embedding):
    shown = quiet_map(around=embedding)
    s2 = image("s2")
    layer = add_overlay(shown, np.ones((12, 16, 3)), like=s2, name="Sentinel-2", opacity=0.5)
    assert layer in shown.layers and (layer.name, layer.opacity) == ("Sentinel-2", 0.5)
    (south, west), (north, east) = layer.bounds
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(600_080, 5_299_940)
    assert ((west + east) / 2, (south + north) / 2) == pytest.approx((lon, lat), abs=2e-6)
    assert shown.center == pytest.approx([lat, lon])


def test_quiet_map_asks_nobody():
    shown = quiet_map()
    assert [layer.name for layer in shown.layers] == ["Land"]
    assert not any(hasattr(layer, "url") for layer in shown.layers)
    assert shown.layers[0].style["pane"] == "background" and shown.panes["background"]["zIndex"] < 200
    controls = {type(control).__name__ for control in shown.controls}
    assert {"ZoomControl", "ScaleControl", "LayersControl"} <= controls and "SearchControl" not in controls
    assert quiet_map(basemap=True).layers[0].url.startswith("http")
    assert isinstance(shown, leafmap.Map)


def test_land_is_land():
    from shapely.geometry import Point, shape

    continents = shape(land()["features"][0]["geometry"])
    places = {(11.6, 48.1): True, (-60.0, -3.1): True, (133.8, -23.7): True, (-30.0, 30.0): False, (90.0, -40.0): False}
    for place, dry in places.items():
        assert continents.contains(Point(place)) is dry
    assert continents.is_valid


def test_frame_shows_the_place_whole(image):
    _, zoom = frame(image("s2"))
    metres_per_pixel = 156_543.03 * np.cos(np.radians(47.85)) / 2**zoom
    assert 160 / metres_per_pixel <= 400 < 2 * 160 / metres_per_pixel + 1


def test_footprint_runs_through_the_corners(image):
    shown = quiet_map()
    line = add_footprint(shown, like=image("s2"))
    to_lonlat = Transformer.from_crs(32633, 4326, always_xy=True)
    locations = np.array(line.locations)
    for x, y in ((600_000, 5_300_000), (600_160, 5_300_000), (600_160, 5_299_880), (600_000, 5_299_880)):
        lon, lat = to_lonlat.transform(x, y)
        assert np.abs(locations - (lat, lon)).sum(1).min() < 1e-7
    assert line in shown.layers and not line.fill


def test_refusals_in_words(image):
    shown = quiet_map()
    with pytest.raises(SceneError, match=r"^Expected a picture \(y, x, 3 or 4\), got shape \(4, 4\)\."):
        add_overlay(shown, np.ones((4, 4)), like=image("s2"))
    with pytest.raises(SceneError, match=r"^Expected like=image with a CRS, or crs and bounds, got neither\."):
        add_overlay(shown, np.ones((4, 4, 3)))
    with pytest.raises(SceneError, match=r"^Expected a CRS such as 'EPSG:32633', got 'nonsense'\."):
        add_overlay(shown, np.ones((4, 4, 3)), crs="nonsense", bounds=(0, 0, 1, 1))
