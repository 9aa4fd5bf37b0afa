"""From scenes to tensors and back: alignment, dates, gaps, ground."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from skysense_nb import data
from skysense_nb.data.sample import collate, normalise, on_grid, to_map, to_sample
from skysense_nb.data.scene import DIMS, geobox
from skysense_nb.errors import SampleError
from skysense_nb.sensors import SENSORS


def image(name, size, pixel, dates=("2023-06-01",), value=None, offset=(0.0, 0.0)):
    """A made-up image over (500 km, 5000 km) of UTM 33N; values grow with x, or fall for radar, unless given."""
    bands = list(SENSORS[name].bands)
    x = 500_000 + offset[0] + pixel * (np.arange(size) + 0.5)
    y = 5_000_000 - offset[1] - pixel * (np.arange(size) + 0.5)
    values = np.broadcast_to(
        (x - 500_000) * (-1 if name == "s1" else 1) if value is None else value, (len(dates), len(bands), size, size)
    )
    coords = {"time": pd.DatetimeIndex(dates), "band": bands, "y": y, "x": x}
    return xr.DataArray(values.astype("float32"), dims=DIMS, coords=coords).rio.write_crs("EPSG:32633")


def denormalise(name, values):
    """The inverse of `normalise`, written the other way round."""
    sensor = SENSORS[name]
    mean, std = (np.array(numbers)[:, None, None] for numbers in (sensor.mean, sensor.std))
    return (values * std + mean) * sensor.divisor


def test_aligned_scene_is_only_normalised():
    scene = data.build(hr=image("hr", 128, 0.3125), s2=image("s2", 4, 10.0, ("2023-01-01", "2024-12-31")))
    sample = to_sample(scene)
    assert sample["hr"].shape == (1, 1, 3, 128, 128)
    assert sample["s2"].shape == (1, 2, 10, 4, 4)
    assert sample["s2_day"].tolist() == [[0, 364]]  # day 366 of a leap year shares the last entry
    back = denormalise("s2", sample["s2"][0].numpy())
    assert np.allclose(back, scene["s2"]["image"].values, atol=1e-3)
    lon, lat = sample["lonlat"][0].tolist()
    assert (lon, lat) == pytest.approx((15.0003, 45.1525), abs=1e-3)


def test_normalisation_by_hand():
    raw = np.full((1, 10, 1, 1), 1000.0, "float32")
    assert normalise("s2", raw)[0, 0, 0, 0] == pytest.approx((1000 - 884.297) / 1155.152)
    assert normalise("hr", np.full((3, 1, 1), 255.0, "float32"))[1, 0, 0] == pytest.approx((1 - 0.456) / 0.224)
    assert normalise("s1", np.full((2, 1, 1), np.nan, "float32")).tolist() == [[[0.0]], [[0.0]]]


@pytest.mark.parametrize("pixel,size", [(0.3, 427), (0.5, 256), (0.1, 1280)])
def test_hr_of_any_pixel_size_lands_on_the_cells(pixel, size):
    scene = data.build(hr=image("hr", size, pixel), s1=image("s1", 128 // 10, 10.0), clip=True)
    sample = to_sample(scene)
    rows, columns = sample["s1"].shape[-2:]
    assert sample["hr"].shape[-2:] == (32 * rows, 32 * columns)
    ramp = denormalise("hr", sample["hr"][0].numpy())[0, 0, 0]
    ground = 0.3125 * (np.arange(32 * columns) + 0.5)  # the ramp is metres east of the corner
    assert np.abs(ramp - ground)[4:-4].max() < 0.35


def test_a_date_mostly_under_clouds_is_marked_invalid():
    series = image("s2", 4, 10.0, ("2023-01-01", "2023-02-01", "2023-03-01"))
    clear = xr.ones_like(series.isel(band=0, drop=True), dtype=bool)
    clear[1, :, :3] = False
    series[2] = np.nan
    sample = to_sample(data.build(s2=series, clear={"s2": clear}))
    assert sample["s2_valid"].tolist() == [[True, False, False]]
    assert to_sample(data.build(s2=series, clear={"s2": clear}), min_clear=0.2)["s2_valid"].tolist() == [
        [True, True, False]
    ]
    assert torch.isfinite(sample["s2"]).all()


def test_maps_return_to_the_ground():
    scene = data.build(s2=image("s2", 5, 10.0))
    cells = np.arange(50, dtype="float32").reshape(2, 5, 5)
    back = to_map(scene, cells, model="none")
    assert back.dims == ("feature", "y", "x")
    assert np.allclose(back["x"], scene["s2"]["x"])
    assert np.allclose(back["y"], scene["s2"]["y"])
    assert np.array_equal(back.values, cells)
    assert np.array_equal(back.sel(x=500_025, y=4_999_985, method="nearest"), cells[:, 1, 2])
    assert back.rio.crs.to_epsg() == 32633
    assert back.attrs["model"] == "none"
    with pytest.raises(SampleError, match="Expected a map of 5 × 5 cells"):
        to_map(scene, cells[:, :4])


def test_hr_alone_has_cells_of_32_pixels():
    scene = data.build(hr=image("hr", 70, 0.5))
    back = to_map(scene, np.zeros((1, 3, 3), "float32"))
    assert geobox(scene["hr"]).boundingbox.left == back.odc.geobox.boundingbox.left
    assert back.odc.geobox.resolution.x == 16.0


def test_only_keeps_what_is_asked_for():
    scene = data.build(s2=image("s2", 4, 10.0), s1=image("s1", 4, 10.0))
    assert scene.sky.only(("s1",)).sky.modalities == ["s1"]
    with pytest.raises(SampleError) as error:
        scene.sky.only(("hr",))
    assert str(error.value) == "Expected one of hr, got a scene with s2, s1. Add one."


def test_resampling_keeps_a_matching_image_untouched():
    series = image("s2", 4, 10.0)
    assert on_grid(series, series.odc.geobox) is series


def test_collate_pads_dates_and_modalities():
    one = to_sample(data.build(s2=image("s2", 4, 10.0, ("2023-01-01", "2023-02-01")), s1=image("s1", 4, 10.0)))
    two = to_sample(data.build(s2=image("s2", 4, 10.0)))
    batch = collate([one, two])
    assert batch["s2"].shape == (2, 2, 10, 4, 4)
    assert batch["s2_valid"].tolist() == [[True, True], [True, False]]
    assert batch["s1_valid"].tolist() == [[True], [False]]
    assert batch["lonlat"].shape == (2, 2)
    with pytest.raises(SampleError, match="Expected s2 of one size"):
        collate([one, to_sample(data.build(s2=image("s2", 5, 10.0)))])
    with pytest.raises(SampleError, match="Expected at least one sample, got none"):
        collate([])


def test_model_embeds_a_scene_on_its_own_ground():
    from skysense_nb.models import load

    model, _ = load("skysense-tiny", weights=None, seed=0)
    scene = data.build(hr=image("hr", 128, 0.3125), s2=image("s2", 4, 10.0), s1=image("s1", 4, 10.0))
    embedding = model.embed(scene)
    assert embedding.shape == (128, 4, 4)
    assert embedding.rio.crs.to_epsg() == 32633
    assert embedding.attrs["model"] == "skysense-tiny, weights random, seed 0"
    one_sensor, _ = load("skysense-tiny", weights=None, seed=0, parts=("hr", "fusion"))
    assert one_sensor.embed(scene).shape == (128, 4, 4)


def test_running_out_of_memory_says_what_would_fit(monkeypatch):
    from skysense_nb.errors import EnvironmentProblem
    from skysense_nb.models import load
    from skysense_nb.models.multimodal import kept_form

    model, _ = load("skysense-tiny", weights=None, seed=0)
    monkeypatch.setattr(kept_form(model), "features", lambda sample, maps: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(EnvironmentProblem) as error:
        model.embed(data.build(s2=image("s2", 4, 10.0)))
    assert str(error.value).endswith(
        "Cut the scene (4 × 4 pixels) in half or more, or load the model with dtype=torch.bfloat16."
    )


@pytest.mark.parametrize(
    "name,value,message",
    [
        (
            "s2",
            0.3,
            "Expected s2 in surface reflectance × 10,000, got values up to 0.3, so reflectance 0–1. "
            "Multiply by 10,000: rasters.from_reflectance(image).",
        ),
        (
            "s1",
            0.05,
            "Expected s1 in backscatter in dB, mostly −30 to 0, got no negative value, median 0.05, so linear power. "
            "Convert it: rasters.to_db(image), or read(..., convert='to_db').",
        ),
        ("hr", 0.5, "Expected hr in display values 0–255, got values 0–0.5. Multiply by 255."),
    ],
)
def test_unmistakably_wrong_units_are_refused(name, value, message):
    with pytest.raises(SampleError) as error:
        to_sample(data.build(**{name: image(name, 32, SENSORS[name].pixel_size_m, value=value)}))
    assert str(error.value) == message


def test_dark_but_sound_images_pass():
    for name, value in (("hr", 0.0), ("hr", 3.0), ("s2", 0.0), ("s2", 40.0), ("s1", -35.0)):
        to_sample(data.build(**{name: image(name, 32, SENSORS[name].pixel_size_m, value=value)}))


def test_embedding_in_training_mode_repeats_and_returns_to_it():
    from skysense_nb.models import load

    model = load("skysense-tiny", weights=None, seed=0)[0].train()
    scene = data.build(hr=image("hr", 128, 0.3125))
    model.encoders.eval()
    assert np.array_equal(model.embed(scene), model.embed(scene))
    assert model.training
    assert model.fusion.training
    assert not model.encoders["hr"].training


def test_one_encoder_without_fusion_embeds_on_the_cells():
    from skysense_nb.models import load

    model, _ = load("skysense-tiny", weights=None, seed=0, parts=("s2",))
    embedding = model.embed(data.build(s2=image("s2", 10, 10.0), s1=image("s1", 10, 10.0)))
    assert embedding.shape == (128, 10, 10)
    assert np.array_equal(embedding[:, :4, :4], np.broadcast_to(embedding[:, :1, :1], (128, 4, 4)))


def test_fill_values_become_gaps_and_empty_dates_invalid():
    series = image("s2", 4, 10.0, ("2023-01-01", "2023-02-01", "2023-03-01"), value=2000.0)
    series[0, :, 1, 2] = -9999.0
    series[1] = 0.0
    sample = to_sample(data.build(s2=series))
    assert sample["s2_valid"].tolist() == [[True, False, True]]
    assert (sample["s2"][0, 0, :, 1, 2] == 0).all()
    assert (sample["s2"][0, 0, :, 0, 0] != 0).all()


def test_near_infrared_is_asked_for_in_words():
    scene = data.build(hr=image("hr", 64, 0.3125))
    with pytest.raises(SampleError) as error:
        to_sample(scene, hr_bands=4)
    assert str(error.value) == "Expected hr with R G B NIR, got no NIR. Load a model for R G B."
    colours = image("hr", 64, 0.3125, value=100.0)
    near = colours.isel(band=[0]).assign_coords(band=["NIR"]) + 20
    wide = to_sample(data.build(hr=xr.concat([colours, near], dim="band").transpose(*DIMS)), hr_bands=4)
    assert wide["hr"][0, 0, 3, 0, 0] == pytest.approx((120 / 255 - 0.485) / 0.229)


def test_finer_pixels_are_averaged():
    rng = np.random.default_rng(0)
    noise = image("hr", 256, 0.15625, value=rng.uniform(0, 255, (1, 3, 256, 256)))
    coarse = on_grid(noise, image("hr", 128, 0.3125).odc.geobox)
    blocks = noise.values.reshape(1, 3, 128, 2, 128, 2).mean((3, 5))
    assert np.allclose(coarse.values, blocks, atol=1e-3)
