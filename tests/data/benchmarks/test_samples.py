"""From records to model input: one grid, one unit, dates as days, and back to the map."""

import numpy as np
import pytest
import torch
from affine import Affine

from skysense_nb.data.benchmarks.samples import collate_records, default_cells, to_model, to_scene
from skysense_nb.data.catalog import benchmark
from skysense_nb.errors import SampleError, SceneError
from skysense_nb.models import load
from skysense_nb.sensors import S1, S2

GENERATOR = torch.Generator().manual_seed(0)


def days(*texts):
    return np.array(texts, dtype="datetime64[D]")


def boxes_record():
    return {
        "id": "1",
        "hr": torch.randint(0, 256, (1, 3, 800, 640), generator=GENERATOR).to(torch.uint8),
        "hr_date": days("NaT"),
        "bbox_xyxy": torch.tensor([[0.0, 0, 640, 800], [64, 80, 128, 160]]),
        "bbox_label": torch.tensor([3, 4]),
        "names": ("bridge", "chimney"),
    }


def series_record(dates=3, size=12):
    return {
        "id": "x",
        "s2": torch.rand(dates, 10, size, size, generator=GENERATOR) * 4000,
        "s2_date": days(*["2019-01-01", "2019-07-02", "2020-12-31", "2019-03-01"][:dates]),
        "s1": torch.rand(2, 2, size, size, generator=GENERATOR) * -20,
        "s1_date": days("2019-02-01", "NaT"),
        "mask": torch.randint(0, 19, (size, size), generator=GENERATOR),
    }


def test_boxes_follow_the_image_onto_the_grid_of_cells():
    sample = to_model(boxes_record(), benchmark("dior"), cells=(5, 8))
    assert sample["hr"].shape == (1, 1, 3, 160, 256)
    torch.testing.assert_close(sample["bbox_xyxy"], torch.tensor([[0.0, 0, 256, 160], [25.6, 16, 51.2, 32]]))
    corners = {**boxes_record(), "bbox_corners": torch.tensor([[[64.0, 80], [128, 80], [128, 160], [64, 160]]])}
    moved = to_model(corners, benchmark("dior"), cells=(5, 8))["bbox_corners"]
    torch.testing.assert_close(moved[0, 2], torch.tensor([51.2, 32.0]))


def test_an_image_whose_sides_are_blocks_of_32_keeps_its_pixels():
    record = boxes_record()
    sample = to_model(record, benchmark("dior"))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    back = (sample["hr"][0] * std[:, None, None] + mean[:, None, None]) * 255
    torch.testing.assert_close(back, record["hr"].float(), atol=1e-3, rtol=0)


def test_values_are_normalised_by_the_sensor_or_by_the_benchmark():
    record = series_record()
    sensor = to_model(record, benchmark("ben_mm"))
    for name, known in (("s2", S2), ("s1", S1)):
        mean, std = (torch.tensor(values)[:, None, None] for values in (known.mean, known.std))
        torch.testing.assert_close(sensor[name][0], (record[name] - mean) / std)
    own = to_model(record, benchmark("ben_mm"), normalisation="dataset")
    back = own["s2"][0, :, 6] * 1365.46 + 2218.95  # B8 of BigEarthNet
    torch.testing.assert_close(back, record["s2"][:, 6], rtol=1e-4, atol=1e-2)
    back = own["s1"][0, :, 0] * 5.116 - 12.62
    torch.testing.assert_close(back, record["s1"][:, 0], rtol=1e-4, atol=1e-4)


def test_dates_become_days_of_the_year_and_unknown_ones_the_first_of_july():
    sample = to_model(series_record(), benchmark("pastis"))
    assert sample["s2_day"].tolist() == [[0, 182, 364]]
    assert sample["s1_day"].tolist() == [[31, 182]]


def test_gaps_are_zero_and_dates_of_gaps_alone_do_not_count():
    record = series_record()
    record["s2"][1] = torch.nan
    record["s2"][0, :, 2, 3] = torch.nan
    sample = to_model(record, benchmark("pastis"))
    assert sample["s2_valid"].tolist() == [[True, False, True]]
    assert sample["s2"].isfinite().all()
    assert (sample["s2"][0, 1] == 0).all() and (sample["s2"][0, 0, :, 2, 3] == 0).all()


@pytest.mark.parametrize(
    "hr, s2, cells",
    [
        (1280, 128, (128, 128)),
        (1024, 1024, (32, 32)),
        (1024, 32, (32, 32)),
        (600, None, (19, 19)),
        (None, 60, (60, 60)),
    ],
)
def test_the_grid_of_cells_suits_the_finer_of_what_is_there(hr, s2, cells):
    record = {}
    if hr:
        record["hr"] = torch.zeros(1, 3, hr, hr, dtype=torch.uint8)
    if s2:
        record["s2"] = torch.zeros(1, 10, s2, s2)
    assert default_cells(record) == cells


def test_coarser_pixels_are_means_of_finer_ones():
    record = series_record(size=12)
    fine = {**record, "s2": record["s2"].repeat_interleave(4, -1).repeat_interleave(4, -2)}
    entry = benchmark("dyna_mm")
    torch.testing.assert_close(to_model(fine, entry, cells=(12, 12))["s2"], to_model(record, entry)["s2"])


def test_a_unit_that_cannot_be_meant_is_refused():
    record = {"hr": torch.full((1, 4, 64, 64), 1200.0), "hr_date": days("2019-01-01")}
    with pytest.raises(SampleError, match="Expected hr in"):
        to_model(record, benchmark("dyna_pla"))
    assert to_model(record, benchmark("dyna_pla"), normalisation="dataset")["hr"].shape == (1, 1, 4, 64, 64)


def test_a_batch_is_padded_and_a_model_says_the_same_as_of_each_alone():
    model, _ = load("skysense-tiny", weights="random")
    model.eval()
    entry = benchmark("pastis")
    samples = [to_model(series_record(dates), entry) for dates in (2, 4)]
    batch = collate_records(samples)
    assert batch["s2"].shape[:2] == (2, 4) and batch["mask"].shape == (2, 12, 12)
    with torch.no_grad():
        together = model.features(batch).fused
        alone = torch.cat([model.features(sample).fused for sample in samples])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_boxes_stay_a_list_and_masks_of_different_sizes_are_refused():
    samples = [to_model(boxes_record(), benchmark("dior")) for _ in range(2)]
    samples[1]["bbox_xyxy"] = samples[1]["bbox_xyxy"][:1]
    assert [len(boxes) for boxes in collate_records(samples)["bbox_xyxy"]] == [2, 1]
    records = [series_record(), series_record()]
    records[1]["mask"] = records[1]["mask"][:6]
    with pytest.raises(SampleError, match="Expected mask of one size"):
        collate_records([to_model(record, benchmark("pastis")) for record in records])


def test_a_record_with_a_place_becomes_a_scene_on_it():
    record = series_record() | {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_400_000)}
    scene = to_scene(record)
    assert scene["s2"]["image"].odc.geobox.boundingbox.bbox == (500_000, 5_399_880, 500_120, 5_400_000)
    np.testing.assert_array_equal(scene["labels"]["mask"].values, record["mask"].numpy())
    by_date = scene["s2"]["image"].sel(time="2019-07-02")
    np.testing.assert_array_equal(by_date.values, record["s2"][1].numpy())
    with pytest.raises(SceneError, match="Expected a record with crs and transform, got none"):
        to_scene(series_record())
