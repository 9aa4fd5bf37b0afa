"""OSCD: the common grid, the two forms of labels, three folders."""

import shutil

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError

TITLE = "Onera Satellite Change Detection dataset"
MODEL_ORDER = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]


def city(root, name="bercy"):
    return root / f"{TITLE} - Images" / name


def labels(root, name="bercy"):
    return root / f"{TITLE} - Train Labels" / name / "cm"


def test_what_was_written_is_read(miniature):
    root, truth = miniature("oscd")
    assert_round_trip([open_benchmark("oscd", root, split) for split in ("train", "test")], truth)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ten_of_thirteen_bands_come_in_model_order(miniature):
    root, _ = miniature("oscd")
    assert len(list((city(root) / "imgs_2_rect").iterdir())) == 13
    found = open_benchmark("oscd", root)[1]["s2"]
    assert found.shape == (2, 10, 60, 72) and found.dtype == torch.float32
    for number, name in enumerate(MODEL_ORDER):
        with rasterio.open(city(root) / "imgs_2_rect" / f"{name}.tif") as file:
            assert file.dtypes == ("uint16",) and file.crs is None
            np.testing.assert_array_equal(found[1, number].numpy(), file.read(1).astype(np.float32))


def test_native_bands_are_not_read(own_copy, miniature):
    root, (_, truth) = own_copy("oscd"), miniature("oscd")
    sizes = set()
    for folder in ("imgs_1", "imgs_2"):
        for path in (city(root) / folder).iterdir():
            with Image.open(path) as image:
                sizes.add(image.size)
        shutil.rmtree(city(root) / folder)
    assert {(72, 60), (71, 59), (36, 30), (12, 10)} <= sizes
    assert_same(open_benchmark("oscd", root)[1], truth["bercy"])


def test_values_above_the_signed_range_stay_positive(own_copy):
    root = own_copy("oscd")
    Image.fromarray(np.full((60, 72), 40_000, np.uint16)).save(city(root) / "imgs_1_rect/B02.tif")
    assert float(open_benchmark("oscd", root)[1]["s2"][0, 0].min()) == 40_000


def test_days_are_those_of_the_file(own_copy):
    root = own_copy("oscd")
    (city(root) / "dates.txt").write_text("date_2: 20180228\ndate_1: 20151208\n")
    wanted = np.array(["2015-12-08", "2018-02-28"], "datetime64[D]")
    np.testing.assert_array_equal(open_benchmark("oscd", root)[1]["s2_date"], wanted)


@pytest.mark.parametrize("text", ["date_1: 20151340\ndate_2: 20180228\n", "date_1: 20151208\n", "8 December", "\n"])
def test_days_that_are_none_are_named(own_copy, text):
    root = own_copy("oscd")
    (city(root) / "dates.txt").write_text(text)
    with pytest.raises(DatasetError, match=r"date_1: YYYYMMDD and date_2: YYYYMMDD in .*dates\.txt, got"):
        open_benchmark("oscd", root)[1]


def test_pictures_of_labels_are_grey_or_colour(miniature):
    root, truth = miniature("oscd")
    modes = {}
    for name in ("aguasclaras", "bercy"):
        with Image.open(labels(root, name) / "cm.png") as image:
            modes[name] = image.mode
            shown = np.asarray(image.convert("L")) > 0
        np.testing.assert_array_equal(truth[name]["mask"].numpy(), shown)
        assert 0 < shown.mean() < 0.5
    assert modes == {"aguasclaras": "RGB", "bercy": "L"}


@pytest.mark.parametrize("kept", ["cm.png", "bercy-cm.tif"])
def test_either_form_of_labels_will_do(own_copy, miniature, kept):
    root, (_, truth) = own_copy("oscd"), miniature("oscd")
    for path in list(labels(root).iterdir()):
        if path.name != kept:
            path.unlink()
    reader = open_benchmark("oscd", root)
    assert_same(reader[1], truth["bercy"])
    assert kept in {path.name for path in reader.files(reader.items[1])}


def test_labels_that_contradict_each_other_are_refused(own_copy):
    root = own_copy("oscd")
    with Image.open(labels(root) / "cm.png") as image:
        picture = np.asarray(image).copy()
    picture[0, 0] = 255 - picture[0, 0]
    Image.fromarray(picture).save(labels(root) / "cm.png")
    with pytest.raises(DatasetError, match=r"the same change in .*cm\.png and .*bercy-cm\.tif, got labels that differ"):
        open_benchmark("oscd", root)[1]


def test_labels_that_are_missing_or_of_other_values_are_named(own_copy):
    root = own_copy("oscd")
    Image.fromarray(np.zeros((60, 72), np.uint8)).save(labels(root) / "bercy-cm.tif")
    with pytest.raises(DatasetError, match=r"values 1 and 2 in .*bercy-cm\.tif, got 0 to 0"):
        open_benchmark("oscd", root)[1]
    for path in list(labels(root).iterdir()):
        path.unlink()
    with pytest.raises(DatasetError, match=r"the file .*Train Labels/bercy/cm/cm\.png in .*, got none"):
        open_benchmark("oscd", root)[1]


def test_sizes_that_differ_are_named(own_copy):
    root = own_copy("oscd")
    Image.fromarray(np.ones((60, 71), np.uint16)).save(city(root) / "imgs_2_rect/B8A.tif")
    with pytest.raises(DatasetError, match=r"\(60, 72\) as in B02\.tif, got \(60, 71\) in .*imgs_2_rect/B8A\.tif"):
        open_benchmark("oscd", root)[1]
    Image.fromarray(np.ones((59, 72), np.uint8)).save(labels(root, "aguasclaras") / "aguasclaras-cm.tif")
    (labels(root, "aguasclaras") / "cm.png").unlink()
    with pytest.raises(DatasetError, match="one size of labels and images of aguasclaras"):
        open_benchmark("oscd", root)[0]


def test_lists_stand_between_commas_with_or_without_blanks(own_copy):
    root = own_copy("oscd")
    assert (root / f"{TITLE} - Images/train.txt").read_text() == "aguasclaras,bercy\n"
    (root / f"{TITLE} - Images/train.txt").write_text("bercy, aguasclaras,\n")
    assert [record["id"] for record in open_benchmark("oscd", root)] == ["bercy", "aguasclaras"]


def test_a_missing_archive_or_band_is_named(own_copy):
    root = own_copy("oscd")
    (city(root) / "imgs_1_rect/B12.tif").unlink()
    with pytest.raises(DatasetError, match=r"the file .*bercy/imgs_1_rect/B12\.tif in .*, got none"):
        open_benchmark("oscd", root)[1]
    shutil.rmtree(root / f"{TITLE} - Test Labels")
    with pytest.raises(DatasetError, match="Expected Onera Satellite Change Detection dataset - Test Labels or"):
        open_benchmark("oscd", root, "test")


@pytest.mark.parametrize(
    ("images", "train"),
    [
        ("onera_satellite_change_detection dataset__images", "onera_satellite_change_detection dataset__train_labels"),
        ("OneraDataset_Images", "OneraDataset_TrainLabels"),
    ],
)
def test_copies_that_name_the_folders_otherwise_are_read(own_copy, miniature, images, train):
    root, (_, truth) = own_copy("oscd"), miniature("oscd")
    (root / f"{TITLE} - Images").rename(root / images)
    (root / f"{TITLE} - Train Labels").rename(root / train)
    for record in open_benchmark("oscd", root):
        assert_same(record, truth[record["id"]])


def test_a_list_does_not_lead_out_of_the_folder(own_copy):
    root = own_copy("oscd")
    shutil.copytree(city(root), root.parent / "elsewhere")
    (root / f"{TITLE} - Images/train.txt").write_text("../../elsewhere\n")
    with pytest.raises(DatasetError, match="Expected files inside"):
        open_benchmark("oscd", root)[0]
