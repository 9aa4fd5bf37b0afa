"""DynamicEarthNet: three benchmarks on one tree whose real copies spell everything in two ways."""

import shutil
import warnings
from datetime import date

import numpy as np
import pytest
import rasterio
import torch
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.dynamic_earth_net_tree import read_label
from skysense_nb.data.catalog import benchmark
from skysense_nb.errors import DatasetError, ParameterError

pytestmark = pytest.mark.filterwarnings("ignore:.*left out:UserWarning", "ignore:Dataset has no geotransform")
SPLITS = ("train", "val", "test")
UNLABELLED = "17N-81W-29N-L3H-SR-2018-03-01.tif 2018-03"
PLANET_1417 = "planet/11N/23E-141N/1417_3281_13"


def records(name, root, split="train", **options):
    return {record["id"]: record for record in open_benchmark(name, root, split, **options)}


def stored(path):
    with rasterio.open(path) as file:
        return file.read()


def rewrite(path, values, **changes):
    """A GeoTIFF in place of another, with its profile."""
    with rasterio.open(path) as file:
        profile = file.profile | {"count": len(values), "height": values.shape[1], "width": values.shape[2]} | changes
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)


@pytest.mark.parametrize("name", ["dyna_pla", "dyna_s2", "dyna_mm"])
def test_what_was_written_is_read(miniature, name):
    root, truth = miniature(name)
    assert_round_trip([open_benchmark(name, root, split) for split in SPLITS], truth)


@pytest.mark.parametrize("name", ["dyna_pla", "dyna_s2", "dyna_mm"])
def test_copies_of_the_miniature_are_small(miniature, name):
    assert sum(path.stat().st_size for path in miniature(name)[0].rglob("*") if path.is_file()) < 1.5e6


def test_planet_comes_as_red_green_blue_and_near_infrared(miniature):
    root, _ = miniature("dyna_pla")
    blue, green, red, near_infrared = stored(root / PLANET_1417 / "PF-SR" / "2018-01-01.tif").astype(np.float32)
    found = records("dyna_pla", root)["1417_3281_13_2018-01"]["hr"][0].numpy()
    np.testing.assert_array_equal(found, [red, green, blue, near_infrared])
    assert found.dtype == np.float32


def test_a_month_may_be_seen_on_one_day_six_days_or_all(miniature):
    root, _ = miniature("dyna_pla")
    folder = root / PLANET_1417 / "PF-SR"
    for days, expected in (
        ("single", [1]),
        ("weekly", [1, 5, 10, 15, 20, 25]),
        ("daily", [1, 5, 10, 15, 20, 25, 28]),
    ):
        record = records("dyna_pla", root, days=days)["1417_3281_13_2018-01"]
        assert record["hr_date"].tolist() == [date(2018, 1, day) for day in expected]
        for day, image in zip(expected, record["hr"], strict=True):
            np.testing.assert_array_equal(image.numpy(), stored(folder / f"2018-01-{day:02d}.tif")[[2, 1, 0, 3]])
    assert len(records("dyna_pla", root, days="daily")["1417_3281_13_2018-02"]["hr_date"]) == 6


def test_snow_is_ignored_and_a_pixel_without_any_class_is_impervious(miniature):
    root, _ = miniature("dyna_pla")
    folder = root / "labels/1417_3281_13_11N/Raster/11N-117W-33N-L3H-SR"
    bands = stored(folder / "11N-117W-33N-L3H-SR-2018_01_01.tif")
    mask = records("dyna_pla", root)["1417_3281_13_2018-01"]["mask"].numpy()
    snow, unset = bands[6] == 255, (bands == 0).all(0)
    assert snow.any() and unset.any()
    assert (mask[snow] == 255).all() and (mask[unset] == 0).all() and (mask[~snow] < 6).all()
    others = ~snow & ~unset
    np.testing.assert_array_equal(mask[others], bands.argmax(0)[others])


def test_where_two_classes_are_set_the_last_counts(tmp_path):
    bands = np.zeros((7, 1, 3), np.uint8)
    bands[[1, 4], 0, 0] = bands[[4, 6], 0, 1] = bands[[0, 3, 5], 0, 2] = 255
    with rasterio.open(tmp_path / "label.tif", "w", driver="GTiff", count=7, height=1, width=3, dtype="uint8") as file:
        file.write(bands)
    mask, place = read_label(tmp_path / "label.tif")
    assert mask.tolist() == [[4, 255, 5]] and place == {}


def test_spellings_of_real_copies_make_no_difference(own_copy):
    root = own_copy("dyna_pla")
    before = records("dyna_pla", root)
    labels = root / "labels"
    (labels / "2235_3403_13-17N").rename(labels / "2235_3403_13_17N")
    (labels / "6468_3360_13_48N").rename(labels / "6468_3360_13-48N")
    plain = labels / "1417_3281_13_11N" / "Raster"
    (labels / "1417_3281_13_11N" / "Labels").mkdir()
    plain.rename(labels / "1417_3281_13_11N" / "Labels" / "Raster")
    for path in labels.rglob("*-2018_01_01.tif"):
        path.rename(path.with_name(path.name.replace("2018_01_01", "2018-01-01")))
    for path in list(root.rglob("*.aux.xml")):
        path.unlink()
    (labels / "._2235_3403_13_17N").write_text("of another system")
    after = records("dyna_pla", root)
    assert before.keys() == after.keys()
    for name, record in after.items():
        assert_same(record, before[name])


def test_the_miniature_has_the_odd_spellings(miniature):
    labels = miniature("dyna_pla")[0] / "labels"
    names = [path.relative_to(labels).as_posix() for path in labels.rglob("*.tif")]
    assert any(name.startswith("1417_3281_13_11N/Raster/") for name in names)
    assert any(name.startswith("2235_3403_13-17N/Labels/") for name in names)
    assert any(name.endswith("2018-01-01.tif") for name in names)
    assert any(name.endswith("2018_01_01.tif") for name in names)
    assert list(labels.rglob("*.tif.aux.xml"))


def test_cubes_with_the_same_raster_name_keep_their_own_labels(miniature):
    root, truth = miniature("dyna_pla")
    one, other = (root / "labels" / f"{cube}_48N" / "Labels/Raster" for cube in ("6468_3360_13", "6475_3361_13"))
    assert [path.name for path in one.iterdir()] == [path.name for path in other.iterdir()]
    found = records("dyna_pla", root)
    masks = [found[f"{cube}_2018-01"]["mask"] for cube in ("6468_3360_13", "6475_3361_13")]
    assert not torch.equal(*masks)
    assert torch.equal(masks[0], truth["6468_3360_13_2018-01"]["mask"])


def test_paths_in_the_lists_are_not_taken_as_they_stand(own_copy):
    root = own_copy("dyna_pla")
    before = list(records("dyna_pla", root))
    path = root / "dynnet_training_splits" / "train.txt"
    text = path.read_text()
    assert text.startswith("/reprocess-cropped/UTM-24000/") and not (root / "reprocess-cropped").exists()
    for other in ("/planet/", "planet/", "/", "/etc/../../"):
        path.write_text(text.replace("/reprocess-cropped/UTM-24000/", other))
        assert list(records("dyna_pla", root)) == before
    (root / "reprocess-cropped").mkdir()
    (root / "planet").rename(root / "reprocess-cropped" / "UTM-24000")
    assert list(records("dyna_pla", root)) == before


def test_a_listed_month_counts_once_and_one_without_a_label_is_left_out(own_copy):
    root = own_copy("dyna_pla")
    path = root / "dynnet_training_splits" / "train.txt"
    assert (
        f"/2235_3403_13/PF-SR /labels/2235_3403_13-17N/Labels/Raster/17N-81W-29N-L3H-SR/{UNLABELLED}"
        in path.read_text()
    )
    path.write_text(path.read_text() * 2)
    with pytest.warns(UserWarning, match="Dyna.-Pla. train: left out 1 months without a label"):
        reader = open_benchmark("dyna_pla", root)
    assert len(reader) == 9 and reader.gaps == {"months without a label": 1}


def test_cubes_are_counted_and_the_splits_share_none(miniature):
    root, _ = miniature("dyna_mm")
    readers = [open_benchmark("dyna_mm", root, split) for split in SPLITS]
    cubes = [{record["id"][:-8] for record in reader} for reader in readers]
    assert [reader.counted() for reader in readers] == [len(one) for one in cubes] == [4, 1, 1]
    assert len(set.union(*cubes)) == 6
    assert "4 of 55 cubes of train" in readers[0].verify(1).problems


def test_a_cube_in_two_lists_is_refused(own_copy):
    root = own_copy("dyna_pla")
    lists = root / "dynnet_training_splits"
    val = (lists / "val.txt").read_text()
    (lists / "val.txt").write_text(val + (lists / "train.txt").read_text().splitlines()[0])
    for split in ("train", "val"):
        with pytest.raises(DatasetError, match="Expected cube 1417_3281_13 in one list"):
            open_benchmark("dyna_pla", root, split)
    assert len(open_benchmark("dyna_pla", root, "test")) == 2


def test_without_lists_train_is_the_labelled_cubes_of_the_catalogue(own_copy):
    root = own_copy("dyna_pla")
    listed = records("dyna_pla", root).keys()
    shutil.rmtree(root / "dynnet_training_splits")
    with pytest.warns(UserWarning, match="no folder dynnet_training_splits, so train is every labelled cube"):
        found = records("dyna_pla", root)
    assert found.keys() == listed
    assert {name[:-8] for name in found} <= set(benchmark("dyna_pla").labelled_cubes)
    for split in ("val", "test"):
        with pytest.raises(DatasetError, match=f"Expected the list of cubes for {split} in .*got no folder dynnet"):
            open_benchmark("dyna_pla", root, split)


def test_a_missing_list_beside_others_is_named(own_copy):
    root = own_copy("dyna_pla")
    (root / "dynnet_training_splits" / "train.txt").unlink()
    with pytest.raises(DatasetError, match="Expected the file dynnet_training_splits/train.txt"):
        open_benchmark("dyna_pla", root)


def test_cubes_without_planet_images_are_left_out_and_counted(own_copy):
    root = own_copy("dyna_pla")
    shutil.rmtree(root / PLANET_1417)
    reader = open_benchmark("dyna_pla", root)
    assert reader.gaps == {"months without Planet images": 3, "months without a label": 1}
    assert reader.counted() == 3


def test_a_week_with_a_missing_day_is_refused_not_shortened(own_copy):
    root = own_copy("dyna_pla")
    (root / PLANET_1417 / "PF-SR" / "2018-01-10.tif").unlink()
    reader = open_benchmark("dyna_pla", root, days="weekly")
    with pytest.raises(DatasetError, match="of 2018-01 of cube 1417_3281_13, got 2018-01-01.tif, 2018-01-05.tif"):
        reader[0]
    assert len(open_benchmark("dyna_pla", root)[0]["hr"]) == 1


def test_bands_of_sentinel_2_are_found_by_their_names(own_copy):
    root = own_copy("dyna_s2")
    before = records("dyna_s2", root)
    names = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"]
    order = np.random.default_rng(0).permutation(12)
    for path in root.glob("sentinel2/*/*.tif"):
        rewrite(path, stored(path)[order])
    after = records("dyna_s2", root, s2_bands=[names[number] for number in order])
    for name, record in after.items():
        assert_same(record, before[name])
    assert not torch.equal(records("dyna_s2", root)[name]["s2"], before[name]["s2"])
    with pytest.raises(ParameterError, match="got none named B8A"):
        open_benchmark("dyna_s2", root, s2_bands=[name for name in names if name != "B8A"])
    with pytest.raises(DatasetError, match=r"Expected 13 bands in .*2018_01.tif, got 12"):
        open_benchmark("dyna_s2", root, s2_bands=[*names, "B10"])[0]


def test_composites_may_carry_the_cube_in_their_name(own_copy):
    root = own_copy("dyna_s2")
    before = records("dyna_s2", root)
    for path in list(root.glob("sentinel2/*/*.tif")):
        path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
    after = records("dyna_s2", root)
    assert before.keys() == after.keys()
    for name, record in after.items():
        assert_same(record, before[name])


def test_months_without_a_composite_are_left_out_and_counted(miniature):
    root, _ = miniature("dyna_s2")
    with pytest.warns(UserWarning, match="Dyna.-S2 train: left out 1 months without a Sentinel-2 composite"):
        reader = open_benchmark("dyna_s2", root)
    found = [record["id"] for record in reader]
    assert "1417_3281_13_2018-02" not in found and {"1417_3281_13_2018-01", "1417_3281_13_2018-03"} <= set(found)


def test_no_data_of_a_file_becomes_nan(own_copy):
    root = own_copy("dyna_s2")
    path = root / "sentinel2/1417_3281_13/2018_01.tif"
    values = stored(path)
    values[:, 3, 4] = -1
    rewrite(path, values, nodata=-1)
    s2 = records("dyna_s2", root)["1417_3281_13_2018-01"]["s2"][0]
    assert s2[:, 3, 4].isnan().all() and s2.isnan().sum() == 10


def test_two_of_the_eight_radar_bands_are_taken(miniature):
    root, truth = miniature("dyna_mm")
    for name, record in records("dyna_mm", root).items():
        torch.testing.assert_close(record["s1"], truth[name]["s1"], rtol=0, atol=0)
    other = next(iter(records("dyna_mm", root, s1_bands=(7, 4)).values()))["s1"][0]
    assert (other[0] == 7).all() and (other[1] == 4).all()
    for wrong in ((0, 1), (1, 9), (1,)):
        with pytest.raises(ParameterError, match="s1_bands as two numbers from 1 to 8"):
            open_benchmark("dyna_mm", root, s1_bands=wrong)


def test_a_month_without_one_of_three_sensors_may_be_kept(miniature):
    root, truth = miniature("dyna_mm")
    kept, skipped = (records("dyna_mm", root, missing=missing) for missing in ("keep", "skip"))
    assert kept.keys() - skipped.keys() == {"1417_3281_13_2018-02", "6468_3360_13_2018-01"}
    sensors = {name: {"hr", "s2", "s1"} & record.keys() for name, record in kept.items()}
    assert sensors["1417_3281_13_2018-02"] == {"hr", "s1"} and sensors["6468_3360_13_2018-01"] == {"hr", "s2"}
    assert all(sensors[name] == {"hr", "s2", "s1"} for name in skipped)
    assert not {f"{name}_date" for name in ("s2",)} & kept["1417_3281_13_2018-02"].keys()
    for name, record in skipped.items():
        assert_same(record, truth[name])


def test_a_month_with_no_sensor_at_all_is_never_kept(own_copy):
    root = own_copy("dyna_mm")
    for path in ("planet/48N/23E-646N/6468_3360_13/PF-SR/2018-01-01.tif", "sentinel2/6468_3360_13/2018_01.tif"):
        (root / path).unlink()
    assert "6468_3360_13_2018-01" not in records("dyna_mm", root, missing="keep")


def test_change_gives_all_months_of_a_cube(miniature):
    root, _ = miniature("dyna_s2")
    months, cubes = records("dyna_s2", root), records("dyna_s2", root, task="change")
    assert list(cubes) == ["1417_3281_13", "2235_3403_13", "6468_3360_13", "6475_3361_13"]
    for cube, record in cubes.items():
        assert record["s2"].shape == (len(record["mask"]), 10, 64, 64)
        for number, day in enumerate(record["s2_date"]):
            month = f"{cube}_{day.astype('datetime64[M]')}"
            assert day == day.astype("datetime64[M]")
            if month in months:
                assert torch.equal(record["s2"][number], months[month]["s2"][0])
                assert torch.equal(record["mask"][number], months[month]["mask"])
                assert (record["crs"], record["transform"]) == (months[month]["crs"], months[month]["transform"])
    assert open_benchmark("dyna_s2", root, task="change").counted() == 4


def test_a_month_without_a_composite_keeps_its_place_in_change(miniature):
    root, _ = miniature("dyna_s2")
    record = records("dyna_s2", root, task="change")["1417_3281_13"]
    assert record["s2_date"].tolist() == [date(2018, 1, 1), date(2018, 2, 1), date(2018, 3, 1)]
    assert [image.isnan().all().item() for image in record["s2"]] == [False, True, False]
    assert not record["s2"][[0, 2]].isnan().any()
    changes = (record["mask"][1:] != record["mask"][:-1]).sum(0)
    assert (changes == 2).any() and (changes == 1).any() and (changes == 0).any()


def test_change_comes_in_the_order_of_months_and_without_cubes_that_were_never_seen(own_copy):
    root = own_copy("dyna_s2")
    path = root / "dynnet_training_splits" / "train.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    shutil.rmtree(root / "sentinel2/6468_3360_13")
    reader = open_benchmark("dyna_s2", root, task="change")
    assert [item[0].cube for item in reader.items] == ["6475_3361_13", "2235_3403_13", "1417_3281_13"]
    assert all((np.diff(record["s2_date"]) > np.timedelta64(0)).all() for record in reader)
    assert reader.gaps["cubes without a Sentinel-2 composite"] == 1
    assert {file.suffix for file in reader.files(reader.items[0])} == {".tif"}
    assert len(reader.files(reader.items[2])) == 5


def test_no_image_is_opened_before_a_sample_is_read(miniature, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("opened")

    root, _ = miniature("dyna_mm")
    monkeypatch.setattr(rasterio, "open", refuse)
    reader = open_benchmark("dyna_mm", root, days="daily")
    with pytest.raises(AssertionError, match="opened"):
        reader[0]


def test_labels_without_a_crs_give_none(own_copy):
    root = own_copy("dyna_pla")
    path = next(root.glob("labels/1417_3281_13_11N/Raster/*/*2018_01_01.tif"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rewrite(path, stored(path), crs=None, transform=None)
    assert records("dyna_pla", root)["1417_3281_13_2018-01"].keys() == {"id", "hr", "hr_date", "mask"}


def test_labels_that_are_not_the_official_ones_are_refused(own_copy):
    root = own_copy("dyna_pla")
    path = next(root.glob("labels/1417_3281_13_11N/Raster/*/*2018_01_01.tif"))
    bands = stored(path)
    for wrong, said in (
        (bands // 255, r"Expected 0 and 255 in the bands of .*2018_01_01.tif, got \[1\]"),
        (bands[:6], r"Expected 7 bands in .*2018_01_01.tif, got 6"),
        (bands[:, :60], r"2018_01_01.tif as 64×64, like the other files of its cube, got 60×64"),
    ):
        rewrite(path, wrong)
        with pytest.raises(DatasetError, match=said):
            open_benchmark("dyna_pla", root)[0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DatasetError, match="Expected a readable raster at .*2018_01_01.tif"):
        open_benchmark("dyna_pla", root)[0]


def test_names_without_a_date_or_with_the_same_one_are_refused(own_copy):
    root = own_copy("dyna_s2")
    folder = root / "sentinel2" / "1417_3281_13"
    january = folder / "2018_01.tif"
    for name, said in (
        (
            "2018_13.tif",
            "Expected a date such as .* at the end of a raster's name, got sentinel2/1417_3281_13/2018_13.tif",
        ),
        ("mosaic.tif", "got sentinel2/1417_3281_13/mosaic.tif"),
        ("1417_3281_13_2018_01.tif", "Expected one raster of 2018-01-01 in sentinel2/1417_3281_13"),
    ):
        shutil.copy(january, folder / name)
        with pytest.raises(DatasetError, match=said):
            open_benchmark("dyna_s2", root)
        (folder / name).unlink()


def test_half_a_tree_is_named(own_copy):
    root = own_copy("dyna_mm")
    shutil.rmtree(root / "sentinel1")
    with pytest.raises(DatasetError, match="Expected the folder sentinel1 in"):
        open_benchmark("dyna_mm", root)
    shutil.rmtree(root / PLANET_1417 / "PF-SR")
    with pytest.raises(DatasetError, match="Expected the folder planet/11N/23E-141N/1417_3281_13/PF-SR"):
        open_benchmark("dyna_pla", root)
    shutil.rmtree(root / "planet")
    with pytest.raises(DatasetError, match="Expected planet or reprocess-cropped/UTM-24000 in"):
        open_benchmark("dyna_pla", root)
    shutil.rmtree(root / "labels/1417_3281_13_11N/Raster")
    with pytest.raises(DatasetError, match="Labels/Raster or labels/1417_3281_13_11N/Raster in"):
        open_benchmark("dyna_s2", root)
    shutil.rmtree(root / "labels")
    with pytest.raises(DatasetError, match="Expected the folder labels in"):
        open_benchmark("dyna_s2", root)


def test_lists_of_another_kind_are_refused(own_copy):
    root = own_copy("dyna_pla")
    path = root / "dynnet_training_splits" / "train.txt"
    for line in ("1417_3281_13", "/planet/11N/x/cube/PF-SR /labels/y 2018-01", "/a/1417_3281_13/PF-SR /b January"):
        path.write_text(line)
        with pytest.raises(DatasetError, match="Expected lines of .* and YYYY-MM in .*train.txt, got"):
            open_benchmark("dyna_pla", root)


def test_links_out_of_the_root_are_refused(own_copy, tmp_path):
    root = own_copy("dyna_pla")
    (root / PLANET_1417).rename(tmp_path / "elsewhere")
    (root / PLANET_1417).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="outside of it"):
        open_benchmark("dyna_pla", root)


def test_unknown_options_are_refused(miniature):
    root, _ = miniature("dyna_mm")
    with pytest.raises(ParameterError, match="Expected days among single, weekly, daily, got 'hourly'"):
        open_benchmark("dyna_mm", root, days="hourly")
    with pytest.raises(ParameterError, match="Expected missing among skip, keep"):
        open_benchmark("dyna_mm", root, missing="guess")
    with pytest.raises(ParameterError, match="a task of segmentation or change"):
        open_benchmark("dyna_s2", root, task="detection")
