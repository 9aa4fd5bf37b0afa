"""What was broken comes back as it was; what is sound, or could be two things, stays."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sound_images import high_resolution, sentinel1, sentinel2

from skysense_nb.data.doctor import diagnose
from skysense_nb.data.mending import MENDS, Step, mend
from skysense_nb.data.scene import build
from skysense_nb.data.storage import open_scene, save
from skysense_nb.data.synthetic import World
from skysense_nb.errors import ParameterError
from skysense_nb.sensors import SENSORS

LATE = ("2023-05-03", "2023-07-12")
DAYS = {"s2": ("2021-05-03", "2023-07-12"), "s1": ("2021-05-04", "2023-07-13")}


def tree(**images) -> xr.DataTree:
    """A scene put together without the checks of `build`."""
    return xr.DataTree.from_dict({name: image.to_dataset(name="image") for name, image in images.items()})


def sound() -> dict[str, xr.DataArray]:
    return {"s2": sentinel2(DAYS["s2"]).clip(min=0), "s1": sentinel1(DAYS["s1"])}


def with_fill(image, fill):
    """The same image with a corner of fill values; and as it should come back."""
    corner = (image.x < image.x[8]) & (image.y > image.y[8])
    return image.where(~corner, fill), image.where(~corner)


def append_empty(image):
    blank = xr.full_like(image[:1], np.nan).assign_coords(time=pd.DatetimeIndex(["2023-08-01"]))
    return xr.concat([image, blank], dim="time")


def append_undated(image):
    return xr.concat([image, image[:1].assign_coords(time=pd.DatetimeIndex([None]))], dim="time")


def offset_since_2022(image):
    return image + xr.where(image.time >= np.datetime64("2022-01-25"), 1000, 0)


SYMPTOMS = {
    "bands reversed": ("s2", "bands", lambda i: i.isel(band=slice(None, None, -1))),
    "other spelling": ("s2", "bands", lambda i: i.assign_coords(band=[f"B{b[1:]:0>2}" for b in i.band.values])),
    "a band too many": (
        "s2", "bands", lambda i: xr.concat([i[:, :1].assign_coords(band=["B1"]), i], dim="band"),
    ),
    "dates reversed": ("s2", "dates", lambda i: i.isel(time=[1, 0])),
    "an image without a date": ("s1", "dates", append_undated),
    "an empty date": ("s2", "empty dates", append_empty),
    "an empty radar date": ("s1", "empty dates", append_empty),
    "reflectance": ("s2", "unit", lambda i: i / 10_000),
    "linear power": ("s1", "unit", lambda i: 10 ** (i / 10)),
    "offset": ("s2", "offset", offset_since_2022),
}  # fmt: skip


def unsound(scene, checks) -> list:
    return [one for one in diagnose(scene).findings if one.check in checks and one.level != "ok"]


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_a_symptom_is_found_mended_and_gone(symptom):
    name, check, harm = SYMPTOMS[symptom]
    images = sound()
    broken = tree(**images | {name: harm(images[name]).transpose(*images[name].dims)})
    assert unsound(broken, [check])
    untouched = broken.copy(deep=True)
    mended, steps = mend(broken)
    assert [(step.modality, step.check, step.done) for step in steps] == [(name, check, True)]
    assert steps[0].words
    assert not unsound(mended, MENDS)
    for one, image in images.items():
        xr.testing.assert_allclose(mended[one]["image"].drop_attrs(), image.drop_attrs().rename("image"), rtol=1e-5)
        assert mended[one]["image"].rio.crs == image.rio.crs
    assert broken.identical(untouched)


@pytest.mark.parametrize("name", ["hr", "s2", "s1"])
@pytest.mark.parametrize("fill", [-9999.0, 65535.0, -np.inf])
def test_fill_values_become_gaps_and_nothing_else_changes(name, fill):
    image = {"hr": high_resolution(size=4), **sound()}[name]
    broken, wanted = with_fill(image, fill)
    mended, steps = mend(tree(**{name: broken}))
    assert [step.check for step in steps if step.done] == ["fill values"]
    xr.testing.assert_equal(mended[name]["image"], wanted)
    assert not unsound(mended, ["fill values"])


def test_a_number_declared_as_nodata_counts_where_every_band_holds_it():
    image = sentinel2(DAYS["s2"])
    broken, wanted = with_fill(image, 7.0)
    lone = {"time": 0, "band": 3, "y": 20, "x": 20}
    broken[lone] = wanted[lone] = 7.0
    mended, steps = mend(tree(s2=broken.assign_attrs(_FillValue=7.0)))
    assert [step.check for step in steps if step.done] == ["fill values"]
    xr.testing.assert_equal(mended["s2"]["image"], wanted)
    assert not unsound(tree(s2=broken), ["fill values"])  # undeclared, seven is a measurement


def test_all_that_can_be_mended_at_once():
    images = sound()
    s2 = offset_since_2022(images["s2"]) / 10_000
    s2, gaps = with_fill(s2, -9999.0)
    s2 = append_empty(s2).isel(time=[1, 2, 0], band=slice(None, None, -1))
    s1 = (10 ** (images["s1"] / 10)).isel(time=[1, 0])
    mended, steps = mend(tree(s2=s2, s1=s1))
    done = [f"{step.modality} {step.check}" for step in steps if step.done]
    assert done == [*(f"s2 {check}" for check in MENDS), "s1 dates", "s1 unit"]
    xr.testing.assert_allclose(mended["s2"]["image"], images["s2"].where(gaps.notnull()).rename("image"), rtol=1e-4)
    xr.testing.assert_allclose(mended["s1"]["image"], images["s1"].rename("image"), rtol=1e-4)
    build(**{name: mended[name]["image"] for name in ("s2", "s1")})


def test_a_sound_scene_comes_back_itself():
    scene = build(hr=high_resolution(), **sound())
    assert mend(scene)[0] is scene and mend(scene)[1] == []
    place = World(seed=1).scene(11.6, 48.1, size_m=320)
    assert mend(place)[0] is place and not any(step.done for step in mend(place)[1])


def test_masks_follow_their_images():
    image, clear = sentinel2(DAYS["s2"]), xr.ones_like(sentinel2(DAYS["s2"])[:, 0], dtype=bool)
    clear[1, :5] = False
    node = xr.Dataset({"image": image, "clear": clear.drop_vars("band")}).isel(time=[1, 0])
    mended, _ = mend(xr.DataTree.from_dict({"s2": node}))
    assert mended["s2"]["clear"].mean(("y", "x")).values.tolist() == [1.0, 27 / 32]


def test_only_what_was_asked_for():
    images = sound()
    broken = tree(s2=images["s2"].isel(time=[1, 0]) / 10_000, s1=images["s1"].isel(time=[1, 0]))
    mended, steps = mend(broken, only=["unit"])
    assert [(step.modality, step.check) for step in steps] == [("s2", "unit")]
    assert (mended["s2"].time.diff("time").values < np.timedelta64(0)).all()
    with pytest.raises(ParameterError, match=r"^Expected mends among bands, dates, .*, got colours\."):
        mend(broken, only="colours")


def test_a_conversion_leaves_fill_values_recognisable():
    broken, wanted = with_fill(sound()["s2"], -9999.0)
    half, _ = mend(tree(s2=broken.where(broken == -9999, broken / 10_000)), only="unit")
    assert float(half["s2"]["image"].min()) == -9999
    xr.testing.assert_allclose(mend(half)[0]["s2"]["image"], wanted.rename("image"), rtol=1e-5)


def swapped(image):
    return image.isel(band=slice(None, None, -1)).assign_coords(band=image.band.values)


def sand(image):
    """Dunes: brighter from blue to infrared, nothing dark, as the Sahara without any offset."""
    dunes = np.array([1150, 1800, 2500, 2700, 2800, 2900, 3000, 3100, 4200, 3900.0])[:, None, None]
    return image.copy(data=np.broadcast_to(dunes, image.shape) * (1 + 0.02 * np.sin(np.arange(32.0))))


@pytest.mark.parametrize(
    ("name", "check", "image", "words"),
    [
        ("s2", "band content", swapped(sentinel2()), "It fits the order reversed"),
        ("s1", "band content", swapped(sentinel1()), "VV and VH are swapped"),
        ("s2", "bands", sentinel2().drop_vars("band"), "10 bands without names"),
        ("s2", "bands", sentinel2().isel(band=slice(0, 9)), "Find B12"),
        ("s2", "offset", sentinel2() + 1000, "If it is a reprocessed product"),
        ("s2", "offset", sand(sentinel2(LATE)), "looks like sand"),
        ("s2", "unit", (sentinel2() / 20).clip(0, 255).round(), "picture of 8 bits"),
        ("s1", "unit", 10 ** (sentinel1() / 20), "power or amplitude"),
        ("s1", "unit", 1000 * 10 ** (sentinel1() / 20), "Calibrate"),
        ("hr", "unit", high_resolution(size=4) / 255, "Multiply by 255"),
        ("s2", "dates", sentinel2().assign_coords(time=sentinel2().time[[0, 0]]), "more than once"),
        ("s2", "CRS", sentinel2().drop_vars("spatial_ref"), "Write the right one"),
    ],
)
def test_what_could_be_two_things_is_left_and_said(name, check, image, words):
    scene = tree(**{name: image})
    mended, steps = mend(scene)
    assert mended is scene
    left = {step.check: step for step in steps}
    assert not left[check].done and words in left[check].words
    assert str(left[check]).startswith(f"  left     {name} · {check}: ")


def test_a_mix_of_dates_with_and_without_offset_is_not_guessed_at():
    image = sentinel2(("2023-05-03", "2023-07-12"))
    half = image.copy(data=np.concatenate([image[:1], image[1:] + 1000]))
    assert mend(tree(s2=half))[0]["s2"]["image"].equals(half)


def test_whole_numbers_and_files_are_mended_too(tmp_path):
    image = sound()["s2"].round()
    stored = offset_since_2022(image).astype("uint16")
    broken = open_scene(save(tree(s2=stored, s1=sound()["s1"]), tmp_path / "broken.zarr"))
    mended, steps = mend(broken)
    assert [step.check for step in steps] == ["offset"] and "1 of 2 dates" in steps[0].words
    back = open_scene(save(mended, tmp_path / "mended.zarr"))
    np.testing.assert_array_equal(back["s2"]["image"].values, image.values)
    assert diagnose(back).ok and list(back["s2"]["image"].band.values) == list(SENSORS["s2"].bands)
    assert Step("s2", "unit", True, "reflectance × 10,000") != steps[0]
