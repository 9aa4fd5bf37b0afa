"""Each disease has its patient; sound scenes leave without a prescription."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sound_images import SPECTRA, high_resolution, sentinel1, sentinel2

from skysense_nb.data.band_orders import OTHER_S2_ORDERS
from skysense_nb.data.doctor import Finding, Report, diagnose, diagnose_image
from skysense_nb.data.rasters import from_reflectance, to_db, undo_offset
from skysense_nb.data.sample import to_sample
from skysense_nb.data.scene import build
from skysense_nb.data.storage import save
from skysense_nb.errors import SceneError
from skysense_nb.sensors import SENSORS


def found(name, image) -> dict[str, Finding]:
    """Findings other than ok, by check."""
    return {finding.check: finding for finding in diagnose_image(name, image).findings if finding.level != "ok"}


def test_sound_scene_is_clean(tmp_path):
    scene = build(hr=high_resolution(), s2=sentinel2(), s1=sentinel1())
    report = diagnose(scene)
    assert report.ok and all(finding.level == "ok" for finding in report.findings), str(report)
    assert str(report).startswith("Fit for the encoders: nothing to remark")
    assert {"pixel ratio", "alignment"} <= {finding.check for finding in report.findings}
    assert diagnose(save(scene, tmp_path / "place.zarr")).ok


def test_synthetic_world_is_clean():
    World = getattr(importlib.import_module("skysense_nb.data.synthetic"), "World", None)
    if World is None:
        pytest.skip("no synthetic world yet")
    for lonlat in ((11.6, 48.1), (-60.1, -3.1), (31.2, 30.1)):
        report = diagnose(World(seed=1).scene(*lonlat, size_m=320))
        assert report.ok, str(report)


def test_raw_image_without_time_axis_is_examined():
    image = sentinel2().isel(time=0, drop=True)
    assert set(found("s2", image)) == {"dates"}


@pytest.mark.parametrize(
    ("change", "check", "level", "seen"),
    [
        (lambda i: i / 10_000, "unit", "error", "values up to 0.4"),
        (lambda i: (i / 20).clip(0, 255).round(), "unit", "error", "so a picture of 8 bits"),
        (lambda i: i * 100, "unit", "error", "values "),
        (lambda i: i.where(i.x > 500_160, -9999), "fill values", "error", "50.0% of the values are -9999"),
        (lambda i: i.where(i.x > 500_160, -9999), "nodata", "warning", "50.0% of the pixels are NaN or 0"),
        (lambda i: i.where(i.x > 500_010, 0), "nodata", "note", "3.1% of the pixels are NaN or 0 in every band"),
        (lambda i: i.where(i.x > 500_160), "nodata", "warning", "50.0% of the pixels"),
        (lambda i: i.isel(band=slice(0, 9)), "bands", "error", "9 bands B2 B3 B4 B5 B6 B7 B8 B8A B11"),
        (lambda i: i.isel(band=slice(None, None, -1)), "bands", "warning", "10 bands in the order B12 B11"),
        (lambda i: i.drop_vars("band"), "bands", "note", "10 bands without names"),
        (lambda i: i.assign_coords(band=range(1, 11)), "bands", "note", "10 bands without names"),
        (lambda i: i.drop_vars(["x", "y"]), "CRS", "error", "no evenly spaced x and y"),
        (lambda i: i.assign_coords(x=[*i.x.values[:-1], 9e5]), "CRS", "error", "no evenly spaced x and y"),
        (lambda i: i.drop_vars("time"), "dates", "error", "none"),
        (lambda i: i.assign_coords(time=[1, 2]), "dates", "error", "int64 values"),
        (lambda i: i.assign_coords(time=pd.DatetimeIndex(["2021-05-03", None])), "dates", "error", "1 of 2 empty"),
        (
            lambda i: i.assign_coords(time=pd.DatetimeIndex(["1970-01-01"] * 2)),
            "dates",
            "warning",
            "1970-01-01, before",
        ),
        (lambda i: i.assign_coords(time=i.time[[0, 0]]), "dates", "warning", "2021-05-03 more than once"),
        (lambda i: i.isel(time=[1, 0]), "dates", "note", "not in ascending order"),
        (lambda i: i.drop_vars("spatial_ref"), "CRS", "error", "none"),
        (lambda i: i.rio.write_crs("EPSG:4326"), "CRS", "error", "EPSG:4326, in degrees"),
        (lambda i: i.assign_coords(x=i.x * 6, y=i.y * 6), "pixel size", "warning", "60 m"),
        (lambda i: i.assign_coords(y=i.y * 2), "pixel size", "warning", "10 × 20 m"),
        (lambda i: xr.where(i.band == "B11", 2368.5, i, keep_attrs=True), "measured", "warning", "B11 hold"),
        (lambda i: i * 4.5, "range", "warning", "standard deviations from"),
    ],
)
def test_sentinel2_disease(change, check, level, seen):
    image = sentinel2()
    finding = found("s2", change(image).transpose(*image.dims))[check]
    assert (finding.level, finding.modality) == (level, "s2")
    assert seen in finding.seen
    assert finding.next_step and finding.expected


@pytest.mark.parametrize("order", OTHER_S2_ORDERS)
def test_band_order_is_recognised_by_content(order):
    """Bands stored in another order under model names: the doctor names the order."""
    stored = sentinel2().sel(band=list(OTHER_S2_ORDERS[order])).assign_coords(band=list(SENSORS["s2"].bands))
    finding = found("s2", stored)["band content"]
    assert order in finding.next_step
    assert finding.level == ("note" if order == "R G B first" else "error")


def test_offset_depends_on_the_darkest_pixels_and_the_date():
    late = ("2023-05-03", "2023-07-12")
    clean, offset = sentinel2(late), sentinel2(late) + 1000
    assert "offset" not in found("s2", clean)
    assert found("s2", offset)["offset"].level == "warning"
    assert found("s2", sentinel2() + 1000)["offset"].level == "note"
    assert not found("s2", undo_offset(offset))


def test_content_is_judged_where_the_ground_is_seen():
    """Unphysically dark, masked pixels would hide that every clear one carries the offset."""
    late = sentinel2(("2023-05-03", "2023-07-12")) + 1000
    clear = xr.ones_like(late.isel(band=0, drop=True), dtype=bool)
    clear[:, :8] = False
    image = late.where(clear, 50.0)
    assert "offset" not in found("s2", image)
    report = diagnose(build(s2=image, clear={"s2": clear}))
    assert {finding.check: finding.level for finding in report.findings}["offset"] == "warning"


def test_water_and_turbid_water_are_no_wrong_order():
    """Red above near infrared is what water looks like, also when it is bright with sediment."""
    image = sentinel2()
    for spectrum in (SPECTRA["water"], (900, 1300, 1400, 1200, 700, 600, 500, 450, 120, 80)):
        ripples = 1 + 0.02 * np.sin(np.arange(32.0))
        water = image.copy(data=np.broadcast_to(np.array(spectrum)[:, None, None] * ripples, image.shape))
        assert not found("s2", water)


def test_conversions_cure():
    assert not found("s2", from_reflectance(sentinel2() / 10_000))
    assert not found("s1", to_db(10 ** (sentinel1() / 10)))


@pytest.mark.parametrize(
    ("change", "check", "level", "seen"),
    [
        (lambda i: 10 ** (i / 10), "unit", "error", "so linear power"),
        (lambda i: 1000 * 10 ** (i / 20), "unit", "error", "so uncalibrated amplitude"),
        (lambda i: i * 100, "unit", "error", "values -2"),
        (
            lambda i: i.isel(band=[1, 0]).assign_coords(band=["VV", "VH"]),
            "band content",
            "error",
            "VV -6.9 dB against VH",
        ),
        (lambda i: i.isel(band=[0, 0]).assign_coords(band=["VV", "VH"]), "band content", "warning", "VV +0.0 dB"),
        (lambda i: i.where(i > -12, -np.inf), "fill values", "error", "of the values are -inf"),
        (lambda i: i.assign_coords(band=["HH", "HV"]), "bands", "error", "2 bands HH HV"),
        (lambda i: i * np.nan, "values", "error", "no finite value"),
    ],
)
def test_sentinel1_disease(change, check, level, seen):
    finding = found("s1", change(sentinel1()))[check]
    assert finding.level == level
    assert seen in finding.seen


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        (lambda i: i / 255, "unit", "error"),
        (lambda i: i * 16, "unit", "error"),
        (lambda i: i - 128, "unit", "error"),
        (lambda i: i.isel(band=[2, 1, 0]).assign_coords(band=["R", "G", "B"]), "band content", "note"),
        (lambda i: i.assign_coords(x=i.x * 100, y=i.y * 100), "pixel size", "warning"),
    ],
)
def test_high_resolution_disease(change, check, level):
    assert found("hr", change(high_resolution(size=4)))[check].level == level


def test_alignment_between_modalities():
    scene = build(hr=high_resolution(), s2=sentinel2())
    moved = scene.copy()
    moved["s2"] = scene["s2"].to_dataset().assign_coords(x=scene["s2"].x + 3)
    seen = {finding.check: finding for finding in diagnose(moved).findings}
    assert seen["alignment"].level == "note" and seen["alignment"].seen == "edges 0.3 coarse pixels apart"
    moved["s2"] = scene["s2"].to_dataset().assign_coords(x=scene["s2"].x + 20)
    assert {f.check: f.level for f in diagnose(moved).findings}["alignment"] == "warning"
    sparse = build(hr=high_resolution().isel(x=slice(0, None, 2), y=slice(0, None, 2)), s2=sentinel2())
    ratio = next(finding for finding in diagnose(sparse).findings if finding.check == "pixel ratio")
    assert ratio.level == "warning" and ratio.seen.startswith("16 hr pixels")


def test_report_reads_well_and_serialises():
    report = diagnose_image("s1", 10 ** (sentinel1() / 10))
    lines = str(report).splitlines()
    assert lines[0] == "Not fit for the encoders: 1 error"
    assert "Convert it: rasters.to_db(image)" in lines[1]
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["counts"]["error"] == 1 and not stored["ok"]
    assert Report(()).ok


def test_refusals():
    with pytest.raises(SceneError, match=r"^Expected a modality among hr, s2, s1, got 'sar'\."):
        diagnose_image("sar", sentinel1())
    with pytest.raises(SceneError, match="no such file"):
        diagnose("nowhere.zarr")
    with pytest.raises(SceneError, match="a child among hr, s2, s1"):
        diagnose(xr.DataTree())
    for odd in (sentinel2()[0, 0], sentinel2().expand_dims("scene")):
        report = diagnose_image("s2", odd)
        assert report.findings[0].check == "dimensions" and not report.ok


def test_a_series_across_the_change_of_products_is_judged_before_and_after():
    """Dark pixels of the dates before must not hide that those since carry the offset."""
    image = sentinel2(("2021-07-12", "2023-07-12"))
    carried = image + xr.where(image.time >= np.datetime64("2022-01-25"), 1000, 0)
    finding = found("s2", carried)["offset"]
    assert finding.level == "warning" and "on dates since 2022-01-25" in finding.seen
    assert "offset" not in found("s2", image)


def test_amplitude_between_nought_and_one_is_not_called_power():
    assert "power or amplitude" in found("s1", 10 ** (sentinel1() / 20))["unit"].seen
    assert "so linear power" in found("s1", 10 ** (sentinel1() / 10))["unit"].seen


def cloudy(image, share):
    """The first date white and bright on the left."""
    columns = int(share * image.sizes["x"])
    image = image.copy()
    image[0, :, :, :columns] = 6000
    return image


def test_clouds_without_a_mask_are_told_by_their_look():
    assert found("s2", cloudy(sentinel2(), 0.5))["clouds"].seen == "no mask; 1 of 2 dates look more than 20% cloudy"
    assert "clouds" not in found("s2", cloudy(sentinel2(), 0.1))
    snow = sentinel2()
    snow[0] = np.array([9000] * 8 + [900, 700])[:, None, None]
    assert "clouds" not in found("s2", snow)


@pytest.mark.parametrize(("shares", "level"), [((1.0, 0.85), "ok"), ((0.75, 1.0), "note"), ((0.2, 0.29), "warning")])
def test_clouds_by_the_mask(shares, level):
    image = sentinel2(size=100)
    clear = xr.ones_like(image[:, 0], dtype=bool).drop_vars("band")
    for number, share in enumerate(shares):
        clear[number, :, round(100 * share) :] = False
    scene = build(s2=image, clear={"s2": clear})
    finding = next(finding for finding in diagnose(scene).findings if finding.check == "clouds")
    assert finding.level == level
    assert (level == "warning") == (not to_sample(scene)["s2_valid"].any())


def test_dates_that_hold_nothing_are_counted():
    image = sentinel2()
    image[1] = np.nan
    assert found("s2", image)["empty dates"].seen == "1 of 2 hold no measurement"


def test_a_date_in_the_future():
    image = sentinel2().assign_coords(time=pd.DatetimeIndex(["2021-05-03", "2201-07-12"]))
    assert found("s2", image)["dates"].seen == "2201-07-12, in the future"


def test_two_projections_are_no_scene():
    scene = build(s2=sentinel2(), s1=sentinel1())
    moved = sentinel1().rio.write_crs("EPSG:32632").rename("image")
    scene["s1"] = moved.to_dataset()
    (finding,) = [finding for finding in diagnose(scene).findings if finding.modality == "scene"]
    assert finding.level == "error" and finding.seen == "s2 in EPSG:32633, s1 in EPSG:32632"


def test_rows_are_the_findings_in_plain_words():
    report = diagnose_image("s2", sentinel2())
    assert report.rows == report.to_dict()["findings"]
    assert set(report.rows[0]) == {"modality", "check", "level", "seen", "expected", "next_step"}
