"""Copies of the aerial benchmarks to learn from: as many places as asked for, split, labelled, the same for all."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from records import assert_round_trip
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.miniatures import boxes_dior, sights, write_miniature
from skysense_nb.data.miniatures.places import aerial, split_of
from skysense_nb.data.miniatures.potsdam import tree_crowns
from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic import aerial as synthetic_aerial
from skysense_nb.data.synthetic.classes import AIRPLANE, BUILDING, SHIP, VEHICLE, WATER
from skysense_nb.data.synthetic.regions import held_out
from skysense_nb.errors import ParameterError

SPLITS = {
    "aid": ("train", "test"),
    "resisc45": ("train", "test"),
    "dior": ("train", "val", "test"),
    "dior_r": ("train", "val", "test"),
    "fair1m": ("train", "validation", "test"),
    "levir_cd": ("train", "val", "test"),
    "isaid": ("train", "val", "test"),
    "potsdam": ("train", "test"),
}
WITHOUT_LABELS = {("fair1m", "test"), ("isaid", "test")}
SEVERAL_PER_PLACE = ("dior", "dior_r", "fair1m")
COUNT = 6


@pytest.fixture(scope="module")
def copy_of(tmp_path_factory):
    """`copy_of("dior")` gives the folder of a copy of six places, and what a reader must find in it."""

    @cache
    def write(name, seed=0, places=COUNT):
        folder = tmp_path_factory.mktemp("places") / name
        return folder, write_miniature(name, folder, seed, places)

    return write


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", SPLITS)
def test_every_place_is_read_once_as_it_was_written(copy_of, name):
    root, truth = copy_of(name)
    readers = [open_benchmark(name, root, split) for split in SPLITS[name]]
    assert_round_trip(readers, truth)  # which refuses an id that comes twice
    assert COUNT < len(truth) <= 3 * COUNT if name in SEVERAL_PER_PLACE else len(truth) == COUNT
    assert all(record["hr"].shape[-2:] == (256, 256) for record in truth.values())
    assert len({record["hr"].numpy().tobytes() for record in truth.values()}) == len(truth)


@pytest.mark.parametrize("name", SPLITS)
def test_no_labelled_image_is_without_something_to_learn(copy_of, name):
    root, _ = copy_of(name)
    for split in SPLITS[name]:
        for record in open_benchmark(name, root, split):
            if (name, split) in WITHOUT_LABELS:
                assert not {"mask", "bbox_label"} & record.keys()
            elif "mask" in record:
                assert len(set(np.unique(record["mask"])) - {255}) >= 2
            elif "bbox_label" in record:
                assert len(record["bbox_label"]) >= 1


def test_classes_of_whole_images_take_turns(copy_of):
    for name in ("aid", "resisc45"):
        counts = Counter(record["names"] for record in copy_of(name)[1].values())
        assert sorted(counts.values()) == [2, 2, 2], name


def test_boxes_and_masks_show_several_classes(copy_of):
    names = {one for record in copy_of("dior")[1].values() for one in record["names"]}
    assert {"airplane", "ship", "vehicle"} <= names and len(names) >= 4
    masks = [record["mask"].numpy() for record in copy_of("isaid")[1].values() if "mask" in record]
    assert len(np.unique(masks)) >= 4
    tiles = np.stack([record["mask"].numpy() for record in copy_of("potsdam")[1].values()])
    shares = np.bincount(tiles.ravel(), minlength=256)[:5] / tiles.size
    assert (shares > 0.002).all() and shares.max() < 0.8


def test_horizontal_and_oriented_boxes_are_of_the_same_objects(copy_of):
    horizontal, oriented = (copy_of(name)[1] for name in ("dior", "dior_r"))
    for number, record in horizontal.items():
        corners = oriented[number]["bbox_corners"]
        around = np.concatenate([corners.amin(1), corners.amax(1)], axis=1).clip(0, 256)
        np.testing.assert_array_equal(record["bbox_xyxy"].numpy(), around)


def test_what_changed_looks_different_and_the_rest_does_not(copy_of):
    changed = []
    for record in copy_of("levir_cd")[1].values():
        before, after = record["hr"].float()
        difference, mask = (before - after).abs().mean(0), record["mask"].bool()
        changed.append(float(mask.float().mean()))
        assert difference[mask].mean() > 1.5 * difference[~mask].mean()
    assert np.mean(changed) > 0.03 and min(changed) > 0


def test_an_instance_lies_within_one_class_and_airplanes_are_no_boxes(copy_of):
    root, _ = copy_of("isaid")
    for split in ("train", "val"):
        for record in open_benchmark("isaid", root, split, instances=True):
            mask, instance = record["mask"].numpy(), record["instance"].numpy()
            np.testing.assert_array_equal(mask > 0, instance > 0)
            for number in np.unique(instance[instance > 0]):
                assert len(np.unique(mask[instance == number])) == 1
    plane = open_benchmark("isaid", root, "train", instances=True)[0]  # the first kind is the airfield
    rows, columns = np.nonzero(plane["mask"].numpy() == 14)
    assert len(rows)
    number = Counter(plane["instance"].numpy()[rows, columns].tolist()).most_common(1)[0][0]
    rows, columns = np.nonzero(plane["instance"].numpy() == number)
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert len(rows) < 0.6 * box  # wings and body, not the ground between


def test_crowns_are_where_the_aerial_image_has_trees(monkeypatch):
    here = {"size_m": 80, "s2_dates": 1, "s1_dates": 1, "modalities": ("hr",)}
    village = World(0).find("village")
    scene = World(0).scene(*village, **here)
    monkeypatch.setattr(synthetic_aerial, "draw_trees", lambda canvas: None)
    bare = aerial(World(0).scene(*village, **here)).astype(int)
    change, crowns = aerial(scene) - bare, tree_crowns(scene)
    assert 0.02 < crowns.mean() < 0.5
    assert (change != 0).any(-1)[crowns].mean() > 0.95
    assert (change[~crowns] <= 3).mean() > 0.95  # beside them there is shadow at most


def test_the_same_seed_gives_the_same_files_and_another_gives_other_places(copy_of, tmp_path):
    root, truth = copy_of("resisc45", 0, 4)
    write_miniature("resisc45", tmp_path / "again", 0, 4)
    assert contents(root) == contents(tmp_path / "again")
    other = write_miniature("resisc45", tmp_path / "other", 1, 4)
    assert not {r["hr"].numpy().tobytes() for r in truth.values()} & {r["hr"].numpy().tobytes() for r in other.values()}


def test_more_places_begin_with_the_same_ones(copy_of):
    few, more = copy_of("dior", 0, 4)[1], copy_of("dior")[1]
    assert {r["hr"].numpy().tobytes() for r in few.values()} < {r["hr"].numpy().tobytes() for r in more.values()}


def test_scenes_lie_apart_on_held_out_ground_and_show_what_was_asked_for():
    edges = []
    drawn = sights.aerial_scenes(["harbour", "city"], 5, 4, sights.covers({"harbour": (WATER,), "city": (BUILDING,)}))
    for place, scene in drawn:
        assert held_out((place.lon, place.lat), 40) is True
        cover = scene["labels"]["land_cover"].values
        if place.kind == "city":
            assert (cover == BUILDING).mean() >= sights.ENOUGH
        else:
            assert 0 < (cover == WATER).mean() < 1
        box = scene["hr"]["image"].odc.geobox.boundingbox
        edges.append((str(box.crs), box.left, box.top))
    for number, (crs, left, top) in enumerate(edges):
        for other, x, y in edges[:number]:
            assert crs != other or max(abs(left - x), abs(top - y)) >= 80


def test_scenes_of_a_place_do_not_overlap_and_each_shows_something():
    named = {AIRPLANE: "plane", VEHICLE: "car", SHIP: "ship"}
    sight = sights.objects(lambda kind, _: named.get(kind))
    options = {"survey_m": 320, "scenes_per_place": 3}
    several = list(sights.aerial_scenes(["harbour", "city"], 0, 4, sight, **options))
    assert 4 < len(several) <= 12
    numbers = [number for number, _ in sights.by_place(iter(several))]
    assert sorted(set(numbers)) == [0, 1, 2, 3] and numbers == sorted(numbers)
    boxes = [scene["hr"]["image"].odc.geobox.boundingbox for _, scene in several]
    for one, (_, scene) in enumerate(several):
        assert sights.named_boxes(scene, lambda kind, _: named.get(kind))[0]
        for other in range(one):
            if numbers[one] == numbers[other]:
                assert max(abs(boxes[one].left - boxes[other].left), abs(boxes[one].top - boxes[other].top)) >= 80
    alone = sights.aerial_scenes(["harbour", "city"], 0, 4, sight, survey_m=320)
    first = [several[numbers.index(number)][1] for number in range(4)]
    for (_, scene), same in zip(alone, first, strict=True):
        np.testing.assert_array_equal(aerial(scene), aerial(same))


def test_all_images_of_a_place_are_in_one_split(monkeypatch):
    taken = []
    monkeypatch.setattr(boxes_dior, "split_of", lambda turn, kinds: taken.append(turn) or split_of(turn, kinds))
    splits = [one[0] for one in boxes_dior.new_images(0, 4)]
    of_place = {turn: {split for one, split in zip(taken, splits, strict=True) if one == turn} for turn in range(4)}
    assert len(splits) > 4 and all(len(found) == 1 for found in of_place.values())
    assert set().union(*of_place.values()) == {"train", "val", "test"}


def test_sums_of_windows_are_those_of_a_slow_loop():
    weights = np.random.default_rng(0).random((96, 80))
    found = sights.windows(weights)
    assert found.shape == (5, 3)
    for row in range(5):
        for column in range(3):
            cut = weights[8 * row : 8 * row + 64, 8 * column : 8 * column + 64]
            np.testing.assert_allclose(found[row, column], cut.sum())


def test_objects_without_a_name_are_left_out_and_cars_come_last():
    names = {AIRPLANE: "plane", VEHICLE: "car", SHIP: None}
    seen = {}
    for place, scene in sights.aerial_scenes(
        ["airfield", "village"], 3, 4, sights.objects(lambda kind, _: names.get(kind))
    ):
        found, corners = sights.named_boxes(scene, lambda kind, _: names.get(kind))
        assert found and len(found) == len(corners) and set(found) <= {"plane", "car"}
        seen.setdefault(place.kind, set()).update(found)
    assert "plane" in seen["airfield"] and seen["village"] == {"car"}


@pytest.mark.parametrize("name", ["aid", "levir_cd", "potsdam"])
def test_too_few_or_too_many_places_are_refused_and_leave_nothing(tmp_path, name):
    with pytest.raises(ParameterError, match="Expected at least 4 places.*got 3"):
        write_miniature(name, tmp_path / name, places=3)
    assert list(tmp_path.iterdir()) == []


def test_potsdam_has_no_names_for_more_tiles_than_there_are(tmp_path):
    with pytest.raises(ParameterError, match="Expected at most 38 places, one per tile, got 39"):
        write_miniature("potsdam", tmp_path / "potsdam", places=39)


def test_fetch_writes_as_many_places_as_it_is_told(tmp_path):
    words = ["fetch", "resisc45", "--miniature", str(tmp_path / "copy"), "--places", "4"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0 and "4 synthetic samples" in told.output
    readers = [open_benchmark("resisc45", tmp_path / "copy", split) for split in ("train", "test")]
    assert [len(reader) for reader in readers] == [2, 2]
