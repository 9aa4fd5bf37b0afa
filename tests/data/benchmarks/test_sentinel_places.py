"""Copies of many places, of the benchmarks with Sentinel images: layout, ground, and what there is to learn."""

from functools import cache

import numpy as np
import pytest
import torch
import xarray as xr
from pyproj import Transformer
from records import assert_round_trip, read_all

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures import places, write_miniature
from skysense_nb.data.miniatures.corine import corine_names, forest_names
from skysense_nb.data.miniatures.dynamic_earth_net_places import at_3_m, class_of_most, cover_on
from skysense_nb.data.miniatures.fmow_s2 import CATEGORIES
from skysense_nb.data.miniatures.oscd import new
from skysense_nb.data.miniatures.pastis import grows_known_crops
from skysense_nb.data.miniatures.places import scenes, split_of
from skysense_nb.data.synthetic import classes as world
from skysense_nb.data.synthetic.regions import Place, held_out
from skysense_nb.errors import ParameterError

PLACES = {"ben_s2": 4, "ben_mm": 4, "fmow_s2": 6, "oscd": 4, "dyna_pla": 4, "dyna_s2": 4, "dyna_mm": 4, "pastis": 5}
SPLITS = {"fmow_s2": ("train", "val", "test_gt"), "oscd": ("train", "test")}
QUICK = {"s2_dates": 1, "s1_dates": 1, "modalities": ("s1",)}


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """`many("pastis")` gives the folder of a copy of some places, not to be changed, and what must be in it."""

    @cache
    def write(name, seed=0):
        folder = tmp_path_factory.mktemp("places") / name
        return folder, write_miniature(name, folder, seed, PLACES[name])

    return write


def labelled(**layers):
    """A scene with some layers of labels and nothing else."""
    return xr.DataTree.from_dict({"labels": xr.Dataset({name: (("y", "x"), one) for name, one in layers.items()})})


def readers(name, root, **options):
    return [open_benchmark(name, root, split, **options) for split in SPLITS.get(name, ("train", "val", "test"))]


def content(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", PLACES)
def test_what_was_written_is_read_and_every_split_has_a_place(many, name):
    root, truth = many(name)
    found = readers(name, root, **({"series": True} if name == "fmow_s2" else {}))
    assert all(len(reader) for reader in found)
    per_place = 2 if name.startswith("dyna") else 1
    assert sum(len(reader) for reader in found) == PLACES[name] * per_place
    assert_round_trip(readers(name, root), truth)


@pytest.mark.parametrize("name", ["ben_mm", "fmow_s2", "dyna_mm"])
def test_no_ground_is_in_two_places_and_all_of_it_is_held_out(many, name):
    boxes = {}
    for record in many(name)[1].values():
        height, width = record["mask" if "mask" in record else "s2"].shape[-2:]
        left, top = record["transform"] @ (0, 0)
        right, bottom = record["transform"] @ (width, height)
        to_degrees = Transformer.from_crs(record["crs"], 4326, always_xy=True)
        middle = to_degrees.transform((left + right) / 2, (top + bottom) / 2)
        assert held_out(middle, (right - left) / 2)
        place = record["id"].rsplit("_", 1)[0] if name != "ben_mm" else record["id"]
        boxes[place] = (record["crs"], left, bottom, right, top)
    assert len(boxes) == PLACES[name]
    for one, (crs, left, bottom, right, top) in boxes.items():
        for other, (other_crs, west, south, east, north) in boxes.items():
            apart = left >= east or right <= west or bottom >= north or top <= south
            assert one == other or crs != other_crs or apart


def test_the_same_seed_writes_the_same_files_and_another_seed_others(many, tmp_path):
    write_miniature("dyna_s2", tmp_path / "again", 0, PLACES["dyna_s2"])
    write_miniature("dyna_s2", tmp_path / "other", 1, PLACES["dyna_s2"])
    one, again, other = (content(root) for root in (many("dyna_s2")[0], tmp_path / "again", tmp_path / "other"))
    assert one == again
    assert not set(one.values()) & {data for path, data in other.items() if path.suffix == ".tif"}


@pytest.mark.parametrize("name", PLACES)
def test_too_few_places_for_the_splits_are_refused(tmp_path, name):
    with pytest.raises(ParameterError, match="at least 4 places, so that every split has one, got 3"):
        write_miniature(name, tmp_path / name, 0, 3)
    assert not (tmp_path / name).exists()


def test_more_places_begin_with_the_same_ones():
    few, more = ([spot for spot, _ in scenes(["sea", "coast"], 1, count, 20, **QUICK)] for count in (4, 6))
    assert more[:4] == few and len(set(more)) == 6
    assert [spot.kind for spot in more] == ["sea", "coast"] * 3


def test_a_place_or_scene_that_will_not_do_is_replaced_and_dates_may_differ_by_place():
    asked = []

    def keep(spot, scene):
        asked.append(scene["s2"].sizes["time"])
        return len(asked) != 2

    options = QUICK | {"modalities": ("s2",), "s2_dates": lambda number: 1 + number}
    found = list(scenes(["sea"], 2, 4, 20, keep, lambda spot: spot.lat > 0, **options))
    assert asked == [1, 2, 2, 3, 4] and all(spot.lat > 0 for spot, _ in found)
    assert [scene["s2"].sizes["time"] for _, scene in found] == [1, 2, 3, 4]
    with pytest.raises(ParameterError, match="4 places apart from each other, got 0 in 40 draws"):
        list(scenes(["sea"], 2, 4, 20, fits=lambda spot: False, **QUICK))


def test_a_place_drawn_twice_is_taken_once(monkeypatch):
    spots = iter([Place(8.5, 47.4, "sea", 2020)] * 2 + [Place(8.5, 47.41, "sea", 2020)] * 60)
    monkeypatch.setattr(places, "draw_place", lambda *_, **__: next(spots))
    found = scenes(["sea"], 0, 4, 20, **QUICK)
    assert [next(found)[0].lat for _ in range(2)] == [47.4, 47.41]
    with pytest.raises(ParameterError, match="got 2 in 43 draws"):
        next(found)


@pytest.mark.parametrize("kinds", range(1, 15))
def test_places_are_shared_out_evenly_over_all_and_over_each_kind(kinds):
    splits = np.array([split_of(number, kinds) for number in range(600)])
    assert {"train", "val", "test"} == set(splits[:4])
    for kind in range(kinds):
        shares = [(splits[kind::kinds] == split).mean() for split in ("train", "val", "test")]
        np.testing.assert_allclose(shares, [0.6, 0.15, 0.25], atol=0.08)


def test_patches_have_names_on_disk_that_follow_from_their_ground(many):
    known = benchmark("ben_s2").source_classes
    found = [scene for _, scene in scenes(("quarry", "forest", "coast", "village"), 0, 4, 800, **QUICK)]
    names = [set(corine_names(scene)) for scene in found]
    assert all(one <= known.keys() for one in names)
    assert "Mineral extraction sites" in names[0] and known["Mineral extraction sites"] is None
    assert any("forest" in name or "shrub" in name or "grass" in name for name in names[1])
    assert names[2] & {"Sea and ocean", "Beaches, dunes, sands"}
    assert "Discontinuous urban fabric" in names[3]
    for record in many("ben_mm")[1].values():
        assert 0 <= (record["s1_date"] - record["s2_date"]).astype(int)[0] <= 2


@pytest.mark.parametrize(
    ("broad", "conifer", "shrub", "expected"),
    [
        (0.3, 0.02, 0.0, {"Broad-leaved forest"}),
        (0.02, 0.3, 0.0, {"Coniferous forest"}),
        (0.2, 0.2, 0.1, {"Mixed forest", "Transitional woodland/shrub"}),
        (0.01, 0.0, 0.3, {"Moors and heathland"}),
        (0.05, 0.04, 0.05, set()),
    ],
)
def test_forests_are_named_after_their_trees(broad, conifer, shrub, expected):
    share = np.zeros(len(world.LAND_COVER))
    share[[world.BROADLEAF, world.CONIFER, world.SHRUB]] = broad, conifer, shrub
    assert forest_names(share) == expected


def test_locations_have_the_class_of_their_kind_and_several_dates_of_different_size(many):
    root, truth = many("fmow_s2")
    assert {record["names"] for record in truth.values()} == set(list(CATEGORIES.values())[:6])
    series = read_all(readers("fmow_s2", root, series=True))
    lengths = {len(one["s2"]) for one in series.values()}
    assert lengths <= set(range(4, 9)) and len(lengths) > 1
    sizes = {record["s2"].shape[-2:] for record in truth.values()}
    assert all(24 <= side <= 40 for size in sizes for side in size) and len(sizes) > len(series)
    assert all((np.diff(one["s2_date"]).astype(int) > 0).all() for one in series.values())


def test_cities_change_where_something_was_built_and_nowhere_else(many):
    truth = many("oscd")[1]
    for record in truth.values():
        assert record["s2"].shape == (2, 10, 64, 64)
        assert 0.004 < record["mask"].float().mean() < 0.5
        assert (record["s2_date"][1] - record["s2_date"][0]).astype(int) > 7 * 365


def test_a_pixel_changed_where_more_than_a_quarter_was_built_on():
    covers = [0, world.BUILDING, world.ROAD, world.GRASS]
    turned = np.random.default_rng(0).choice(covers, (32, 40), p=[0.7, 0.15, 0.1, 0.05])
    found = new(labelled(change_to=turned))
    for row in range(4):
        for column in range(5):
            block = turned[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            built = sum(one in (world.BUILDING, world.ROAD) for one in block.ravel().tolist())
            assert found[row, column] == (built > 16)
    assert found.any() and not found.all()


@pytest.mark.parametrize("pixel_m", [0.3125, 1.25, 10.0])
def test_images_are_brought_to_3_m_in_place(pixel_m):
    ramp = (np.arange(round(200 / pixel_m)) + 0.5) * pixel_m
    east, south = at_3_m(np.stack(np.meshgrid(ramp, ramp)), pixel_m)
    middles = (np.arange(64) + 0.5) * 3
    inside = slice(2, -2)
    for found in (east[32], south[:, 32]):
        np.testing.assert_allclose(found[inside], middles[inside], atol=0.5 * min(pixel_m, 3))


def test_a_pixel_has_the_class_that_covers_most_of_it():
    cover = np.full((160, 160), world.GRASS)
    cover[:, 24:] = world.WATER  # from 30 m, a border between pixels
    cover[48, :12] = world.BUILDING  # 1.25 of the 3 m below 60 m
    cover[96:98, :12] = world.BUILDING  # 2.5 of the 3 m below 120 m
    expected = np.full((64, 64), 5)
    expected[:, :10] = 2
    expected[40, :5] = 0
    np.testing.assert_array_equal(class_of_most(cover), expected)


def test_land_cover_of_a_day_is_what_was_there_before_a_later_change():
    when = np.array([["NaT", "2019-03-01"]], "datetime64[ns]")
    layers = {"land_cover": [[8, 12]], "change_from": [[0, 4]], "change_date": when}
    labels = xr.Dataset({name: (("y", "x"), np.asarray(layer)) for name, layer in layers.items()})
    assert cover_on(labels, "2019-02-28").tolist() == [[8, 4]]
    assert cover_on(labels, "2019-03-01").tolist() == [[8, 12]]


def test_planet_shows_the_same_ground_as_sentinel_2_but_sharper(many):
    records = list(many("dyna_mm")[1].values())
    for record in records:
        planet, sentinel = record["hr"][0], record["s2"][0, [2, 1, 0, 6]]
        torch.testing.assert_close(planet[3], sentinel[3], rtol=0, atol=0)
        assert (planet[:3].mean((1, 2)) / sentinel[:3].mean((1, 2)) - 1).abs().max() < 0.5
    city = max(records, key=lambda record: float((record["mask"] == 0).float().std()))
    blurred = torch.nn.functional.avg_pool2d(city["hr"], 8)[0, 0].flatten()
    coarse = torch.nn.functional.avg_pool2d(city["s2"], 8)[0, 2].flatten()
    assert torch.corrcoef(torch.stack([blurred, coarse]))[0, 1] > 0.8
    fine = [(image[:, 1:] - image[:, :-1]).abs().mean() for image in (city["hr"][0, 0], city["s2"][0, 2])]
    assert fine[0] > 1.5 * fine[1]


def test_planet_has_six_days_a_month_and_labels_of_enough_classes(many):
    root, truth = many("dyna_pla")
    for record in read_all(readers("dyna_pla", root, days="weekly")).values():
        assert [int(str(day)[-2:]) for day in record["hr_date"]] == [1, 5, 10, 15, 20, 25]
        assert (record["hr"][1:] != record["hr"][:1]).flatten(1).any(1).all()
    masks = torch.cat([record["mask"].flatten() for record in truth.values()])
    assert len(masks.unique()) >= 4 and masks.max() < 6


def test_cubes_are_a_series_of_two_years_for_change(many):
    root, truth = many("dyna_s2")
    cubes = read_all(readers("dyna_s2", root, task="change"))
    assert len(cubes) == PLACES["dyna_s2"]
    for cube in cubes.values():
        assert [str(day)[:4] for day in cube["s2_date"]] == ["2018", "2019"]
        for month, mask in zip(cube["s2_date"], cube["mask"], strict=True):
            assert torch.equal(mask, truth[f"{cube['id']}_{str(month)[:7]}"]["mask"])


@pytest.mark.parametrize(("crop", "will_do"), [("winter wheat", True), ("rice", False), ("no field", False)])
def test_fields_where_only_unknown_crops_or_none_grow_are_not_taken(crop, will_do):
    ids = np.full((256, 256), [one.id for one in world.CROPS if one.name == crop][0])
    cover = np.full_like(ids, world.ROAD if crop == "no field" else world.CROPLAND)
    assert grows_known_crops(None, labelled(crop=ids, land_cover=cover)) is will_do


def test_fields_have_crops_beside_background_and_a_cloudy_series_of_their_own_length(many):
    root, truth = many("pastis")
    lengths = {len(record["s2"]) for record in truth.values()}
    assert lengths <= set(range(8, 13)) and len(lengths) > 1
    masks = torch.stack([record["mask"] for record in truth.values()])
    assert {0, 1} < set(masks.unique().tolist()) and len(masks.unique()) >= 6
    assert (masks == 255).float().mean() < 0.25
    assert all(((one > 0) & (one < 255)).any() for one in masks)
    blue = torch.cat([record["s2"][:, 0].flatten() for record in truth.values()])
    assert 0.02 < (blue > 3000).float().mean() < 0.6
    for orbit in ("ascending", "descending"):
        for record in read_all(readers("pastis", root, orbit=orbit)).values():
            assert len(record["s1"]) >= 4
    assert len(readers("pastis", root)[0]) > len(readers("pastis", root)[2])
