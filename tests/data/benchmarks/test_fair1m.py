"""FAIR1M: parts that count anew, polygons that close, names with blanks."""

import re
import shutil

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError


def edit(path, pattern, new, count=1):
    """Replaces what is there, and fails where there is nothing."""
    text, found = re.subn(pattern, new, path.read_text(), count=count)
    assert found
    path.write_text(text)


def first_label(root):
    return root / "train/part1/labelXml/0.xml"


def test_what_was_written_is_read(miniature):
    root, truth = miniature("fair1m")
    assert_round_trip([open_benchmark("fair1m", root, split) for split in ("train", "validation", "test")], truth)


def test_both_parts_are_read_although_their_numbers_are_the_same(miniature):
    root, _ = miniature("fair1m")
    first, second = open_benchmark("fair1m", root)
    assert (first["id"], second["id"]) == ("part1/0", "part2/0")
    assert not torch.equal(first["hr"], second["hr"]) and first["names"] != second["names"]


def test_images_are_rows_by_columns(miniature):
    assert open_benchmark("fair1m", miniature("fair1m")[0])[0]["hr"].shape == (1, 3, 1000, 1100)


def test_labels_lie_in_either_spelling_of_their_folder(own_copy, miniature):
    root, (_, truth) = own_copy("fair1m"), miniature("fair1m")
    assert (root / "train/part2/labelXmls").is_dir()
    (root / "train/part2/labelXmls").rename(root / "train/part2/labelXml")
    (root / "train/part1/labelXml").rename(root / "train/part1/labelXmls")
    for record in open_benchmark("fair1m", root):
        assert_same(record, truth[record["id"]])


def test_images_come_in_the_order_of_their_numbers(own_copy):
    root = own_copy("fair1m")
    for number in (10, 2):
        for folder, ending in (("images", "tif"), ("labelXml", "xml")):
            shutil.copy(root / f"validation/{folder}/0.{ending}", root / f"validation/{folder}/{number}.{ending}")
    ids = [one.id for one in open_benchmark("fair1m", root, "validation").items]
    assert ids == ["validation/0", "validation/2", "validation/10"]


def test_the_closing_point_is_dropped(miniature):
    root, _ = miniature("fair1m")
    text = first_label(root).read_text()
    points = re.findall(r"<point>([-\d.]+),([-\d.]+)</point>", text)
    assert len(points) % 5 == 0 and points[0] == points[4]
    stored = np.array(points, np.float32).reshape(-1, 5, 2)
    np.testing.assert_array_equal(open_benchmark("fair1m", root)[0]["bbox_corners"].numpy(), stored[:, :4])


def test_a_polygon_that_does_not_close_is_refused(own_copy):
    root = own_copy("fair1m")
    path = first_label(root)
    whole = path.read_text()
    start = re.search(r"<point>.*?</point>", whole).group()
    fifth = [match.start() for match in re.finditer(re.escape(start), whole)][1]
    path.write_text(whole[:fifth] + "<point>1.0,2.0</point>" + whole[fifth + len(start) :])
    with pytest.raises(DatasetError, match=r"a fifth point that is the first in .*0\.xml, got \[1\.0, 2\.0\] after"):
        open_benchmark("fair1m", root)[0]
    path.write_text(whole[:fifth] + whole[fifth + len(start) :])
    with pytest.raises(DatasetError, match=r"five points x,y for every object of .*0\.xml"):
        open_benchmark("fair1m", root)[0]


def test_polygons_drawn_the_other_way_round_are_turned_clockwise(own_copy, miniature):
    root, (_, truth) = own_copy("fair1m"), miniature("fair1m")
    path = first_label(root)
    points = re.compile(r"(<point>.*?</point>\s*){5}")
    turned = points.sub(lambda found: "".join(re.findall(r"<point>.*?</point>", found.group())[::-1]), path.read_text())
    assert turned != path.read_text()
    path.write_text(turned)
    assert_same(open_benchmark("fair1m", root)[0], truth["part1/0"])


def test_names_hold_blanks_or_hyphens(own_copy, miniature):
    root, (_, truth) = own_copy("fair1m"), miniature("fair1m")
    wanted = truth["part1/0"]
    assert {"other-ship", "Dry Cargo Ship"} <= set(wanted["names"])
    edit(first_label(root), ">Dry Cargo Ship<", ">Dry-Cargo-Ship<", count=0)
    edit(first_label(root), ">other-ship<", ">other ship<", count=0)
    found = open_benchmark("fair1m", root)[0]
    assert_same(found, wanted)
    assert int(found["bbox_label"][found["names"].index("other-ship")]) == 4


def test_test_images_come_without_boxes(miniature):
    assert open_benchmark("fair1m", miniature("fair1m")[0], "test")[0].keys() == {"id", "hr", "hr_date"}


def test_an_image_may_hold_nothing(own_copy):
    root = own_copy("fair1m")
    first_label(root).write_text("<annotation><objects></objects></annotation>")
    assert open_benchmark("fair1m", root)[0]["bbox_corners"].shape == (0, 4, 2)


def test_what_lacks_its_other_half_is_named(own_copy):
    root = own_copy("fair1m")
    label = root / "train/part2/labelXmls/0.xml"
    shutil.copy(label, label.with_name("7.xml"))
    with pytest.raises(DatasetError, match=r"same numbers in .*train/part2, got train/part2/labelXmls/7\.xml alone"):
        open_benchmark("fair1m", root)
    label.with_name("7.xml").unlink()
    label.unlink()
    with pytest.raises(DatasetError, match=r"got train/part2/images/0\.tif alone"):
        open_benchmark("fair1m", root)


def test_a_missing_part_is_named_and_other_splits_work(own_copy):
    root = own_copy("fair1m")
    shutil.rmtree(root / "train/part2/labelXmls")
    with pytest.raises(DatasetError, match="train/part2/labelXml or train/part2/labelXmls in .*, got none of them"):
        open_benchmark("fair1m", root)
    shutil.rmtree(root / "train/part2")
    with pytest.raises(DatasetError, match="the folder train/part2/images in .*, got none"):
        open_benchmark("fair1m", root)
    assert len(open_benchmark("fair1m", root, "validation")) == 1


@pytest.mark.parametrize(
    ("pattern", "new", "told"),
    [
        (">other-ship<", ">Submarine<", r"classes of FAIR1M in .*0\.xml, got 'Submarine'"),
        (r"<point>[-\d.]+,", "<point>east,", r"numbers in .*0\.xml, got 'east'"),
        (r"<point>[-\d.]+,", "<point>inf,", r"numbers in .*0\.xml, got 'inf'"),
        (r"<possibleresult>\s*<name>.*?</name>", "<possibleresult>", "possibleresult/name in every object"),
    ],
)
def test_a_wrong_annotation_is_named(own_copy, pattern, new, told):
    root = own_copy("fair1m")
    edit(first_label(root), pattern, new)
    with pytest.raises(DatasetError, match=told):
        open_benchmark("fair1m", root)[0]


def test_a_box_without_area_is_named_or_dropped(own_copy, miniature):
    root, (_, truth) = own_copy("fair1m"), miniature("fair1m")
    flat = "".join(f"<point>{x},9</point>" for x in (1, 5, 9, 3, 1))
    edit(first_label(root), r"(<point>.*?</point>\s*){5}", flat)
    with pytest.raises(DatasetError, match=r"box with an area as object 1 of .*0\.xml"):
        open_benchmark("fair1m", root)[0]
    found = open_benchmark("fair1m", root, drop_empty=True)[0]
    assert torch.equal(found["bbox_label"], truth["part1/0"]["bbox_label"][1:])
    assert torch.equal(found["bbox_corners"], truth["part1/0"]["bbox_corners"][1:])


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_an_image_of_other_bands_is_named(own_copy, mode):
    root = own_copy("fair1m")
    Image.new(mode, (20, 10)).save(root / "test/images/0.tif")
    with pytest.raises(DatasetError, match=r"R G B as uint8 in .*0\.tif, got \d bands of uint8"):
        open_benchmark("fair1m", root, "test")[0]


def test_an_image_of_more_than_eight_bits_is_named(own_copy):
    root = own_copy("fair1m")
    deep = {"width": 20, "height": 10, "count": 3, "dtype": "uint16", "transform": rasterio.Affine.translation(1, 1)}
    with rasterio.open(root / "test/images/0.tif", "w", driver="GTiff", **deep) as file:
        file.write(np.ones((3, 10, 20), np.uint16))
    with pytest.raises(DatasetError, match=r"R G B as uint8 in .*0\.tif, got 3 bands of uint16"):
        open_benchmark("fair1m", root, "test")[0]
