"""Which locations learn which box, and the distance of Gaussians against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from skysense_nb.tasks.heads.oriented_targets import assign, centerness, divergence_loss, locations_of
from skysense_nb.tasks.oriented_boxes import rotated_iou, to_corners

MAPS = [torch.zeros(1, 1, side, 2 * side) for side in (16, 8, 4, 2, 1)]
PLACES = locations_of(MAPS, (64, 128))


def random_boxes(count, seed=0, longest=90.0):
    dice = torch.Generator().manual_seed(seed)
    low, high = torch.tensor([0.0, 0, 1, 1, -1.57]), torch.tensor([128.0, 64, longest, 40, 1.57])
    return low + (high - low) * torch.rand(count, 5, generator=dice)


def by_loops(boxes):
    """Box of every location, in the words of `assign`."""
    owners, start = {}, 0
    for level, (height, width) in enumerate(PLACES.grids):
        stride = 128 / width
        for number, (x, y, w, h, angle) in enumerate(boxes.tolist()):
            side = math.sqrt(w * h)
            mine = sum(side > 16 * 128 / grid[1] for grid in PLACES.grids[:-1])
            if mine != level:
                continue
            home = [min(max(round(value / stride - 0.5), 0), limit - 1) for value, limit in ((x, width), (y, height))]
            for row in range(height):
                for column in range(width):
                    dx, dy = (column + 0.5) * stride - x, (row + 0.5) * stride - y
                    along = dx * math.cos(angle) + dy * math.sin(angle)
                    across = dy * math.cos(angle) - dx * math.sin(angle)
                    inside = abs(along) < w / 2 and abs(across) < h / 2
                    near = max(abs(dx), abs(dy)) <= 1.5 * stride
                    if (inside and near) or [column, row] == home:
                        owners.setdefault(start + row * width + column, []).append((w * h, number))
        start += height * width
    return {place: min(rivals)[1] for place, rivals in owners.items()}


def gaussian(box):
    """Normal distribution with a box's centre, and half its sides as standard deviations."""
    turn = torch.stack([torch.stack([box[4].cos(), -box[4].sin()]), torch.stack([box[4].sin(), box[4].cos()])])
    return MultivariateNormal(box[:2], turn @ torch.diag(box[2:4].square() / 4) @ turn.T)


@pytest.mark.parametrize("seed", range(4))
def test_locations_get_the_boxes_that_plain_loops_give_them(seed):
    boxes = random_boxes(40, seed)
    places, owners = assign(boxes, PLACES)
    assert dict(zip(places.tolist(), owners.tolist(), strict=True)) == by_loops(boxes)


def test_every_lonely_box_has_a_location_however_small_and_even_beyond_the_border():
    for box in ([63.0, 31, 0.5, 0.5, 0.3], [64.0, 32, 1, 1, 0], [128.0, 64, 20, 8, 1], [140.0, -5, 30, 20, 0]):
        places, owners = assign(torch.tensor([box]), PLACES)
        assert len(places) >= 1 and set(owners.tolist()) == {0}


def test_larger_boxes_are_learned_on_coarser_maps():
    boxes = torch.tensor([[64.0, 32, side, side, 0.0] for side in (10, 100, 200, 300, 600)])
    starts = torch.tensor([height * width for height, width in PLACES.grids]).cumsum(0)
    levels = [int((starts <= assign(box[None], PLACES)[0].min()).sum()) for box in boxes]
    assert levels == [0, 1, 2, 3, 4]


def test_no_boxes_give_no_locations():
    places, owners = assign(torch.zeros(0, 5), PLACES)
    assert places.shape == owners.shape == (0,)


def test_centerness_falls_from_the_centre_to_the_rim_and_turns_with_the_box():
    stride = torch.ones(3, 2)
    box = torch.tensor([[50.0, 20, 40, 10, math.pi / 2]]).expand(3, 5)
    points = torch.tensor([[50.0, 20], [50.0, 30], [55.0, 20]])
    torch.testing.assert_close(
        centerness(points, stride, box), torch.tensor([1, math.sqrt(1 / 3), 0]), atol=1e-5, rtol=0
    )
    small = torch.tensor([[50.0, 20, 1, 1, 0]])
    assert centerness(points[:1] + 2.0, torch.full((1, 2), 4.0), small) > 0.3, "the only location of a small object"


def test_the_loss_is_the_divergence_that_torch_computes():
    boxes, truth = random_boxes(50, 1), random_boxes(50, 2)
    truth = torch.cat([truth[:25], boxes[25:] + 0.3], 0)
    pairs = zip(boxes.double(), truth.double(), strict=True)
    exact = torch.stack([kl_divergence(gaussian(box), gaussian(true)) for box, true in pairs])
    expected = 1 - 1 / (1 + exact.log1p())
    torch.testing.assert_close(divergence_loss(boxes.double(), truth.double()), expected)
    torch.testing.assert_close(divergence_loss(boxes, truth), expected.float(), atol=1e-4, rtol=1e-3)


def test_the_same_box_told_otherwise_costs_nothing():
    box = random_boxes(20, 3).double()
    swapped = torch.cat([box[:, :2], box[:, [3, 2]], box[:, 4:] + math.pi / 2], 1)
    for same in (box, swapped, box + torch.tensor([0, 0, 0, 0, math.pi])):
        assert divergence_loss(same, box).abs().max() < 1e-6


def test_gradients_bring_a_box_to_the_truth():
    truth = torch.tensor([[60.0, 30, 40, 8, 0.7]])
    box = torch.tensor([[50.0, 38, 20, 20, 0.0]]).requires_grad_()
    optimizer = torch.optim.Adam([box], lr=0.3)
    for _ in range(400):
        optimizer.zero_grad()
        divergence_loss(box, truth).sum().backward()
        assert box.grad.isfinite().all()
        box.grad[:, 4] /= 10
        optimizer.step()
    assert rotated_iou(to_corners(box.detach()), to_corners(truth)).item() > 0.9
