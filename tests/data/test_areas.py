"""Areas and periods, right and wrong."""

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from skysense_nb.data.areas import degrees, ground_grid, named_bounds, read_period
from skysense_nb.errors import ParameterError


@pytest.mark.parametrize(
    "bounds,code",
    [((1.4, 48.1, 1.41, 48.11), 32631), ((5.99, 0.1, 6.02, 0.2), 32632), ((-70, -33.5, -69.9, -33.4), 32719),
     ((179.9, -17, 180, -16.9), 32760), ((-180, 65, -179.9, 65.1), 32601)],
)  # fmt: skip
def test_the_grid_lies_in_the_zone_of_the_middle_and_holds_the_area(bounds, code):
    grid = ground_grid(bounds)
    assert grid.crs.epsg == code and (grid.resolution.x, grid.resolution.y) == (10, -10)
    left, bottom, right, top = grid.boundingbox.bbox
    assert (np.array([left, bottom, right, top]) % 10 == 0).all()
    to_grid = Transformer.from_crs("EPSG:4326", code, always_xy=True)
    west, south, east, north = bounds
    ways = np.linspace(0, 1, 9)
    x, y = to_grid.transform(west + (east - west) * np.repeat(ways, 9), south + (north - south) * np.tile(ways, 9))
    assert left <= x.min() < left + 10 and right - 10 < x.max() <= right
    assert bottom <= y.min() < bottom + 10 and top - 10 < y.max() <= top


def test_a_grid_of_ten_metres_is_taken_as_it_is():
    grid = GeoBox.from_bbox((500_005, 5_000_003, 500_205, 5_000_203), crs="EPSG:32633", resolution=10, tight=True)
    assert ground_grid(grid) is grid
    coarse = GeoBox.from_bbox((500_000, 5_000_000, 500_300, 5_000_300), crs="EPSG:32633", resolution=30)
    west, south, east, north = ground_grid(coarse).boundingbox.bbox
    assert ground_grid(coarse).resolution.x == 10 and west <= 500_000 < 500_300 <= east
    assert south <= 5_000_000 < 5_000_300 <= north


def test_areas_of_the_catalogue_have_names():
    assert named_bounds("beauce") == (1.4, 48.1, 1.9, 48.4)
    with pytest.raises(ParameterError, match="Expected an area among andros.*got 'atlantis'"):
        ground_grid("atlantis")


@pytest.mark.parametrize(
    "area,words",
    [
        ((179.9, -17.0, -179.9, -16.8), "Expected an area on one side of the date line, got 179.9 to -179.9. Split it"),
        ((2.0, 48.0, 1.0, 49.0), "Expected west < east"),
        ((1.0, 49.0, 2.0, 48.0), "south < north"),
        ((1.0, 48.0, 1.0, 49.0), "Expected west < east"),
        ((1.0, 85.0, 2.0, 86.0), "south < north in -80…84"),
        ((1.0, 40.0, 9.0, 41.0), "Expected an area of at most 6 × 6°, got 8 × 1"),
        ((1.0, 2.0, 3.0), "Expected west, south, east, north"),
        ((1.0, 2.0, 3.0, float("nan")), "Expected west, south, east, north"),
    ],
)
def test_areas_that_cannot_be_meant_are_refused(area, words):
    with pytest.raises(ParameterError, match=words):
        ground_grid(area)


def test_a_grid_over_the_date_line_is_refused():
    x, y = Transformer.from_crs("EPSG:4326", 32760, always_xy=True).transform(180.0, -17.0)
    with pytest.raises(ParameterError, match="date line"):
        degrees(GeoBox.from_bbox((x - 5000, y - 5000, x + 5000, y + 5000), crs="EPSG:32760", resolution=10))


@pytest.mark.parametrize(
    "period,first,last",
    [
        ("2023", "2023-01-01T00:00", "2023-12-31T23:59"),
        ("2024-02", "2024-02-01T00:00", "2024-02-29T23:59"),
        ("2023-06-05", "2023-06-05T00:00", "2023-06-05T23:59"),
        (("2023-03", "2023-04-15"), "2023-03-01T00:00", "2023-04-15T23:59"),
    ],
)
def test_periods_include_both_ends(period, first, last):
    assert [str(moment.to_datetime64())[:16] for moment in read_period(period)] == [first, last]


@pytest.mark.parametrize("period", ["yesterday", ("2023", "2024", "2025"), "", (), None, ("2023", None), "2023-13"])
def test_what_is_no_period_is_refused(period):
    with pytest.raises(ParameterError, match="Expected a period such as"):
        read_period(period)


def test_a_period_upside_down_is_refused():
    with pytest.raises(ParameterError, match="Expected a period that begins before it ends"):
        read_period(("2024-05-01", "2023-05-01"))
