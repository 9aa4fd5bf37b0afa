"""iSAID: classes as exact colours, instance numbers in three bytes, whole images and patches."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.color_masks import ids_of_colors
from skysense_nb.data.benchmarks.isaid import crop_windows
from skysense_nb.data.catalog import benchmark
from skysense_nb.errors import DatasetError, ParameterError


def test_what_was_written_is_read_from_whole_images_and_from_patches(miniature):
    root, truth = miniature("isaid")
    whole = [open_benchmark("isaid", root, split) for split in ("train", "val", "test")]
    cut = [open_benchmark("isaid", root, split, patches="patches") for split in ("train", "val")]
    assert_round_trip(whole + cut, truth)
    assert "mask" not in whole[-1][0]


def test_every_color_becomes_its_class(miniature):
    root, truth = miniature("isaid")
    path = root / "train/images/P0002_instance_color_RGB.png"
    colors = np.asarray(Image.open(path))
    mask = open_benchmark("isaid", root)[0]["mask"].numpy()
    names = benchmark("isaid").class_names
    for color, name in {(0, 63, 63): "store_tank", (0, 191, 127): "Roundabout", (0, 0, 63): "ship"}.items():
        where = (colors == color).all(axis=-1)
        assert where.any() and {names[number] for number in np.unique(mask[where])} == {name}
    assert set(np.unique(mask)) == set(range(16))


def test_a_color_that_is_no_class_is_named(own_copy):
    root = own_copy("isaid")
    path = root / "train/images/P0002_instance_color_RGB.png"
    colors = np.asarray(Image.open(path)).copy()
    colors[50, 60] = (0, 63, 64)
    Image.fromarray(colors).save(path)
    with pytest.raises(DatasetError, match=r"in .*P0002_instance_color_RGB.png, got \(0, 63, 64\) in 1 of 48000"):
        open_benchmark("isaid", root)[0]


def test_colors_are_looked_up_as_a_slow_loop_does():
    dice = np.random.default_rng(0)
    ids = {(0, 0, 63): 1, (63, 0, 0): 2, (0, 63, 0): 0, (255, 255, 255): 255}
    choices = np.array([*ids, (1, 2, 3)], np.uint8)
    image = choices[dice.integers(0, 5, (7, 9))].transpose(2, 0, 1)
    found = ids_of_colors(image, ids, Path("mask.png"), others=9)
    slow = [[ids.get(tuple(image[:, row, column].tolist()), 9) for column in range(9)] for row in range(7)]
    assert found.dtype == torch.int64 and found.tolist() == slow


def test_background_is_scored_or_ignored_and_other_ids_stay(miniature):
    root, _ = miniature("isaid")
    for patches in (None, "patches"):
        scored, ignored = (
            open_benchmark("isaid", root, patches=patches, background=background)[0]["mask"]
            for background in ("scored", "ignored")
        )
        assert (scored == 0).any() and not (ignored == 0).any()
        torch.testing.assert_close(ignored, torch.where(scored == 0, 255, scored))


def test_instance_numbers_use_all_three_bytes_and_small_ones_are_none(miniature):
    root, _ = miniature("isaid")
    stored = np.asarray(Image.open(root / "train/images/P0002_instance_id_RGB.png")).tolist()
    slow = torch.tensor([[red + 256 * green + 65536 * blue for red, green, blue in row] for row in stored])
    assert {998, 999, 1000} <= set(slow.flatten().tolist()) and slow.max() > 65536
    found = open_benchmark("isaid", root, instances=True)[0]["instance"]
    torch.testing.assert_close(found, torch.where(slow < 1000, 0, slow), rtol=0, atol=0)


def test_masks_may_lie_where_their_archives_unpack_to(own_copy):
    root = own_copy("isaid")
    before = list(open_benchmark("isaid", root, instances=True))
    for kind, ending in (("Semantic", "color"), ("Instance", "id")):
        folder = root / "train" / f"{kind}_masks" / "images"
        folder.mkdir(parents=True)
        for path in (root / "train" / "images").glob(f"*_instance_{ending}_RGB.png"):
            shutil.move(path, folder)
    for one, other in zip(before, open_benchmark("isaid", root, instances=True), strict=True):
        assert_same(other, one)


def test_the_root_may_be_above_or_hold_patches_only(own_copy):
    root = own_copy("isaid")
    patches = open_benchmark("isaid", root / "patches")
    assert [record["id"] for record in patches] == ["P0002_0_896_0_896", "P0010_0_896_0_896"]
    for folder in ("img_dir", "ann_dir"):
        (root / "patches" / folder).rename(root / folder)
    assert [record["id"] for record in open_benchmark("isaid", root)] == ["P0002", "P0010"]  # whole ones go first
    assert len(open_benchmark("isaid", root, patches=".")) == 2
    root.rename(root.parent / "iSAID")
    assert len(open_benchmark("isaid", root.parent)) == 2


def test_patches_hold_ids_in_a_palette_and_255_in_their_border(miniature):
    root, _ = miniature("isaid")
    record = open_benchmark("isaid", root, patches="patches")[0]
    assert Image.open(root / "patches/ann_dir/train/P0002_0_896_0_896_instance_color_RGB.png").mode == "P"
    assert record["mask"].shape == (896, 896)
    assert (record["mask"][240:] == 255).all() and (record["mask"][:, 200:] == 255).all()
    assert (record["mask"][:240, :200] < 16).all() and (record["hr"][0, :, 240:] == 0).all()


def test_patches_of_other_numbers_or_in_color_are_refused(own_copy):
    root = own_copy("isaid")
    path = root / "patches/ann_dir/train/P0002_0_896_0_896_instance_color_RGB.png"
    Image.fromarray(np.full((896, 896), 16, np.uint8)).save(path)
    with pytest.raises(DatasetError, match="ids 0–15 or 255 in .*, got 16"):
        open_benchmark("isaid", root, patches="patches")[0]
    Image.fromarray(np.zeros((896, 896, 3), np.uint8)).save(path)
    with pytest.raises(DatasetError, match="one band of bytes in .*, got an array of"):
        open_benchmark("isaid", root, patches="patches")[0]
    with pytest.raises(DatasetError, match="files inside"):
        open_benchmark("isaid", root, patches="../elsewhere")


def test_images_and_masks_need_each_other(own_copy):
    root = own_copy("isaid")
    mask = root / "train/images/P0010_instance_color_RGB.png"
    mask.rename(mask.with_name("P0009_instance_color_RGB.png"))
    with pytest.raises(DatasetError, match="train/images/P0010_instance_color_RGB.png, got none"):
        open_benchmark("isaid", root)
    shutil.copy(mask.with_name("P0009_instance_color_RGB.png"), mask)
    with pytest.raises(DatasetError, match="train/images/P0009.png, got none"):
        open_benchmark("isaid", root)
    (root / "val/images/P0003_instance_id_RGB.png").unlink()
    assert len(open_benchmark("isaid", root, "val")) == 1
    with pytest.raises(DatasetError, match="P0003_instance_id_RGB.png"):
        open_benchmark("isaid", root, "val", instances=True)[0]


def test_a_mask_of_another_size_is_refused(own_copy):
    root = own_copy("isaid")
    shutil.copy(root / "train/images/P0010_instance_color_RGB.png", root / "train/images/P0002_instance_color_RGB.png")
    with pytest.raises(DatasetError, match="240 × 200 pixels in .*, as in its image, got 180 × 220"):
        open_benchmark("isaid", root)[0]


def test_images_come_in_the_order_of_their_numbers(own_copy):
    images = own_copy("isaid") / "test" / "images"
    for name in ("P10.png", "P9.png"):
        shutil.copy(images / "P0006.png", images / name)
    found = [record["id"] for record in open_benchmark("isaid", images.parents[1], "test")]
    assert found == ["P0006", "P9", "P10"]


def test_images_above_the_guard_for_large_ones_are_read(miniature, monkeypatch):
    root, truth = miniature("isaid")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(open_benchmark("isaid", root)[0], truth["P0002"])


@pytest.mark.parametrize("options", [{"background": "none"}, {"patches": "patches", "instances": True}])
def test_options_that_cannot_be_are_refused(miniature, options):
    with pytest.raises(ParameterError):
        open_benchmark("isaid", miniature("isaid")[0], **options)


def slow_windows(height, width, side, overlap):
    """The converter's loops, with its padding first."""
    height, width, found = max(height, side), max(width, side), set()
    for left in range(0, width, side - overlap):
        for top in range(0, height, side - overlap):
            bottom, right = top + side, left + side
            if right > width:
                left_moved, right = left - (right - width), width
            else:
                left_moved = left
            if bottom > height:
                top_moved, bottom = top - (bottom - height), height
            else:
                top_moved = top
            found.add((top_moved, bottom, left_moved, right))
    return found


@pytest.mark.parametrize("size", [(5, 7), (10, 10), (10, 11), (11, 40), (16, 22), (57, 23), (9, 31)])
@pytest.mark.parametrize("overlap", [0, 4, 9])
def test_windows_are_those_of_the_converter(size, overlap):
    found = crop_windows(*size, side=10, overlap=overlap)
    assert len(found) == len(set(found)) and set(found) == slow_windows(*size, 10, overlap)
    covered = np.zeros(np.maximum(size, 10), int)
    for top, bottom, left, right in found:
        covered[top:bottom, left:right] += 1
    assert covered.min() == 1


def test_an_overlap_of_a_whole_window_is_refused():
    with pytest.raises(ParameterError, match="an overlap of 0 to 895 pixels"):
        crop_windows(1000, 1000, overlap=896)
