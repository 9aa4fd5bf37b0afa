"""PASTIS: series of any length, three spellings of dates, and values that are none."""

import json
import shutil

import numpy as np
import pytest
import rasterio
import torch
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.pastis import by_date, days_of, grid, outline
from skysense_nb.errors import DatasetError, ParameterError

SPLITS = ("train", "val", "test")


def edit(root, change):
    """Rewrites the metadata."""
    path = root / "PASTIS-R" / "metadata.geojson"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def feature(content, number):
    return next(one for one in content["features"] if one["properties"]["ID_PATCH"] == number)


def test_what_was_written_is_read(miniature):
    root, truth = miniature("pastis")
    assert_round_trip([open_benchmark("pastis", root, split) for split in SPLITS], truth)


def test_a_copy_of_the_miniature_is_small(miniature):
    assert sum(path.stat().st_size for path in miniature("pastis")[0].rglob("*") if path.is_file()) < 1.5e6


def test_splits_are_folds_and_others_may_be_chosen(miniature):
    root, _ = miniature("pastis")
    ids = lambda split, **options: [one["id"] for one in open_benchmark("pastis", root, split, **options)]  # noqa: E731
    assert [ids(split) for split in SPLITS] == [["10000", "10001", "20002"], ["30003"], ["40004"]]
    assert ids("train", folds=(2, 3, 4)) == ["10001", "20002", "30003"]
    assert ids("test", folds=[1]) == ["10000"]
    for wrong in ((), (0,), (5, 6)):
        with pytest.raises(ParameterError, match="Expected folds from 1 to 5"):
            ids("train", folds=wrong)


def test_void_is_ignored_and_background_is_a_class(miniature):
    root, _ = miniature("pastis")
    for record in open_benchmark("pastis", root):
        target = np.load(root / "PASTIS-R" / "ANNOTATIONS" / f"TARGET_{record['id']}.npy")[0]
        mask = record["mask"].numpy()
        assert (mask[target == 19] == 255).all() and (mask[target == 0] == 0).all()
        assert {0, 255} < set(np.unique(mask).tolist()) <= {*range(19), 255}


def test_only_minus_ten_thousand_is_no_data(miniature):
    root, _ = miniature("pastis")
    s2 = open_benchmark("pastis", root)[0]["s2"]
    assert s2[1, :, 8:16, 8:16].isnan().all() and s2.isnan().sum() == 10 * 64
    assert s2[0, 0, 0, 0] == -12


def test_the_ratio_of_radar_bands_is_dropped_and_half_precision_kept(miniature):
    root, _ = miniature("pastis")
    record = open_benchmark("pastis", root)[0]
    on_disk = np.load(root / "PASTIS-R" / "DATA_S1A" / "S1A_10000.npy")
    assert on_disk.shape[1] == 3 and on_disk.dtype == np.float16
    np.testing.assert_array_equal(record["s1"].numpy(), on_disk[:, :2].astype(np.float32))
    assert record["s1"].dtype == torch.float32


def test_dates_of_one_orbit_are_put_in_order():
    days = np.array(["2019-03-01", "2019-01-01", "2019-02-01"], "datetime64[D]")
    series, sorted_days = by_date([(torch.tensor([3.0, 1.0, 2.0]), days)])
    assert series.tolist() == [1, 2, 3] and (np.diff(sorted_days) > np.timedelta64(0)).all()


def test_orbits_are_chosen_or_joined_in_the_order_of_dates(miniature):
    root, _ = miniature("pastis")
    up, down, both = (open_benchmark("pastis", root, orbit=name)[0] for name in ("ascending", "descending", "both"))
    assert not np.isin(up["s1_date"], down["s1_date"]).any()
    assert len(both["s1"]) == len(up["s1"]) + len(down["s1"])
    assert (np.diff(both["s1_date"]) > np.timedelta64(0)).all()
    assert both["s1_date"].tolist() != [*up["s1_date"].tolist(), *down["s1_date"].tolist()], "nothing to sort"
    for one in (up, down):
        there = np.isin(both["s1_date"], one["s1_date"])
        assert torch.equal(both["s1"][there], one["s1"])
    np.testing.assert_array_equal(
        down["s1"].numpy(), np.load(root / "PASTIS-R" / "DATA_S1D" / "S1D_10000.npy")[:, :2].astype(np.float32)
    )
    with pytest.raises(ParameterError, match="Expected an orbit among ascending, descending, both, got 'up'"):
        open_benchmark("pastis", root, orbit="up")


def test_patches_have_series_of_their_own_length(miniature):
    root, _ = miniature("pastis")
    for name in ("s2", "s1"):
        found = [(len(record[name]), len(record[f"{name}_date"])) for record in open_benchmark("pastis", root)]
        assert len({images for images, _ in found}) > 1
        assert all(images == days for images, days in found)


def test_dates_are_a_table_or_its_text(own_copy):
    root = own_copy("pastis")
    wanted = open_benchmark("pastis", root)[0]["s2_date"]
    spellings = set()

    def spell(how):
        def change(content):
            properties = feature(content, 10000)["properties"]
            spellings.add(type(properties["dates-S2"]))
            table = {str(number): int(str(day).replace("-", "")) for number, day in enumerate(wanted)}
            properties["dates-S2"] = how(table)

        return change

    for how in (dict, json.dumps, str, lambda table: {key: str(day) for key, day in table.items()}):
        edit(root, spell(how))
        np.testing.assert_array_equal(open_benchmark("pastis", root)[0]["s2_date"], wanted)
    assert spellings == {dict, str}


def test_dates_follow_their_numbers_not_their_letters(tmp_path):
    table = {str(number): 20190101 + number for number in (10, 2, 1, 0, 11)}
    assert days_of(table, tmp_path, 1).tolist() == days_of(str(table), tmp_path, 1).tolist()
    assert [day.day for day in days_of(table, tmp_path, 1).tolist()] == [1, 2, 3, 11, 12]


@pytest.mark.parametrize(
    "text",
    ["{'0': int('20190101')}", "{'0': 20190231}", "{'0': 'spring'}", "{'first': 20190101}", "20190101", "{", None],
)
def test_dates_that_are_none_are_refused_and_never_run(own_copy, text):
    root = own_copy("pastis")
    edit(root, lambda content: feature(content, 10000)["properties"].update({"dates-S2": text}))
    with pytest.raises(DatasetError, match=r"Expected dates such as .* of patch 10000 in .*metadata.geojson"):
        open_benchmark("pastis", root)[0]


def test_more_dates_than_images_are_refused(own_copy):
    root = own_copy("pastis")
    path = root / "PASTIS-R" / "DATA_S2" / "S2_10000.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(DatasetError, match=r"Expected 5 dates of 10 bands .*S2_10000.npy, got \(4, 10, 32, 32\)"):
        open_benchmark("pastis", root)[0]
    radar = root / "PASTIS-R" / "DATA_S1A" / "S1A_10001.npy"
    np.save(radar, np.load(radar)[:, :2])
    with pytest.raises(DatasetError, match=r"Expected 3 dates of 3 bands .*S1A_10001.npy, got \(3, 2, 32, 32\)"):
        open_benchmark("pastis", root)[1]


def test_a_spot_image_is_there_or_not(own_copy):
    root = own_copy("pastis")
    records = list(open_benchmark("pastis", root))
    assert ["hr" in record for record in records] == [True, False, False]
    assert records[0]["hr"].shape == (1, 3, 320, 320) and np.isnat(records[0]["hr_date"]).all()
    shutil.rmtree(root / "PASTIS-R" / "DATA_SPOT")
    for before, after in zip(records, open_benchmark("pastis", root), strict=True):
        assert_same(after, {key: value for key, value in before.items() if not key.startswith("hr")})


def test_a_spot_image_of_another_kind_is_refused(own_copy):
    root = own_copy("pastis")
    path = next((root / "PASTIS-R" / "DATA_SPOT").rglob("*.tif"))
    with rasterio.open(path) as file:
        profile, values = file.profile, file.read().astype(np.uint16)
    with rasterio.open(path, "w", **(profile | {"dtype": "uint16"})) as file:
        file.write(values)
    with pytest.raises(
        DatasetError, match=r"Expected values from 0 to 255 in .*SPOT6_RVB_1M00_2019_10000.tif, got uint"
    ):
        open_benchmark("pastis", root)[0]


def test_georeference_comes_with_lambert_93_only(own_copy):
    root = own_copy("pastis")
    for crs in (None, {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}):
        edit(root, lambda content, crs=crs: content.update(crs=crs))
        edit(root, lambda content: [one.update(geometry=None) for one in content["features"]])
        assert not {"crs", "transform"} & open_benchmark("pastis", root)[0].keys()


@pytest.mark.parametrize("degrees", [0, 3, -5])
def test_an_outline_may_be_turned(degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = {
        name: turn @ at + (5000, 9000) for name, at in {"ul": (0, 1280), "ur": (1280, 1280), "ll": (0, 0)}.items()
    }
    ring = [corners["ll"], turn @ (1280, 0) + (5000, 9000), corners["ur"], corners["ul"], corners["ll"]]
    square = outline({"type": "Polygon", "coordinates": [[list(point) for point in ring]]})
    transform = grid(square, 128, 64)
    assert transform @ (0, 0) == pytest.approx(corners["ul"])
    assert transform @ (64, 0) == pytest.approx(corners["ur"])
    assert transform @ (0, 128) == pytest.approx(corners["ll"])


def test_patches_without_a_file_are_named_before_training(own_copy):
    root = own_copy("pastis")
    for folder, kind in (("DATA_S1A", "S1A"), ("DATA_S2", "S2"), ("ANNOTATIONS", "TARGET")):
        (root / "PASTIS-R" / folder / f"{kind}_10001.npy").unlink()
        with pytest.raises(DatasetError, match=f"Expected PASTIS-R/{folder}/{kind}_10001.npy, as in .*nor 0 others"):
            open_benchmark("pastis", root)
        assert len(open_benchmark("pastis", root, "val")) == 1
    shutil.rmtree(root / "PASTIS-R" / "DATA_S1D")
    assert len(open_benchmark("pastis", root, "val")) == 1
    with pytest.raises(DatasetError, match="Expected the folder PASTIS-R/DATA_S1D"):
        open_benchmark("pastis", root, "val", orbit="both")


def test_no_array_is_opened_before_a_patch_is_read(miniature, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("opened")

    root, _ = miniature("pastis")
    monkeypatch.setattr(np, "load", refuse)
    reader = open_benchmark("pastis", root)
    with pytest.raises(AssertionError, match="opened"):
        reader[0]


def test_the_folder_itself_may_be_the_root(miniature):
    root, truth = miniature("pastis")
    assert_round_trip([open_benchmark("pastis", root / "PASTIS-R", split) for split in SPLITS], truth)


def test_metadata_and_targets_of_another_kind_are_refused(own_copy, tmp_path):
    root = own_copy("pastis")
    target = root / "PASTIS-R" / "ANNOTATIONS" / "TARGET_10000.npy"
    layers = np.load(target)
    for wrong, said in ((layers[0], r"\(32, 32\)"), (layers + 1, r"\(3, 32, 32\) up to 20")):
        np.save(target, wrong)
        with pytest.raises(DatasetError, match=rf"Expected 3 H W with ids up to 19 in .*TARGET_10000.npy, got {said}"):
            open_benchmark("pastis", root)[0]
    np.save(target, np.array([{"not": "numbers"}], dtype=object))
    with pytest.raises(DatasetError, match=r"Expected a readable array at .*TARGET_10000.npy"):
        open_benchmark("pastis", root)[0]
    target.unlink()
    target.symlink_to(tmp_path / "elsewhere.npy")
    np.save(tmp_path / "elsewhere.npy", layers)
    with pytest.raises(DatasetError, match="outside of it"):
        open_benchmark("pastis", root)[0]
    edit(root, lambda content: feature(content, 20002)["properties"].pop("dates-S1A"))
    with pytest.raises(DatasetError, match=r"Expected features with ID_PATCH, Fold, dates .*KeyError\('dates-S1A'\)"):
        open_benchmark("pastis", root)
    (root / "PASTIS-R" / "metadata.geojson").write_text("{")
    with pytest.raises(DatasetError, match="Expected JSON in .*metadata.geojson"):
        open_benchmark("pastis", root)
    (root / "PASTIS-R" / "metadata.geojson").unlink()
    with pytest.raises(DatasetError, match="Expected PASTIS-R/metadata.geojson or .* got none of them"):
        open_benchmark("pastis", root)
