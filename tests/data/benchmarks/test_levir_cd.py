"""LEVIR-CD: pairs in the order of their numbers, 255 where something changed."""

import numpy as np
import pytest
from PIL import Image
from records import assert_round_trip

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError


def test_what_was_written_is_read(miniature):
    root, truth = miniature("levir_cd")
    assert_round_trip([open_benchmark("levir_cd", root, split) for split in ("train", "val", "test")], truth)


def test_pairs_come_in_the_order_of_their_numbers(miniature):
    ids = [record["id"] for record in open_benchmark("levir_cd", miniature("levir_cd")[0])]
    assert ids == ["train_1", "train_2", "train_10"]


def test_before_comes_first_and_days_are_unknown(miniature):
    root, _ = miniature("levir_cd")
    record = open_benchmark("levir_cd", root)[0]
    for number, folder in enumerate("AB"):
        with Image.open(root / "train" / folder / "train_1.png") as image:
            np.testing.assert_array_equal(record["hr"][number].permute(1, 2, 0).numpy(), np.asarray(image))
    assert record["hr_date"].shape == (2,) and np.isnat(record["hr_date"]).all()


def test_labels_of_255_become_1(miniature):
    root, _ = miniature("levir_cd")
    with Image.open(root / "train/label/train_1.png") as image:
        stored = np.asarray(image)
    assert set(np.unique(stored)) == {0, 255}
    mask = open_benchmark("levir_cd", root)[0]["mask"]
    assert int(mask.sum()) == (stored == 255).sum() and int(mask.max()) == 1


@pytest.mark.parametrize("value", [1, 254])
def test_labels_of_other_values_are_refused(own_copy, value):
    root = own_copy("levir_cd")
    Image.new("L", (256, 256), value).save(root / "train/label/train_1.png")
    with pytest.raises(DatasetError, match=rf"Expected 0 and 255 in .*label/train_1\.png, got {value}\."):
        open_benchmark("levir_cd", root)[0]


def test_the_flat_tree_is_refused(own_copy):
    root = own_copy("levir_cd")
    with pytest.raises(DatasetError, match="the folder train/A in .*, got one A for all splits. Unpack the archives"):
        open_benchmark("levir_cd", root / "train")


def test_screenshots_are_refused(own_copy):
    root = own_copy("levir_cd")
    path = root / "val/B/val_1.png"
    Image.open(path).convert("RGBA").save(path)
    with pytest.raises(DatasetError, match=r"mode RGB at .*val/B/val_1\.png, got RGBA"):
        open_benchmark("levir_cd", root, "val")[0]


@pytest.mark.parametrize("folder", ["A", "B", "label"])
def test_what_is_missing_of_a_pair_is_named(own_copy, folder):
    root = own_copy("levir_cd")
    (root / "train" / folder / "train_2.png").unlink()
    with pytest.raises(DatasetError, match=rf"the file train/{folder}/train_2\.png in .*, got none"):
        open_benchmark("levir_cd", root)
    assert len(open_benchmark("levir_cd", root, "test")) == 2


def test_a_missing_folder_is_named(own_copy):
    root = own_copy("levir_cd")
    (root / "test/label").rename(root / "labels of test")
    with pytest.raises(DatasetError, match="the folder test/label in .*, got none"):
        open_benchmark("levir_cd", root, "test")


def test_labels_in_colour_are_refused(own_copy):
    root = own_copy("levir_cd")
    path = root / "val/label/val_1.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(DatasetError, match=r"mode L at .*val/label/val_1\.png, got RGB"):
        open_benchmark("levir_cd", root, "val")[0]


@pytest.mark.parametrize("folder", ["B", "label"])
def test_sizes_that_differ_are_named(own_copy, folder):
    root = own_copy("levir_cd")
    path = root / "train" / folder / "train_1.png"
    Image.open(path).crop((0, 0, 256, 200)).save(path)
    with pytest.raises(DatasetError, match=r"one size of A, B and label of train/train_1\.png, got .*200 × 256"):
        open_benchmark("levir_cd", root)[0]


def test_nothing_is_opened_before_it_is_read_and_a_broken_file_is_named(own_copy):
    root = own_copy("levir_cd")
    for path in root.rglob("*.png"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = open_benchmark("levir_cd", root)
    assert len(reader) == 3
    with pytest.raises(DatasetError, match=r"a readable image at .*train_1\.png"):
        reader[0]
