"""Moves carry all parts of a record along, by the same way."""

import numpy as np
import pytest
import torch

from skysense_nb.data.benchmarks.moves import Move, move

SYMMETRIES = [Move(flip, turns) for flip in (False, True) for turns in range(4)]


def by_hand(images, how):
    """The same move with torch's own flips and turns of whole pixels."""
    images = images.flip(-1) if how.flip else images
    return torch.rot90(images, how.turns, dims=(-2, -1))


@pytest.mark.parametrize("how", SYMMETRIES, ids=str)
def test_symmetries_are_exact_for_every_sensor_date_and_mask(how):
    generator = torch.Generator().manual_seed(0)
    record = {
        "hr": torch.randint(0, 256, (2, 3, 64, 96), generator=generator).to(torch.uint8),
        "s2": torch.rand(5, 10, 2, 3, generator=generator),
        "mask": torch.randint(0, 256, (2, 64, 96), generator=generator),
        "instance": torch.randint(0, 2**24, (64, 96), generator=generator),
    }
    moved = move(record, how)
    assert torch.equal(moved["hr"], by_hand(record["hr"], how))
    assert torch.equal(moved["mask"], by_hand(record["mask"], how))
    assert torch.equal(moved["instance"], by_hand(record["instance"], how))
    torch.testing.assert_close(moved["s2"], by_hand(record["s2"], how))


ZOOMS = [Move(True, 3, 1.7, (0.2, -0.3)), Move(zoom=2.0, center=(-0.5, -0.2))]


@pytest.mark.parametrize("how", SYMMETRIES + ZOOMS, ids=str)
def test_boxes_follow_what_they_enclose(how):
    image = torch.zeros(1, 2, 200, 300, dtype=torch.uint8)
    boxes = torch.tensor([[120.0, 80, 160, 100], [180, 110, 190, 140]])
    for channel, (left, top, right, bottom) in enumerate(boxes.int().tolist()):
        image[:, channel, top:bottom, left:right] = 255
    record = {"hr": image, "bbox_xyxy": boxes, "bbox_label": torch.tensor([0, 1]), "names": ("a", "b")}
    moved = move(record, how)
    assert len(moved["bbox_xyxy"]) == (2 if how.zoom < 2 else 1)
    for box, channel in zip(moved["bbox_xyxy"], moved["bbox_label"].tolist(), strict=True):
        rows, columns = np.nonzero(moved["hr"][0, channel].numpy() > 127)
        seen = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=torch.float32)
        assert (box - seen).abs().max() <= 1


@pytest.mark.parametrize("how", SYMMETRIES, ids=str)
def test_oriented_boxes_agree_with_upright_ones_and_stay_clockwise(how):
    corners = torch.tensor([[[10.0, 20], [40, 20], [40, 35], [10, 35]]])
    common = {"hr": torch.zeros(1, 3, 60, 90, dtype=torch.uint8), "bbox_label": torch.tensor([1]), "names": ("x",)}
    oriented = move({**common, "bbox_corners": corners}, how)["bbox_corners"]
    upright = move({**common, "bbox_xyxy": torch.tensor([[10.0, 20, 40, 35]])}, how)["bbox_xyxy"]
    torch.testing.assert_close(torch.cat([oriented.amin(1), oriented.amax(1)], 1), upright)
    following = oriented.roll(-1, dims=1)
    area = (oriented[..., 0] * following[..., 1] - following[..., 0] * oriented[..., 1]).sum(1) / 2
    assert area.tolist() == pytest.approx([30 * 15])


def test_sensors_of_different_pixels_show_the_same_ground_after_a_zoom():
    ramp = torch.linspace(0, 1, 128).expand(128, 128)
    fine, coarse = ramp[None, None], torch.nn.functional.avg_pool2d(ramp[None, None], 8)
    moved = move({"hr": fine, "s2": coarse}, Move(True, 1, 2.0, (0.3, -0.2)))
    again = torch.nn.functional.avg_pool2d(moved["hr"], 8)
    assert (again - moved["s2"]).abs().max() < 0.01


def test_boxes_whose_middle_leaves_are_dropped_with_their_names_and_others_are_cut():
    record = {
        "hr": torch.zeros(1, 3, 100, 100, dtype=torch.uint8),
        "bbox_xyxy": torch.tensor([[10.0, 10, 20, 20], [40, 40, 60, 60], [69, 45, 78, 55]]),
        "bbox_label": torch.tensor([0, 1, 2]),
        "names": ("corner", "middle", "edge"),
    }
    moved = move(record, Move(zoom=2.0))
    assert moved["names"] == ("middle", "edge") and moved["bbox_label"].tolist() == [1, 2]
    torch.testing.assert_close(moved["bbox_xyxy"], torch.tensor([[30.0, 30, 70, 70], [88, 40, 100, 60]]))


def test_gaps_stay_gaps_and_do_not_spread():
    image = torch.ones(1, 1, 6, 6)
    image[..., 2, 3] = torch.nan
    for how in SYMMETRIES:
        moved = move({"s2": image}, how)["s2"]
        assert torch.equal(moved.isnan(), by_hand(image.isnan(), how))
        assert (moved.nan_to_num(1.0) == 1).all()


def test_drawn_windows_stay_inside_and_repeat_with_the_seed():
    draws = [Move.draw(torch.Generator().manual_seed(seed), largest_zoom=3.0) for seed in range(200)]
    assert draws == [Move.draw(torch.Generator().manual_seed(seed), largest_zoom=3.0) for seed in range(200)]
    assert {(one.flip, one.turns) for one in draws} == {(f, t) for f in (False, True) for t in range(4)}
    assert all(1 <= one.zoom <= 3 and max(map(abs, one.center)) + 1 / one.zoom <= 1 + 1e-6 for one in draws)


def test_where_pixels_were_on_earth_is_forgotten():
    moved = move(
        {"s2": torch.zeros(1, 10, 4, 4), "crs": "EPSG:32633", "transform": (1, 0, 0, 0, -1, 0)}, Move(flip=True)
    )
    assert "crs" not in moved and "transform" not in moved
