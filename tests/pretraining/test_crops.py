"""Views: sensors stay on the same ground, cells find each other, dates and noise do what the plan says."""

import sys
from dataclasses import replace

import pytest
import torch

from skysense_nb.errors import EnvironmentProblem, ParameterError, SampleError
from skysense_nb.models.samples import check_sample
from skysense_nb.pretraining.crops import CropPlan, View, make_views, matching
from skysense_nb.pretraining.disturbances import statistics
from skysense_nb.sensors import SENSORS

QUIET = CropPlan(
    blur=(0, 0, 0), solarise=(0, 0, 0), brightness=0, contrast=0, s2_gain=0, s2_noise=0, s1_noise_db=0,
    date_jitter_days=0, s2_dates=3, s1_dates=2,
)  # fmt: skip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered_tiles(batch=3, rows=12, columns=13, dates=5):
    """Tiles whose every pixel holds 1000 · sample + the number of its ground cell."""
    cells = torch.arange(rows * columns, dtype=torch.float32).view(rows, columns)
    cells = cells + 1000 * torch.arange(batch)[:, None, None]
    pixels = cells.repeat_interleave(32, 1).repeat_interleave(32, 2)
    return {
        "hr": pixels[:, None, None].repeat(1, 1, 3, 1, 1),
        "s2": cells[:, None, None].repeat(1, dates, 10, 1, 1),
        "s1": cells[:, None, None].repeat(1, dates, 2, 1, 1),
        "land_cover": cells.long(),
        "tags": cells[:, None].repeat(1, 4, 1, 1),
        "lonlat": torch.rand(batch, 2),
    }


def dated_tiles(batch=4, dates=9, seed=0):
    """Tiles whose every Sentinel pixel holds the number of its date."""
    numbers = torch.arange(dates, dtype=torch.float32)[None, :, None, None, None]
    day = torch.rand(batch, dates, generator=seeded(seed)).argsort(1) * 30 + 3
    valid = torch.rand(batch, dates, generator=seeded(seed)) < 0.6
    return {
        "s2": numbers.expand(batch, dates, 10, 8, 8).clone(),
        "s2_day": day,
        "s2_valid": valid,
        "s1": numbers.expand(batch, dates, 2, 8, 8).clone(),
    }


def ground_cells(view):
    """Number of the ground cell in each cell of a view, B h w, as its Sentinel-2 images show it."""
    return view.sample["s2"][:, 0, 0]


def every_view(views):
    return [views.first, views.second, *views.local]


def test_all_sensors_and_labels_of_a_view_show_the_same_ground():
    for view in every_view(make_views(numbered_tiles(), QUIET, seeded())):
        cells = ground_cells(view)
        blocks = view.sample["hr"].unflatten(-1, (view.cells, 32)).unflatten(-3, (view.cells, 32))  # B T C h 32 w 32
        assert (blocks == cells[:, None, None, :, None, :, None]).all()
        assert (view.sample["s1"] == cells[:, None, None]).all()
        assert (view.sample["s2"] == cells[:, None, None]).all()
        assert torch.equal(view.labels["land_cover"], cells.long())
        assert (view.labels["tags"] == cells[:, None]).all()


def test_a_view_lies_where_its_origin_and_flip_say():
    tiles = numbered_tiles(batch=40)
    views = make_views(tiles, QUIET, seeded())
    assert {tuple(row) for row in views.first.flip.tolist()} == {(a, b) for a in (True, False) for b in (True, False)}
    for view in every_view(views):
        for b in range(40):
            top, left = view.origin[b].tolist()
            square = tiles["s2"][b, 0, 0, top : top + view.cells, left : left + view.cells]
            turn = [axis for axis in (0, 1) if view.flip[b, axis]]
            assert torch.equal(ground_cells(view)[b], square.flip(turn))
    origins = torch.cat([view.origin for view in views.local])
    assert origins.amin(0).tolist() == [0, 0]
    assert origins.amax(0).tolist() == [12 - 4, 13 - 4]


def test_matching_finds_equal_cells_and_nothing_else():
    views = every_view(make_views(numbered_tiles(), QUIET, seeded(3)))
    matched = 0
    for one in views:
        for other in views:
            index = matching(one, other)
            here, there = ground_cells(one).flatten(1).tolist(), ground_cells(other).flatten(1).tolist()
            for b, row in enumerate(index.tolist()):
                assert row == [there[b].index(cell) if cell in there[b] else -1 for cell in here[b]]
                matched += sum(number >= 0 for number in row)
    assert matched > 0


def test_matching_itself_is_the_identity_and_far_views_share_nothing():
    view = View({}, torch.tensor([[3, 5]]), torch.tensor([[True, False]]), 4)
    assert matching(view, view).tolist() == [list(range(16))]
    assert (matching(view, replace(view, origin=view.origin + 4)) == -1).all()


def test_one_seed_means_one_set_of_views():
    plan = CropPlan(s2_dates=3, s1_dates=2)
    tiles = numbered_tiles() | {"hr": torch.rand(3, 1, 3, 12 * 32, 13 * 32, generator=seeded())}
    one, same, other = (make_views(tiles, plan, seeded(seed)) for seed in (1, 1, 2))
    for left, right in zip(every_view(one), every_view(same), strict=True):
        assert torch.equal(left.origin, right.origin)
        assert all(torch.equal(left.sample[name], right.sample[name]) for name in left.sample)
    assert not torch.equal(one.first.origin, other.first.origin)
    assert not torch.equal(one.first.origin, one.second.origin)


def test_disturbances_do_not_move_crops_or_dates():
    quiet = make_views(dated_tiles(), QUIET, seeded())
    loud = make_views(dated_tiles(), replace(QUIET, s2_noise=50.0, s2_gain=0.1, s1_noise_db=1.0), seeded())
    for one, other in zip(every_view(quiet), every_view(loud), strict=True):
        assert torch.equal(one.origin, other.origin)
        assert torch.equal(one.flip, other.flip)
        assert torch.equal(one.sample["s2_day"], other.sample["s2_day"])
        assert not torch.equal(one.sample["s2"], other.sample["s2"])


def test_valid_dates_are_drawn_first_and_sorted_by_day():
    tiles, plan = dated_tiles(), replace(QUIET, s2_dates=4)
    for view in every_view(make_views(tiles, plan, seeded())):
        for b in range(4):
            held, valid = view.sample["s2"][b, :, 0, 0, 0].long(), view.sample["s2_valid"][b]
            expected = min(4, int(tiles["s2_valid"][b].sum()))
            assert valid.tolist() == [True] * expected + [False] * (4 - expected)
            shown, days = held[:expected], view.sample["s2_day"][b, :expected]
            assert len(set(shown.tolist())) == expected
            assert tiles["s2_valid"][b, shown].all()
            assert torch.equal(days, tiles["s2_day"][b, shown])
            assert days.tolist() == sorted(days.tolist())
            assert (view.sample["s2"][b, expected:] == 0).all()


def test_every_valid_date_is_drawn_sometimes():
    tiles, generator = dated_tiles(batch=1), seeded()
    wanted = set(tiles["s2_valid"][0].nonzero().flatten().tolist())
    plan, seen = replace(QUIET, s2_dates=1, local_views=0), set()
    for _ in range(40):
        seen.add(int(make_views(tiles, plan, generator).first.sample["s2"][0, 0, 0, 0, 0]))
    assert len(wanted) > 1
    assert seen == wanted


def test_missing_dates_are_padded_with_invalid_ones():
    view = make_views(dated_tiles(dates=2), replace(QUIET, s2_dates=5), seeded()).first
    assert view.sample["s2"].shape == (4, 5, 10, 8, 8)
    assert view.sample["s2_day"].shape == view.sample["s2_valid"].shape == (4, 5)
    assert not view.sample["s2_valid"][:, 2:].any()
    assert (view.sample["s2"][:, 2:] == 0).all()
    assert (view.sample["s2_day"][:, 2:] == 0).all()


def test_only_the_days_of_sentinel_dates_are_disturbed():
    tiles = dated_tiles(batch=30) | {"hr": torch.zeros(30, 1, 3, 256, 256)}
    tiles |= {"hr_day": torch.full((30, 1), 170), "s1_day": torch.arange(9).expand(30, 9)}
    tiles["s2_day"] = torch.tensor([0, 1, 2, 60, 120, 180, 240, 363, 364]).expand(30, 9)
    tiles["s2_valid"] = torch.ones(30, 9, dtype=torch.bool)
    view = make_views(tiles, replace(QUIET, date_jitter_days=5, s2_dates=9), seeded()).first
    held = view.sample["s2"][:, :, 0, 0, 0].long()
    assert torch.equal(held.sort(1).values, torch.arange(9).expand(30, 9))
    moved = view.sample["s2_day"] - tiles["s2_day"].gather(1, held)
    assert moved.unique().tolist() == list(range(-5, 6))
    assert view.sample["s2_day"].aminmax() == (0, 364)
    assert (view.sample["s2_day"].diff(dim=1) >= 0).all()
    assert (view.sample["hr_day"] == 170).all()


def test_a_sample_without_days_or_validity_keeps_the_order_of_its_dates():
    view = make_views({"s1": dated_tiles()["s1"]}, replace(QUIET, s1_dates=5), seeded()).first
    assert set(view.sample) == {"s1", "s1_valid"}
    assert (view.sample["s1"][:, :, 0, 0, 0].diff(dim=1) > 0).all()


def test_without_disturbance_values_stay_to_the_last_bit():
    tiles = dated_tiles() | {"hr": torch.randn(4, 1, 3, 256, 256, generator=seeded())}
    view = make_views(tiles, replace(QUIET, flip=False, s2_dates=9, s1_dates=9), seeded()).first
    assert torch.equal(view.sample["hr"], tiles["hr"])
    assert torch.equal(view.sample["s1"], tiles["s1"])


def test_what_is_not_finite_stays_in_its_invalid_date_and_is_cleared():
    plan = replace(CropPlan(), s2_dates=9, s1_dates=9, hr_dates=2)
    tiles = dated_tiles() | {"hr": torch.zeros(4, 2, 3, 256, 256)}
    tiles["s2"] = torch.where(tiles["s2_valid"][:, :, None, None, None], tiles["s2"], torch.nan)
    tiles["hr"][:, 0], tiles["hr_valid"] = torch.inf, torch.tensor([[False, True]]).repeat(4, 1)
    for view in every_view(make_views(tiles, plan, seeded())):
        assert all(view.sample[name].isfinite().all() for name in ("hr", "s2", "s1"))
        assert torch.equal(view.sample["s2_valid"].sum(1), tiles["s2_valid"].sum(1))


def test_light_changes_all_bands_of_a_date_by_one_factor():
    mean, std = statistics("s2", torch.zeros(10, 1, 1))
    reflectance = torch.rand(4, 3, 10, 8, 8, generator=seeded()) * 4000 + 500
    tiles = {"s2": (reflectance - mean) / std}
    view = make_views(tiles, replace(QUIET, flip=False, s2_gain=0.05), seeded()).first
    factor = (view.sample["s2"] * std + mean) / reflectance
    per_date = factor[:, :, :1, :1, :1]
    assert torch.allclose(factor, per_date.expand_as(factor), rtol=1e-4)
    assert 0.02 < per_date.std() < 0.1
    assert per_date.unique().numel() == 12


@pytest.mark.parametrize(
    ("name", "change", "expected"), [("s2", {"s2_noise": 20.0}, 20.0), ("s1", {"s1_noise_db": 0.5}, 0.5)]
)
def test_noise_has_the_strength_of_the_plan_in_physical_units(name, change, expected):
    bands = len(SENSORS[name].bands)
    tiles = {name: torch.zeros(8, 3, bands, 8, 8)}
    view = make_views(tiles, replace(QUIET, s1_dates=3, **change), seeded()).first
    noise = view.sample[name] * statistics(name, tiles[name])[1]
    spread = noise.transpose(0, 2).flatten(1).std(1)
    assert spread.tolist() == pytest.approx([expected] * bands, rel=0.1)
    flat = noise.transpose(0, 2).flatten(1)
    assert (torch.corrcoef(flat) - torch.eye(bands)).abs().max() < 0.15  # every band and pixel has its own


def hr_tiles(batch=6):
    """Rough colours 0–1 as a normalised sample, and the colours themselves."""
    colours = torch.rand(batch, 1, 3, 256, 256, generator=seeded()) * 0.3 + 0.35
    colours = colours + torch.tensor([0.1, 0.0, -0.1])[:, None, None]
    mean, std = statistics("hr", colours)
    return {"hr": (colours - mean) / std}, colours


def colours_of(view):
    mean, std = statistics("hr", view.sample["hr"])
    return view.sample["hr"] * std + mean


def test_blur_and_solarisation_fall_on_the_views_they_are_planned_for():
    tiles, colours = hr_tiles()
    plan = replace(QUIET, flip=False, local_views=0, blur=(1, 0, 0), solarise=(0, 1, 0))
    views = make_views(tiles, plan, seeded())
    blurred, solarised = colours_of(views.first), colours_of(views.second)
    assert torch.allclose(solarised, torch.where(colours < 0.5, colours, 1 - colours), atol=1e-5)
    assert torch.allclose(blurred.mean((2, 3, 4)), colours.mean((2, 3, 4)), atol=2e-3)
    roughness = (blurred.diff(dim=-1).abs().mean((1, 2, 3, 4)) / colours.diff(dim=-1).abs().mean((1, 2, 3, 4))).tolist()
    assert max(roughness) < 1.001
    assert min(roughness) < 0.3
    assert max(roughness) > 2 * min(roughness)  # each image has its own width


def test_blur_is_a_gaussian_of_the_drawn_width():
    point = torch.full((1, 1, 3, 256, 256), 0.25)
    point[..., 128, 128] = 0.75
    mean, std = statistics("hr", point)
    plan = replace(QUIET, flip=False, local_views=0, blur=(1, 0, 0))
    view = make_views({"hr": (point - mean) / std}, plan, seeded(5)).first
    seen = colours_of(view)[0, 0, 0, 122:135, 122:135] - 0.25
    sigma = (2 * (seen[6, 6] / seen[6, 7]).log()) ** -0.5  # of exp(−r² / 2σ²) at distance 0 and 1
    along = torch.exp(-((torch.arange(13.0) - 6) ** 2) / (2 * sigma**2))
    assert 0.1 < sigma < 2.0
    assert torch.allclose(seen, 0.5 * torch.outer(along, along) / along.sum() ** 2, atol=1e-5)


def test_brightness_and_contrast_stretch_all_colours_alike():
    tiles, colours = hr_tiles()
    view = make_views(tiles, replace(QUIET, flip=False, brightness=0.2, contrast=0.2), seeded()).first
    for before, after in zip(colours[:, 0].flatten(1), colours_of(view)[:, 0].flatten(1), strict=True):
        slope, offset = torch.linalg.lstsq(torch.stack((before, torch.ones_like(before)), 1), after[:, None])[0][:, 0]
        assert torch.allclose(after, slope * before + offset, atol=1e-4)  # one line for R, G and B
        light = after.mean() / before.mean()
        assert 0.8 <= light <= 1.2
        assert 0.8 <= slope / light <= 1.2


def test_disturbed_colours_stay_colours():
    tiles, _ = hr_tiles()
    plan = CropPlan(brightness=0.9, contrast=0.9)
    for view in every_view(make_views(tiles, plan, seeded())):
        assert colours_of(view).min() > -1e-5
        assert colours_of(view).max() < 1 + 1e-5


def test_the_tiles_themselves_are_left_as_they_are():
    tiles = dated_tiles() | hr_tiles(batch=4)[0]
    before = {name: values.clone() for name, values in tiles.items()}
    make_views(tiles, CropPlan(), seeded())
    assert set(tiles) == set(before)
    assert all(torch.equal(tiles[name], before[name]) for name in before)


def test_a_model_accepts_a_view():
    tiles = dated_tiles() | hr_tiles(batch=4)[0] | {"lonlat": torch.rand(4, 2)}
    tiles["s1_day"], tiles["hr_day"] = tiles["s2_day"], torch.full((4, 1), 170)
    for view in every_view(make_views(tiles, CropPlan(), seeded())):
        assert check_sample(view.sample, {"hr": 3, "s2": 10, "s1": 2}, ("s2", "s1"), True) == ["hr", "s2", "s1"]


def test_tiles_as_large_as_the_view_have_one_crop():
    view = make_views(dated_tiles(), replace(QUIET, local_views=0), seeded()).first
    assert (view.origin == 0).all()


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"s1": torch.zeros(1, 1, 2, 7, 9)}, "Expected tiles of at least 8 × 8 cells, got 7 × 9. Use larger tiles"),
        ({"s1": torch.zeros(1, 1, 2, 8, 8), "hr": torch.zeros(1, 1, 3, 288, 256)}, "Expected 32 × 32 HR pixels per"),
        ({"hr": torch.zeros(1, 1, 3, 300, 300)}, "Expected 32 × 32 HR pixels per Sentinel pixel, got hr (300, 300)"),
        ({"lonlat": torch.zeros(1, 2)}, "Expected at least one of hr, s2, s1, got keys ['lonlat']"),
    ],
)
def test_tiles_that_cannot_be_cut_are_refused(sample, message):
    with pytest.raises(SampleError) as error:
        make_views(sample, QUIET, seeded())
    assert str(error.value).startswith(message)


def test_impossible_plans_are_refused():
    with pytest.raises(ParameterError, match="Expected s2_dates of at least 1, got 0"):
        CropPlan(s2_dates=0)
    with pytest.raises(ParameterError, match="Expected date_jitter_days of at least 0, got -1"):
        CropPlan(date_jitter_days=-1)
    assert make_views(dated_tiles(), CropPlan(local_views=0), seeded()).local == []
    with pytest.raises(ParameterError, match="Expected three probabilities for blur"):
        CropPlan(blur=(0.5, 2.0, 0.5))


def test_kornia_is_missed_only_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.enhance", None)
    tiles, _ = hr_tiles(batch=1)
    with pytest.raises(EnvironmentProblem, match="Install kornia, or plan blur"):
        make_views(tiles, CropPlan(), seeded())
    make_views(tiles, CropPlan(blur=(0, 0, 0), solarise=(0, 0, 0)), seeded())
    make_views(dated_tiles(), CropPlan(), seeded())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_seed_means_the_same_views_on_a_gpu():
    tiles = dated_tiles() | hr_tiles(batch=4)[0]
    on_gpu = {name: values.cuda() for name, values in tiles.items()}
    here, there = make_views(tiles, CropPlan(), seeded()), make_views(on_gpu, CropPlan(), seeded())
    for one, other in zip(every_view(here), every_view(there), strict=True):
        assert torch.equal(one.origin, other.origin.cpu())
        assert torch.equal(one.sample["s2_day"], other.sample["s2_day"].cpu())
        assert all(torch.allclose(one.sample[name], other.sample[name].cpu(), atol=1e-4) for name in ("hr", "s2", "s1"))


def test_autocast_changes_no_view():
    tiles = {"hr": torch.rand(2, 1, 3, 128, 128), "s2": torch.rand(2, 2, 10, 4, 4), "s1": torch.rand(2, 2, 2, 4, 4)}
    plan = CropPlan(global_cells=3, local_cells=2, s2_dates=2, s1_dates=1, blur=(1, 1, 1), solarise=(1, 1, 1))
    plain = make_views(tiles, plan, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        cast = make_views(tiles, plan, torch.Generator().manual_seed(0))
    for one, other in zip(
        (plain.first, plain.second, *plain.local), (cast.first, cast.second, *cast.local), strict=True
    ):
        assert all(torch.equal(one.sample[name], other.sample[name]) for name in one.sample)
