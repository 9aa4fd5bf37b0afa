"""Objects found tile by tile are those of the whole image: each once, corner for corner."""

import math

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
import torch
from shapely import box
from small_maps import Identity
from small_scenes import CORNER, CRS
from squares import COLUMNS, OPTIONS, PIXEL, ROWS, bright, on_every_border, scene_of

from skysense_nb.data.sample import to_sample
from skysense_nb.errors import ParameterError, RunError, SampleError
from skysense_nb.mapping import map_detections
from skysense_nb.mapping.detections import corners_of
from skysense_nb.mapping.doubles import without_doubles
from skysense_nb.models.digest import weights_digest
from skysense_nb.tasks.oriented_boxes import rotated_nms, to_corners


def whole_image(scene) -> geopandas.GeoDataFrame:
    """What the detector says of the image as one."""
    (found,) = bright(None, to_sample(scene))
    x1, y1, x2, y2 = found["boxes"].double().T.numpy() * PIXEL
    shapes = box(CORNER[0] + x1, CORNER[1] - y2, CORNER[0] + x2, CORNER[1] - y1)
    names = np.array(["small", "large"])[found["labels"]]
    return geopandas.GeoDataFrame({"class": names, "score": found["scores"].double()}, geometry=shapes, crs=CRS)


def told(objects) -> list[tuple]:
    """Class, score and edges of every object, in an order of their own."""
    edges = objects.bounds.round(6).itertuples(index=False, name=None)
    return sorted(zip(edges, objects["class"], objects.score.round(6), strict=True))


def found_in(done) -> geopandas.GeoDataFrame:
    return geopandas.read_file(done.files["detections"])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("tile", "margin_m"), [(12, 30), (11, 30), (64, 30)])
def test_squares_on_every_border_and_corner_are_counted_once(tmp_path, tile, margin_m, batch):
    scene = scene_of(on_every_border())
    done = map_detections(
        scene, Identity(), bright, tmp_path, batch=batch, **OPTIONS | {"tile": tile, "margin_m": margin_m}
    )
    found, expected = found_in(done), whole_image(scene)
    assert (done.tiles == 1) == (tile == 64) and told(found) == told(expected)
    assert len(found) == len(on_every_border()) and found.crs == CRS
    assert found.score.is_monotonic_decreasing and set(found["class"]) == {"small", "large"}


def test_the_squares_of_that_test_lie_on_the_borders_there_are():
    from skysense_nb.mapping.tiles import Tiling

    tiling = Tiling((ROWS, COLUMNS), 12, 3, 0, "none")
    edges = [{32 * span.first for span in tiling.spans(axis)} - {0} for axis in (0, 1)]
    middles = np.array([(x + side / 2, y + side / 2) for x, y, side in on_every_border()])
    assert edges == [{288, 480}, {288, 480, 640}]
    assert all((middles == (x, y)).all(1).any() for x in edges[1] for y in edges[0])


def test_objects_of_one_tile_are_left_as_the_detector_gave_them(tmp_path):
    twice = lambda model, sample: [  # noqa: E731
        {name: torch.cat([values, values]) for name, values in one.items()} for one in bright(model, sample)
    ]
    done = map_detections(scene_of([(100, 100, 20)]), Identity(), twice, tmp_path, **OPTIONS)
    assert len(found_in(done)) == 2


@pytest.mark.parametrize("towards", [-1, 1])
def test_an_object_that_both_tiles_see_on_their_own_or_the_other_side_is_there_once(tmp_path, towards):
    """Each tile places the middle a little to its own side, or to its neighbour's."""

    def drawn(model, sample):
        found = bright(model, sample)
        for one in found:
            middle = (one["boxes"][:, 0] + one["boxes"][:, 2]) / 2
            side = torch.where(middle < 12 * 32 / 2, towards, -towards).float()
            one["boxes"][:, [0, 2]] += 3 * side[:, None]
        return found

    squares = [(288 - 20, 60, 40), (288 - 20, 150, 40), (480 - 20, 60, 40)]
    done = map_detections(scene_of(squares), Identity(), drawn, tmp_path, **OPTIONS)
    assert len(found_in(done)) == 3


def test_a_stopped_run_ends_with_the_same_objects(tmp_path):
    scene, asked = scene_of(on_every_border()), iter([False, False, True])
    part = map_detections(scene, Identity(), bright, tmp_path / "a", stop=lambda: next(asked), **OPTIONS)
    assert not part.finished and part.computed == 3 and not list((tmp_path / "a").glob("*.gpkg"))
    done = map_detections(scene, Identity(), bright, tmp_path / "a", **OPTIONS)
    straight = map_detections(scene, Identity(), bright, tmp_path / "b", **OPTIONS)
    assert done.computed == done.tiles - 3 and found_in(done).equals(found_in(straight))
    assert map_detections(scene, Identity(), bright, tmp_path / "a", **OPTIONS).computed == 0


def test_another_detector_does_not_go_on(tmp_path):
    scene = scene_of([(100, 100, 20)])
    map_detections(scene, Identity(), bright, tmp_path, stop=lambda: True, **OPTIONS)
    for changed in ({"identity": "dark"}, {"double_iou": 0.3}, {"classes": ("tiny", "huge")}):
        with pytest.raises(RunError, match="Expected the product with which"):
            map_detections(scene, Identity(), bright, tmp_path, **OPTIONS | changed)


def test_the_file_says_where_it_comes_from(tmp_path):
    model = Identity()
    done = map_detections(scene_of([(100, 100, 20)]), model, bright, tmp_path, **OPTIONS)
    assert pyogrio.read_info(done.files["detections"])["layer_metadata"] == {
        "model": "identity, weights random", "weights": weights_digest(model)[:16], "product": "detections",
        "dates": "hr 1: 2021-04-01 to 2021-04-01",
    }  # fmt: skip


def test_a_scene_without_objects_gives_an_empty_table(tmp_path):
    found = found_in(map_detections(scene_of([]), Identity(), bright, tmp_path, **OPTIONS))
    assert len(found) == 0 and found.crs == CRS and {"class", "score"} <= set(found.columns)


def test_turned_boxes_keep_their_corners(tmp_path):
    turned = torch.tensor([[100.0, 120.0, 40.0, 20.0, 0.4], [130.0, 60.0, 30.0, 10.0, -1.2]])

    def detector(model, sample):
        none = {"boxes": torch.zeros(0, 5), "scores": torch.zeros(0), "labels": torch.zeros(0)}
        some = {"boxes": turned, "scores": torch.tensor([0.9, 0.8]), "labels": torch.tensor([1, 0])}
        return [some if one[0, 0, 0, 0, 0] > 0 else none for one in sample["hr"].split(1)]

    done = map_detections(scene_of([(0, 0, 2)]), Identity(), detector, tmp_path, **OPTIONS)
    found = found_in(done)
    corners = to_corners(turned.double()).numpy() * PIXEL * [1, -1] + CORNER
    assert [shape.equals_exact(shapely.Polygon(corner), 1e-4, normalize=True) for shape, corner in zip(
        found.geometry, corners, strict=True)] == [True, True]  # fmt: skip
    assert torch.allclose(corners_of(turned), to_corners(turned), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_between_tiles_doubles_go_as_in_suppression_of_all_boxes(seed):
    """Where every object is of another tile, the rule is the usual one."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(120, 5, generator=generator) * torch.tensor([60, 60, 20, 10, math.pi]) + torch.tensor(
        [0, 0, 2, 2, 0]
    )
    scores, labels = torch.rand(120, generator=generator), torch.randint(0, 3, (120,), generator=generator)
    expected = rotated_nms(to_corners(boxes.double()), scores, labels, 0.3)
    outlines = shapely.polygons(to_corners(boxes.double()).numpy())
    found = without_doubles(outlines, scores.numpy(), labels.numpy(), np.arange(120), np.zeros(120, bool), 0.3)
    assert found.tolist() == sorted(expected.tolist()) and 20 < len(found) < 110


def test_a_stray_gives_way_to_the_owner_even_with_a_better_score():
    outlines, labels, tiles = box([0, 0], [0, 0], [4, 4], [4, 4]), np.zeros(2), np.arange(2)
    scores, strays = np.array([0.2, 0.9]), np.array([False, True])
    assert without_doubles(outlines, scores, labels, tiles, strays, 0.5).tolist() == [0]


def answer(boxes=(1, 4), scores=1, labels=1, label=0, samples=1):
    one = {"boxes": torch.ones(boxes), "scores": torch.ones(scores), "labels": torch.full((labels,), label)}
    return lambda model, sample: [one] * samples


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        (answer(boxes=(1, 6)), "boxes n 4 or n 5"),
        (answer(scores=2), r"scores \(2,\)"),
        (answer(label=2), "labels from 0 to 1, got 2 to 2"),
        (answer(samples=2), "answers for 1 tiles, got 2"),
    ],
)
def test_answers_that_make_no_sense_are_refused(tmp_path, detector, words):
    with pytest.raises(SampleError, match=words):
        map_detections(scene_of([]), Identity(), detector, tmp_path, **OPTIONS)


@pytest.mark.parametrize("options", [{"batch": 0}, {"double_iou": 0}])
def test_numbers_that_cannot_be_are_refused(tmp_path, options):
    with pytest.raises(ParameterError, match="a batch of at least 1 and an IoU"):
        map_detections(scene_of([]), Identity(), bright, tmp_path, **OPTIONS | options)
