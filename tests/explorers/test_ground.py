"""Pictures lie on the ground where pyproj says, at two latitudes and in three kinds of CRS."""

import base64
import io

import numpy as np
import pytest
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from PIL import Image
from pyproj import Transformer

from skysense_nb.errors import SceneError
from skysense_nb.explorers.ground import Ground
from skysense_nb.views.cells import cell_at

PLACES = {
    "UTM at 10°": ("EPSG:32633", (500_000.0, 1_105_000.0), 10.0),
    "UTM at 65°, off its meridian": ("EPSG:32633", (640_000.0, 7_210_000.0), 10.0),
    "degrees at 10°": ("EPSG:4326", (15.0, 10.0), 0.0001),
    "degrees at 65°": ("EPSG:4326", (15.0, 65.0), 0.0001),
    "Europe at 65°": ("EPSG:3035", (4_700_000.0, 4_700_000.0), 10.0),
}
ROWS, COLUMNS = 24, 32


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def raster(request) -> xr.DataArray:
    crs, (left, top), pixel = request.param
    coords = {"y": top - pixel * (np.arange(ROWS) + 0.5), "x": left + pixel * (np.arange(COLUMNS) + 0.5)}
    return xr.DataArray(np.zeros((ROWS, COLUMNS)), dims=("y", "x"), coords=coords).rio.write_crs(crs)


def mercator_of(raster, x, y):
    """Web Mercator metres of places in the CRS of a raster."""
    return np.array(Transformer.from_crs(raster.rio.crs, 3857, always_xy=True).transform(x, y))


def shown(layer):
    """Pixels of an overlay (y, x, 4), and the Mercator metres of its left, bottom, right and top edge."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(layer.url.partition(",")[2]))))
    (south, west), (north, east) = layer.bounds
    xs, ys = Transformer.from_crs(4326, 3857, always_xy=True).transform([west, east], [south, north])
    return pixels, (xs[0], ys[0], xs[1], ys[1])


def pixel_at(layer, place):
    """The pixel of an overlay at Mercator metres."""
    pixels, (left, bottom, right, top) = shown(layer)
    height, width = pixels.shape[:2]
    row, column = (top - place[1]) / (top - bottom) * height, (place[0] - left) / (right - left) * width
    return pixels[int(np.clip(row, 0, height - 1)), int(np.clip(column, 0, width - 1))]


def test_corners_of_the_overlay_are_those_of_the_raster_within_a_pixel(raster):
    ground = Ground(raster)
    ground.lay("Picture", np.ones((ROWS, COLUMNS, 3)))
    left, bottom, right, top = raster.rio.bounds()
    along = np.linspace(0, 1, 33)
    edge_x = np.concatenate([left + (right - left) * along] * 2 + [np.full(33, left), np.full(33, right)])
    edge_y = np.concatenate([np.full(33, bottom), np.full(33, top)] + [bottom + (top - bottom) * along] * 2)
    outline = mercator_of(raster, edge_x, edge_y)
    expected = [*outline.min(axis=1), *outline.max(axis=1)]
    pixel = min((expected[2] - expected[0]) / COLUMNS, (expected[3] - expected[1]) / ROWS)
    np.testing.assert_allclose(shown(ground.layers["Picture"])[1], expected, atol=pixel)


def test_every_cell_shows_its_own_colour_where_it_lies(raster):
    ground = Ground(raster)
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    picture = np.stack([rows * 10, columns * 8, np.full_like(rows, 200)], axis=-1).astype("uint8")
    ground.lay("Picture", picture)
    for row, column in [(0, 0), (0, COLUMNS - 1), (ROWS - 1, 0), (ROWS - 1, COLUMNS - 1), (11, 17)]:
        place = mercator_of(raster, raster.x.values[column], raster.y.values[row])
        assert pixel_at(ground.layers["Picture"], place).tolist() == [row * 10, column * 8, 200, 255]


def test_the_mark_is_around_the_cell_and_a_click_in_it_finds_it(raster):
    ground = Ground(raster)
    ground.mark(5, 9)
    width, height = abs(float(raster.x[1] - raster.x[0])), abs(float(raster.y[1] - raster.y[0]))
    x, y = float(raster.x[9]), float(raster.y[5])
    corners = [(x + dx * width / 2, y + dy * height / 2) for dx in (-1, 1) for dy in (-1, 1)]
    to_lonlat = Transformer.from_crs(raster.rio.crs, 4326, always_xy=True)
    for corner in corners:
        lon, lat = to_lonlat.transform(*corner)
        assert min(np.hypot(lat - one, lon - other) for one, other in ground.marker.locations) < 1e-7  # a centimetre
    lon, lat = to_lonlat.transform(x, y)
    assert cell_at(raster, lat, lon) == (5, 9)
    marker = ground.marker
    ground.mark(0, 0)
    assert ground.marker is marker and sum(layer is marker for layer in ground.map.layers) == 1


def test_a_name_holds_one_layer_whose_opacity_stays(raster):
    ground = Ground(raster)
    ground.lay("Picture", np.zeros((2, 2, 3)), opacity=0.25)
    layer, count, url = ground.layers["Picture"], len(ground.map.layers), ground.layers["Picture"].url
    ground.lay("Picture", np.ones((2, 2, 3)), opacity=1.0)
    assert ground.layers["Picture"] is layer and len(ground.map.layers) == count
    assert layer.url != url and layer.opacity == 0.25
    ground.show("Picture", False)
    assert not layer.visible


def test_a_picture_of_other_ground_lies_there(raster):
    half = raster[:, : COLUMNS // 2]
    ground = Ground(raster)
    ground.lay("Half", np.ones((ROWS, COLUMNS // 2, 3)), like=half)
    first = list(ground.layers["Half"].bounds)
    ground.lay("Half", np.ones((ROWS, COLUMNS, 3)))
    whole = list(ground.layers["Half"].bounds)
    assert whole[0][1] == pytest.approx(first[0][1], abs=1e-4) and whole[1][1] > first[1][1]
    ground.lay("Half", np.ones((ROWS, COLUMNS // 2, 3)), like=half)
    np.testing.assert_allclose(ground.layers["Half"].bounds, first)


def test_missing_values_let_the_map_shine_through(raster):
    picture = np.ones((ROWS, COLUMNS, 3))
    picture[: ROWS // 2] = np.nan
    ground = Ground(raster)
    ground.lay("Picture", picture)
    places = [mercator_of(raster, raster.x.values[3], raster.y.values[row]) for row in (2, ROWS - 3)]
    assert [pixel_at(ground.layers["Picture"], place)[3] for place in places] == [0, 255]


def test_a_raster_without_a_place_is_refused(raster):
    with pytest.raises(SceneError, match="with a CRS"):
        Ground(raster.drop_vars("spatial_ref"))
