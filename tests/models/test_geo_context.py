"""Regions of equal area, and what a cell reads from its region."""

import math

import pytest
import torch

from skysense_nb.models.geo_context import (
    EARTH_RADIUS_M,
    REGION_SIDE_M,
    GeoContext,
    GeoContextConfig,
    region_bounds,
    region_of,
)


def places(count, seed=0):
    """Places spread evenly over the sphere."""
    g = torch.Generator().manual_seed(seed)
    lon = torch.rand(count, generator=g, dtype=torch.float64) * 360 - 180
    lat = torch.rad2deg(torch.asin(torch.rand(count, generator=g, dtype=torch.float64) * 2 - 1))
    return torch.stack((lon, lat), dim=1)


def test_regions_have_one_area():
    sphere_km2 = 4 * math.pi * EARTH_RADIUS_M**2 / 1e6
    seen = places(3_000_000)
    seen = seen[seen[:, 1].abs() < 80]
    band, square = region_of(seen) // 2**20, region_of(seen) % 2**20
    share = len(seen) / 3_000_000
    regions = sum(int(square[band == number].max()) + 1 for number in band.unique())
    assert sphere_km2 * share / regions == pytest.approx((REGION_SIDE_M / 1000) ** 2, rel=0.01)


def test_neighbours_share_a_region_and_the_date_line_is_a_border():
    here = torch.tensor([[11.50, 48.10], [11.51, 48.10], [-179.999, 10.0], [179.999, 10.0], [180.0, 10.0]])
    region = region_of(here)
    assert region[0] == region[1]
    assert region[2] != region[3]
    assert region[2] == region[4]
    assert region_of(torch.tensor([[0.0, 90.0], [0.0, -90.0]])).tolist()[1] < 2**20


def test_the_edges_of_a_region_hold_its_places_and_no_others():
    for place in places(200).tolist():
        west, south, east, north = region_bounds(int(region_of(torch.tensor(place))))
        assert west <= place[0] <= east and south <= place[1] <= north
        inside = torch.rand(50, 2, dtype=torch.float64) * 0.998 + 0.001
        spread = torch.tensor([west, south]) + inside * torch.tensor([east - west, north - south])
        assert region_of(spread).unique().tolist() == [int(region_of(torch.tensor(place)))]


def test_reads_a_softmax_average_of_its_own_region_only():
    torch.manual_seed(0)
    context = GeoContext(GeoContextConfig(regions=3, prototypes=4, width=8), width=8)
    lonlat = torch.tensor([[11.5, 48.1], [100.0, 0.0]])
    context.bank.normal_()
    context.region_ids[1] = region_of(lonlat[:1])[0]
    fused = torch.randn(2, 8, 2, 3)
    out = context(fused, lonlat)
    assert out.shape == (2, 16, 2, 3)
    assert torch.equal(out[:, :8], fused)
    assert out[1, 8:].abs().max() == 0  # an unknown region adds nothing
    cell = fused[0, :, 1, 2]
    logits = torch.tensor([float(cell @ prototype) for prototype in context.bank[1]]) / 8**0.5
    expected = sum(share * prototype for share, prototype in zip(logits.softmax(0), context.bank[1], strict=True))
    assert torch.allclose(out[0, 8:, 1, 2], expected, atol=1e-6)
    assert context.known_regions == 1


def test_the_region_function_can_be_replaced():
    hemisphere = lambda lonlat: (lonlat[..., 1] > 0).long()  # noqa: E731
    context = GeoContext(GeoContextConfig(2, 1, 4), width=6, region=hemisphere)
    context.region_ids[:] = torch.tensor([1, 0])
    assert context.slots(torch.tensor([[0.0, 40.0], [0.0, -40.0]])).tolist() == [0, 1]
