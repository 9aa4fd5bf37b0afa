"""COCO form: what detectors read, checked against the files themselves."""

import json
from xml.etree import ElementTree

import pytest
import shapely

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.coco import coco_json

EDGES = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(scope="module")
def written(miniature):
    """A file as a detector reads it, by benchmark and split."""

    def write(name, split):
        root, _ = miniature(name)
        return root, json.loads(json.dumps(coco_json(open_benchmark(name, root, split))))

    return write


def test_boxes_are_those_of_the_annotations_as_corner_and_size(written):
    root, found = written("dior", "trainval")
    names = {one["id"]: one["name"] for one in found["categories"]}
    files = {one["id"]: one["file_name"] for one in found["images"]}
    got = {}
    for one in found["annotations"]:
        x, y, width, height = one["bbox"]
        assert one["area"] == width * height and one["iscrowd"] == 0
        stem = files[one["image_id"]].split("/")[-1].removesuffix(".jpg")
        got.setdefault(stem, []).append((names[one["category_id"]], x, y, x + width, y + height))
    for number in ("00001", "00002", "00003", "00010"):
        xml = ElementTree.parse(root / f"DIOR/Annotations/Horizontal Bounding Boxes/{number}.xml")
        assert got.pop(number) == [
            (one.findtext("name").lower(), *(float(one.findtext(f"bndbox/{edge}")) for edge in EDGES))
            for one in xml.iter("object")
        ]
    assert not got


def test_ids_are_what_tools_expect(written):
    _, found = written("dior", "trainval")
    assert [one["id"] for one in found["annotations"]] == list(range(1, len(found["annotations"]) + 1))
    assert [one["id"] for one in found["images"]] == [0, 1, 2, 3]
    assert [one["id"] for one in found["categories"]] == list(range(20))
    assert found["categories"][8] == {"id": 8, "name": "dam"}


def test_images_are_found_from_the_root_with_their_size(written):
    root, found = written("fair1m", "train")
    assert [one["file_name"] for one in found["images"]] == ["train/part1/images/0.tif", "train/part2/images/0.tif"]
    assert all((root / one["file_name"]).is_file() for one in found["images"])
    assert {(one["width"], one["height"]) for one in found["images"]} == {(1100, 1000)}


def test_oriented_boxes_keep_their_corners_and_get_a_box_around_them(written):
    for name, split in (("dior_r", "test"), ("fair1m", "validation")):
        _, found = written(name, split)
        assert found["annotations"]
        for one in found["annotations"]:
            flat = one["segmentation"][0]
            polygon = shapely.Polygon(list(zip(flat[::2], flat[1::2], strict=True)))
            left, top, right, bottom = polygon.bounds
            assert one["bbox"] == pytest.approx([left, top, right - left, bottom - top])
            assert one["area"] == pytest.approx(polygon.area)


def test_images_without_labels_are_listed_alone(written):
    _, found = written("fair1m", "test")
    assert len(found["images"]) == 1 and found["annotations"] == []
