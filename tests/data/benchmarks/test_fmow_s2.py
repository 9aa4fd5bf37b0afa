"""fMoW-S2: paths made from a list, thirteen bands, sizes that differ, locations counted anew."""

import numpy as np
import pytest
import rasterio
import torch
from records import assert_round_trip

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError, ParameterError

SPLITS = ("train", "val", "test_gt")


def replace_in(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_was_written_is_read(miniature):
    root, truth = miniature("fmow_s2")
    assert_round_trip([open_benchmark("fmow_s2", root, split) for split in SPLITS], truth)


def test_ten_of_thirteen_bands_are_given_in_model_order(miniature):
    root, _ = miniature("fmow_s2")
    reader = open_benchmark("fmow_s2", root)
    with rasterio.open(reader.files(reader.items[0])[0]) as file:
        stored = file.read([2, 3, 4, 5, 6, 7, 8, 9, 12, 13]).astype(np.float32)
        assert file.count == 13 and file.read(11).mean() < 20  # B10, which must not be among them
    np.testing.assert_array_equal(reader[0]["s2"][0], stored)
    assert reader[0]["s2"].dtype == torch.float32


def test_images_of_one_location_keep_their_sizes(miniature):
    root, _ = miniature("fmow_s2")
    sizes = {record["s2"].shape[-2:] for record in open_benchmark("fmow_s2", root) if "airport_0_" in record["id"]}
    assert sizes == {(46, 44), (45, 44), (46, 47)}


def test_a_series_holds_all_dates_of_one_location_cut_from_the_upper_left(miniature):
    root, _ = miniature("fmow_s2")
    images = list(open_benchmark("fmow_s2", root))
    series = list(open_benchmark("fmow_s2", root, series=True))
    assert [one["id"] for one in series] == [
        "train/airport_0",
        "train/airport_1",
        "train/crop_field_0",
        "train/crop_field_1",
    ]
    for one in series:
        assert one["s2"].shape == (3, 10, 45, 44)
        assert list(map(str, one["s2_date"])) == ["2016-03-12", "2017-06-13", "2018-09-02"]
        assert one["label"] == (0 if one["names"] == "airport" else 11)
        for moment, date in enumerate(one["s2_date"]):
            (image,) = [i for i in images if i["id"].rsplit("_", 1)[0] == one["id"] and i["s2_date"][0] == date]
            torch.testing.assert_close(one["s2"][moment], image["s2"][0, :, :45, :44], rtol=0, atol=0)
            assert one["transform"] == image["transform"]


def test_a_share_takes_whole_locations_of_every_category(own_copy):
    root = own_copy("fmow_s2")
    drawn = [record["id"] for record in open_benchmark("fmow_s2", root, share=0.5)]
    places = {name.rsplit("_", 1)[0] for name in drawn}
    assert len(drawn) == 6 and {name[:-2] for name in places} == {"train/airport", "train/crop_field"}
    assert open_benchmark("fmow_s2", root, share=0.5).counted() == 12
    assert len(open_benchmark("fmow_s2", root, share=0.5, series=True)) == 2
    assert {record["id"] for record in open_benchmark("fmow_s2", root, share=0.5, series=True)} == places
    assert len(open_benchmark("fmow_s2", root, "val", share=0.5)) == 4
    assert (root / ".skysense_nb" / "fmow_s2-0.5-seed0.json").exists()


def test_a_missing_image_is_named_when_it_is_read(own_copy):
    root = own_copy("fmow_s2")
    (root / "fmow-sentinel/train/airport/airport_1/airport_1_2.tif").unlink()
    reader = open_benchmark("fmow_s2", root)
    assert len(reader) == 12
    with pytest.raises(DatasetError, match="the file fmow-sentinel/train/airport/airport_1/airport_1_2.tif"):
        list(reader)


def test_lists_may_lie_inside_the_folder(own_copy):
    root = own_copy("fmow_s2")
    (root / "val.csv").rename(root / "fmow-sentinel" / "val.csv")
    assert len(open_benchmark("fmow_s2", root, "val")) == 4


def test_values_that_are_fractions_or_missing_stay(own_copy):
    root = own_copy("fmow_s2")
    path = root / "fmow-sentinel/train/airport/airport_0/airport_0_0.tif"
    with rasterio.open(path) as file:
        values, profile = file.read().astype(np.float32) + 0.25, file.profile
    values[:, 3, 4] = np.nan
    with rasterio.open(path, "w", **profile | {"dtype": "float32"}) as file:
        file.write(values)
    image = open_benchmark("fmow_s2", root)[0]["s2"][0]
    assert image[:, 3, 4].isnan().all() and image.isnan().sum() == 10
    assert image[0, 0, 0] == values[1, 0, 0] and image[0, 0, 0] % 1 == 0.25


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0,airport", "0,false_detection", "a category in .*train.csv, got 'false_detection' in row 1"),
        ("2017-06-13T", "2017-06-31T", "a timestamp that begins YYYY-MM-DD in .*, got '2017-06-31T.*' in row 2"),
        ("2017-06-13T10:30:05Z", "", "a timestamp that begins YYYY-MM-DD in .*, got '' in row 2"),
        ("airport,0,0", "airport,zero,0", "category, location_id, image_id, timestamp, with whole numbers"),
        ("image_id", "number", "category, location_id, image_id, timestamp, with whole numbers"),
    ],
)
def test_a_list_that_is_wrong_is_named_with_its_row(own_copy, old, new, message):
    root = own_copy("fmow_s2")
    replace_in(root / "train.csv", old, new)
    with pytest.raises(DatasetError, match=message):
        open_benchmark("fmow_s2", root)


def test_days_are_read_whatever_follows_them(own_copy):
    root = own_copy("fmow_s2")
    replace_in(root / "train.csv", "2018-09-02T10:30:05Z", "2018-09-02 10:30:05.123+00:00")
    assert str(open_benchmark("fmow_s2", root)[0]["s2_date"][0]) == "2018-09-02"


def test_other_numbers_of_bands_missing_folders_and_shares_are_refused(own_copy):
    root = own_copy("fmow_s2")
    path = root / "fmow-sentinel/train/airport/airport_0/airport_0_0.tif"
    with rasterio.open(path) as file:
        values, profile = file.read()[:12], file.profile
    with rasterio.open(path, "w", **profile | {"count": 12}) as file:
        file.write(values)
    with pytest.raises(DatasetError, match="13 bands in .*airport_0_0.tif, got 12"):
        open_benchmark("fmow_s2", root)[0]
    (root / "fmow-sentinel" / "val").rename(root / "fmow-sentinel" / "validation")
    with pytest.raises(DatasetError, match="the folder fmow-sentinel/val"):
        open_benchmark("fmow_s2", root, "val")
    with pytest.raises(ParameterError, match="a share above 0"):
        open_benchmark("fmow_s2", root, share=0)
