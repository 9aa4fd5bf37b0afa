"""Oriented boxes: geometry against shapely, suppression against the plain greedy loop."""

import math

import numpy as np
import pytest
import shapely
import torch

from skysense_nb.tasks import oriented_boxes
from skysense_nb.tasks.oriented_boxes import from_corners, rotated_iou, rotated_nms, to_corners


def random_boxes(count, seed, extent=60.0, longest=40.0):
    dice = torch.Generator().manual_seed(seed)
    draw = lambda low, high: low + (high - low) * torch.rand(count, generator=dice, dtype=torch.float64)  # noqa: E731
    sides = torch.stack([draw(0.5, longest), draw(0.5, longest)]).sort(0, descending=True).values
    return torch.stack([draw(0, extent), draw(0, extent), *sides, draw(-math.pi / 2, math.pi / 2)], -1)


def by_shapely(first, second):
    one, other = (shapely.polygons(corners.double().numpy()) for corners in (first, second))
    one, other = one[:, None], other[None]
    shared = shapely.area(shapely.intersection(one, other))
    return shared / (shapely.area(one) + shapely.area(other) - shared)


def greedy(corners, scores, labels, threshold):
    shapes = [shapely.Polygon(corner) for corner in corners.tolist()]
    kept = []
    for one in sorted(range(len(scores)), key=lambda index: -scores[index]):
        rivals = [other for other in kept if labels[other] == labels[one]]
        shared = [shapes[one].intersection(shapes[other]).area for other in rivals]
        unions = [shapes[one].union(shapes[other]).area for other in rivals]
        if all(part <= threshold * whole for part, whole in zip(shared, unions, strict=True)):
            kept.append(one)
    return kept


def test_ten_thousand_random_pairs_overlap_as_shapely_says():
    first, second = to_corners(random_boxes(100, 0)), to_corners(random_boxes(100, 1))
    overlaps = rotated_iou(first, second)
    expected = by_shapely(first, second)
    assert (expected > 0.01).sum() > 2000, "the draw must have many that overlap"
    np.testing.assert_allclose(overlaps, expected, atol=1e-9)


def test_the_way_round_and_the_first_corner_do_not_matter():
    first, second = to_corners(random_boxes(30, 2)), to_corners(random_boxes(30, 3))
    expected = rotated_iou(first, second)
    torch.testing.assert_close(rotated_iou(first.flip(1), second), expected)
    torch.testing.assert_close(rotated_iou(first, second.flip(1).roll(1, 1)), expected)
    torch.testing.assert_close(rotated_iou(second, first), expected.T)


def test_convex_quadrilaterals_need_not_be_rectangles():
    dice = torch.Generator().manual_seed(4)
    angles = (torch.rand(80, 4, generator=dice, dtype=torch.float64) * 1.4 + torch.arange(4) * math.pi / 2).sort(1)[0]
    corners = torch.stack([angles.cos(), angles.sin()], -1) * 20 + 10 * torch.rand(80, 1, 2, generator=dice).double()
    np.testing.assert_allclose(
        rotated_iou(corners[:40], corners[40:]), by_shapely(corners[:40], corners[40:]), atol=1e-9
    )


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.2, math.pi / 4])
def test_touching_contained_identical_tiny_and_far_boxes(angle):
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    shape = torch.tensor([[0.0, 0], [8, 0], [8, 4], [0, 4]], dtype=torch.float64)
    move = lambda x, y, scale=1.0: (shape * scale + torch.tensor([x, y], dtype=torch.float64)) @ turn  # noqa: E731
    box = move(0, 0)[None]
    others = torch.stack([move(0, 0), move(8, 0), move(0, 4), move(8, 4), move(2, 1, 0.5), move(0, 0, 0.5)])
    expected = [1, 0, 0, 0, 0.25, 0.25]
    np.testing.assert_allclose(rotated_iou(box, others)[0], expected, atol=1e-12)
    tiny = torch.stack([move(1, 1, 1e-4), move(1 + 4e-4, 1, 1e-4), move(3, 1, 1e-4)])
    np.testing.assert_allclose(rotated_iou(tiny[:1], tiny)[0], [1, 1 / 3, 0], atol=1e-7)
    far = torch.stack([move(0, 0), move(4, 0)]) + 20_000
    np.testing.assert_allclose(rotated_iou(far[:1], far)[0], [1, 1 / 3], atol=1e-9)
    np.testing.assert_allclose(rotated_iou(far.float()[:1], far.float())[0], [1, 1 / 3], atol=2e-3)
    assert rotated_iou(box, far).max() == 0


def test_nearly_identical_boxes_are_not_counted_twice_or_lost():
    boxes = random_boxes(300, 5)
    for jitter in (1e-16, 1e-15, 1e-13, 1e-9, 1e-6):
        moved = boxes * (1 + jitter * torch.randn(boxes.shape, generator=torch.Generator().manual_seed(6)).double())
        overlaps = rotated_iou(to_corners(boxes), to_corners(moved)).diagonal()
        assert overlaps.min() > 1 - 1e-3 and overlaps.max() <= 1
        assert jitter > 1e-12 or overlaps.min() > 1 - 1e-9


def test_boxes_on_a_grid_of_whole_pixels_overlap_exactly():
    dice = torch.Generator().manual_seed(7)
    low = torch.randint(0, 12, (60, 2), generator=dice).float()
    size = torch.randint(1, 9, (60, 2), generator=dice).float()
    corners = low[:, None] + torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]) * size[:, None]
    left, right = torch.maximum(low[:, None], low), torch.minimum((low + size)[:, None], low + size)
    shared = (right - left).clamp(min=0).prod(-1)
    areas = size.prod(-1)
    torch.testing.assert_close(rotated_iou(corners, corners), shared / (areas[:, None] + areas - shared))


def test_points_and_lines_overlap_with_nothing():
    line, point = torch.tensor([[0.0, 0], [8, 6], [8, 6], [0, 0]]), torch.full((4, 2), 2.0)
    box = to_corners(torch.tensor([2.0, 2, 8, 4, 0]))
    flat = torch.stack([line, point])
    overlaps = rotated_iou(torch.cat([flat, box[None]]), torch.cat([flat, box[None]]))
    assert overlaps.isfinite().all()
    assert overlaps[:2].abs().max() == 0 == overlaps[:, :2].abs().max() and overlaps[2, 2] == 1


def test_no_boxes_make_an_empty_table():
    none, some = torch.zeros(0, 4, 2), to_corners(random_boxes(3, 8)).float()
    assert rotated_iou(none, some).shape == (0, 3) and rotated_iou(some, none).shape == (3, 0)
    assert rotated_nms(none, torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5).shape == (0,)


def test_working_in_chunks_changes_nothing(monkeypatch):
    first, second = to_corners(random_boxes(40, 9)), to_corners(random_boxes(40, 10))
    whole = rotated_iou(first, second)
    monkeypatch.setattr(oriented_boxes, "PAIRS_AT_ONCE", 7)
    assert torch.equal(rotated_iou(first, second), whole)


def test_both_forms_tell_the_same_box():
    boxes = random_boxes(200, 11)
    torch.testing.assert_close(from_corners(to_corners(boxes)), boxes)
    for around in (to_corners(boxes).flip(1), to_corners(boxes).roll(1, 1), to_corners(boxes).flip(1).roll(1, 1)):
        torch.testing.assert_close(from_corners(around), boxes)


def test_the_long_edge_comes_first_and_the_angle_stays_in_its_half_turn():
    boxes = torch.cat(
        [random_boxes(200, 12), torch.tensor([[5.0, 5, 4, 2, angle] for angle in (-math.pi / 2, 0, 1.5)])]
    )
    boxes[:, 4] += math.pi * torch.randint(-2, 3, (len(boxes),), generator=torch.Generator().manual_seed(0))
    found = from_corners(to_corners(boxes))
    assert (found[:, 2] >= found[:, 3]).all()
    assert (found[:, 4] >= -math.pi / 2).all() and (found[:, 4] < math.pi / 2).all()
    overlaps = rotated_iou(to_corners(found), to_corners(boxes)).diagonal()
    torch.testing.assert_close(overlaps, torch.ones_like(overlaps))
    single = from_corners(to_corners(boxes.float()))
    assert (single[:, 4] >= -math.pi / 2).all() and (single[:, 4] < math.pi / 2).all()


def test_a_positive_angle_turns_clockwise_for_the_eye():
    corners = to_corners(torch.tensor([0.0, 0, 10, 2, math.pi / 4]))
    rightmost = corners[corners[:, 0].argmax()]
    assert rightmost[1] > 0, "y points down, so the right end is low in the image"
    assert shapely.LinearRing(corners.tolist()).is_ccw, "counterclockwise with y up is clockwise on the screen"


def test_corners_rounded_to_pixels_give_a_box_that_still_covers_them():
    corners = to_corners(random_boxes(100, 13, extent=400, longest=80) + torch.tensor([0, 0, 10.0, 10, 0])).round()
    overlaps = rotated_iou(to_corners(from_corners(corners)), corners).diagonal()
    assert overlaps.min() > 0.85


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("ties", [False, True])
def test_suppression_keeps_what_the_greedy_loop_keeps(threshold, ties):
    for seed in range(5):
        corners = to_corners(random_boxes(60, 20 + seed))
        dice = torch.Generator().manual_seed(seed)
        scores, labels = torch.rand(60, generator=dice), torch.randint(0, 3, (60,), generator=dice)
        scores = (scores * 4).round() / 4 if ties else scores
        found = rotated_nms(corners, scores, labels, threshold).tolist()
        assert found == greedy(corners, scores.tolist(), labels.tolist(), threshold)
        assert 3 <= len(found) < 60


def test_a_box_that_goes_does_not_push_others_out():
    chain = to_corners(torch.tensor([[float(x), 0, 10, 4, 0] for x in (0, 4, 8, 12)]))
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4, dtype=torch.int64)
    assert rotated_nms(chain, scores, labels, 0.3).tolist() == [0, 2]
    assert rotated_nms(chain, scores, torch.arange(4), 0.3).tolist() == [0, 1, 2, 3]


@pytest.mark.gpu
def test_the_gpu_finds_the_same():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    first, second = to_corners(random_boxes(200, 30)), to_corners(random_boxes(200, 31))
    torch.testing.assert_close(rotated_iou(first.cuda(), second.cuda()).cpu(), rotated_iou(first, second))
    scores, labels = torch.linspace(1, 0, 200), torch.arange(200) % 2
    kept = rotated_nms(first.cuda(), scores.cuda(), labels.cuda(), 0.2).cpu()
    assert torch.equal(kept, rotated_nms(first, scores, labels, 0.2))
