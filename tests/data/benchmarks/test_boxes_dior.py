"""DIOR and DIOR-R: one tree, two kinds of boxes."""

import re

import pytest
import torch
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.boxes_dior import clockwise_corners
from skysense_nb.errors import DatasetError, ParameterError

NAMES = ["dior", "dior_r"]
FOLDERS = {"dior": "Horizontal Bounding Boxes", "dior_r": "Oriented Bounding Boxes"}


def annotation(root, number="00001", name="dior"):
    return root / "DIOR" / "Annotations" / FOLDERS[name] / f"{number}.xml"


def edit(path, pattern, new, count=1):
    """Replaces what is there, and fails where there is nothing."""
    text, found = re.subn(pattern, new, path.read_text(), count=count)
    assert found
    path.write_text(text)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_read(miniature, name):
    root, truth = miniature(name)
    assert_round_trip([open_benchmark(name, root, split) for split in ("train", "val", "test")], truth)


def test_trainval_is_train_and_then_val(miniature):
    root, truth = miniature("dior")
    found = list(open_benchmark("dior", root, "trainval"))
    assert [record["id"] for record in found] == ["00001", "00003", "00002", "00010"]
    assert_same(found[2], truth["00002"])


@pytest.mark.parametrize("name", NAMES)
def test_expressway_classes_are_found_and_dam_comes_after_them(miniature, name):
    root, _ = miniature(name)
    assert ">Expressway-Service-area<" in annotation(root, "00003", name).read_text()
    assert ">Expressway-toll-station<" in annotation(root, "00010", name).read_text()
    records = [record for split in ("trainval", "test") for record in open_benchmark(name, root, split)]
    ids = {one: int(label) for r in records for one, label in zip(r["names"], r["bbox_label"], strict=True)}
    assert ids["expressway-service-area"] == 6 and ids["expressway-toll-station"] == 7 and ids["dam"] == 8


def test_numbers_are_given_as_stored(own_copy):
    root = own_copy("dior")
    values = {"xmin": 1, "ymin": 2, "xmax": 800, "ymax": 799}
    for key, value in values.items():
        edit(annotation(root), rf"<{key}>\d+<", f"<{key}>{value}<")
    assert open_benchmark("dior", root)[0]["bbox_xyxy"][0].tolist() == [1, 2, 800, 799]


def test_corners_on_the_border_beyond_it_and_at_45_degrees_are_kept(miniature):
    root, _ = miniature("dior_r")
    corners = {r["id"]: r["bbox_corners"][-1].tolist() for r in open_benchmark("dior_r", root, "trainval")}
    assert corners["00001"] == [[0, 120], [640, 60], [660, 420], [20, 480]]
    records = {r["id"]: r for r in open_benchmark("dior_r", root, "test")}
    assert records["11727"]["bbox_corners"][-1, :, 1].tolist() == [0, 0, 790, 790]
    assert max(x for x, _ in corners["00002"]) == 812
    sides = torch.tensor(corners["00003"]).diff(dim=0).abs()
    assert torch.equal(sides[:, 0], sides[:, 1])


def test_the_angle_is_not_read(own_copy, miniature):
    root, (_, truth) = own_copy("dior_r"), miniature("dior_r")
    edit(annotation(root, name="dior_r"), "<angle>0<", "<angle>77.5<", count=0)
    assert_same(open_benchmark("dior_r", root)[0], truth["00001"])


def test_corners_stored_the_other_way_round_are_turned_clockwise(own_copy, miniature):
    root, (_, truth) = own_copy("dior_r"), miniature("dior_r")
    path = annotation(root, name="dior_r")
    for one, other in (("right_top", "?"), ("left_bottom", "right_top"), ("?", "left_bottom")):
        edit(path, re.escape(f"_{one}>"), f"_{other}>", count=0)
    assert_same(open_benchmark("dior_r", root)[0], truth["00001"])


def test_turning_clockwise_keeps_the_first_corner_and_what_turns_clockwise_already():
    clockwise = torch.tensor([[[5.0, 0], [10, 5], [5, 10], [0, 5]]])
    assert torch.equal(clockwise_corners(clockwise), clockwise)
    assert torch.equal(clockwise_corners(clockwise[:, [0, 3, 2, 1]]), clockwise)
    far = clockwise + 1e5  # as in an image that large
    assert torch.equal(clockwise_corners(far[:, [2, 1, 0, 3]]), far[:, [2, 3, 0, 1]])


@pytest.mark.parametrize(("name", "shape"), [("dior", (0, 4)), ("dior_r", (0, 4, 2))])
def test_an_image_may_hold_nothing(own_copy, name, shape):
    root = own_copy(name)
    annotation(root, name=name).write_text("<annotation><filename>00001.jpg</filename></annotation>")
    record = open_benchmark(name, root)[0]
    key = "bbox_xyxy" if name == "dior" else "bbox_corners"
    assert record[key].shape == shape and record[key].dtype == torch.float32
    assert record["bbox_label"].shape == (0,) and record["bbox_label"].dtype == torch.int64 and record["names"] == ()


@pytest.mark.parametrize("edges", [(30, 40, 30, 90), (30, 40, 90, 40), (90, 90, 30, 40), (90, 40, 30, 90)])
def test_a_box_without_area_is_named_or_dropped(own_copy, miniature, edges):
    root, (_, truth) = own_copy("dior"), miniature("dior")
    for key, value in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True):
        edit(annotation(root), rf"<{key}>\d+<", f"<{key}>{value}<")
    with pytest.raises(DatasetError, match=r"box with an area as object 1 of .*00001\.xml, got \[.*drop_empty=True"):
        open_benchmark("dior", root)[0]
    found, whole = open_benchmark("dior", root, drop_empty=True)[0], truth["00001"]
    wanted = {key: whole[key][1:] for key in ("bbox_xyxy", "bbox_label", "names")}
    assert_same(found, whole | wanted)


def test_corners_on_one_line_have_no_area(own_copy):
    root = own_copy("dior_r")
    for number, corner in enumerate(("left_top", "right_top", "right_bottom", "left_bottom")):
        for axis in "xy":
            edit(annotation(root, name="dior_r"), rf"(?<=<{axis}_{corner}>)\d+", f"{10 * number}")
    with pytest.raises(DatasetError, match="Expected a box with an area as object 1"):
        open_benchmark("dior_r", root)[0]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_opened_before_it_is_read(own_copy, name):
    root = own_copy(name)
    for path in (*root.rglob("*.jpg"), *root.rglob("*.xml")):
        path.write_bytes(b"")
    reader = open_benchmark(name, root, "trainval")
    assert len(reader) == 4
    with pytest.raises(DatasetError, match=r"00001\.xml"):
        reader[0]


def test_the_folder_itself_will_do(miniature):
    root, truth = miniature("dior")
    assert_same(open_benchmark("dior", root / "DIOR", "test")[0], truth["11726"])


@pytest.mark.parametrize(
    ("pattern", "new", "told"),
    [
        (">airplane<", ">spaceship<", r"classes of DIOR in .*00001\.xml, got 'spaceship'"),
        (r"<xmin>\d+<", "<xmin>left<", r"numbers in .*00001\.xml, got 'left'"),
        (r"<xmin>\d+<", "<xmin>nan<", r"numbers in .*00001\.xml, got 'nan'"),
        (r"<ymax>\d+</ymax>", "", r"ymax in every bndbox of .*00001\.xml, got none"),
        ("<name>airplane</name>", "", r"name in every object of .*00001\.xml, got none"),
        ("</annotation>", "", r"Expected XML in .*00001\.xml"),
    ],
)
def test_a_wrong_annotation_is_named(own_copy, pattern, new, told):
    root = own_copy("dior")
    edit(annotation(root), pattern, new)
    with pytest.raises(DatasetError, match=told):
        open_benchmark("dior", root)[0]


def test_missing_files_are_named(own_copy):
    root = own_copy("dior")
    annotation(root).unlink()
    with pytest.raises(
        DatasetError, match=r"the file DIOR/Annotations/Horizontal Bounding Boxes/00001\.xml in .* none"
    ):
        open_benchmark("dior", root)[0]
    (root / "DIOR/JPEGImages-trainval/00003.jpg").unlink()
    with pytest.raises(DatasetError, match=r"the file DIOR/JPEGImages-trainval/00003\.jpg in .*, got none"):
        open_benchmark("dior", root)[1]


def test_a_half_unpacked_folder_is_named(own_copy):
    root = own_copy("dior")
    (root / "DIOR/JPEGImages-test").rename(root / "elsewhere")
    assert len(open_benchmark("dior", root, "train")) == 2
    with pytest.raises(DatasetError, match="the folder DIOR/JPEGImages-test in .*, got none"):
        open_benchmark("dior", root, "test")
    (root / "DIOR/ImageSets/Main/val.txt").unlink()
    with pytest.raises(DatasetError, match=r"the file DIOR/ImageSets/Main/val\.txt in"):
        open_benchmark("dior", root, "trainval")
    (root / "DIOR/ImageSets/Main/train.txt").write_text("\n")
    with pytest.raises(DatasetError, match="Expected samples of DIOR train in .*, got none"):
        open_benchmark("dior", root)


def test_a_list_does_not_lead_out_of_the_folder(own_copy):
    root = own_copy("dior")
    (root / "DIOR/ImageSets/Main/train.txt").write_text("../../../outside\n")
    (root.parent / "outside.jpg").write_bytes(b"secret")
    with pytest.raises(DatasetError, match="Expected files inside"):
        open_benchmark("dior", root)[0]


def test_an_unknown_split_is_refused(miniature):
    with pytest.raises(ParameterError, match="train, val, trainval, test, got 'all'"):
        open_benchmark("dior", miniature("dior")[0], "all")
