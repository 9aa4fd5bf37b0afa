"""Colours must mean what they say: the right band in the right channel, one stretch for all dates."""

import numpy as np
import pytest

from skysense_nb.errors import SceneError
from skysense_nb.views.composites import MISSING_GREY, RADAR_SPAN_DB, cloud_overlay, composite, stretch_limits


def test_channels_are_the_named_bands(image):
    """Against a plain formula on the bands taken by hand."""
    s2 = image("s2", dates=3)
    limits = stretch_limits(s2, "false")
    for channel, band in enumerate(("B8", "B4", "B3")):
        by_hand = s2.sel(band=band).values
        low, high = np.percentile(by_hand, (2, 98))
        np.testing.assert_allclose(limits[:, channel], (low, high))
        expected = np.clip((by_hand[1] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(composite(s2, "false", date=1)[..., channel], expected)


def test_true_colour_keeps_hues(image):
    """Grey ground stays grey, because the three channels share one pair of limits."""
    s2 = image("s2")
    grey = s2.copy(data=np.broadcast_to(s2.values[:, :1], s2.shape))
    colours = composite(grey)
    np.testing.assert_array_equal(colours[..., 0], colours[..., 2])
    assert len(np.unique(stretch_limits(s2)[0])) == 1


def test_one_stretch_for_all_dates(image):
    s2 = image("s2", dates=2)
    s2 = s2.copy(data=np.stack([s2.values[0], s2.values[0] + 400]))
    first, second = composite(s2, date=0), composite(s2, date=1)
    inside = (first > 0) & (second < 1)
    step = (second - first)[inside]
    assert step.min() > 0 and np.ptp(step) < 1e-9


def test_clouds_do_not_decide_the_stretch(place):
    s2, clear = place["s2"]["image"], place["s2"]["clear"]
    cloudy = s2.where(clear, 9000.0)
    np.testing.assert_allclose(stretch_limits(cloudy, clear=clear), stretch_limits(s2.where(clear)))
    assert stretch_limits(cloudy)[1, 0] > 8000


def test_missing_pixels_are_grey_and_do_not_spread(image):
    s2 = image("s2")
    s2[0, 2, 3, 4] = np.nan
    colours = composite(s2)
    assert (colours[3, 4] == MISSING_GREY).all()
    assert np.isfinite(colours).all() and colours.min() >= 0 and colours.max() <= 1
    assert np.isfinite(composite(s2 * np.nan)).all()


def test_radar_composite_is_difference_in_db(image):
    s1 = image("s1")
    limits = stretch_limits(s1, "sar")
    assert ((limits[1] - limits[0]) >= RADAR_SPAN_DB - 1e-9).all()
    blue = (s1[0, 0] - s1[0, 1] - limits[0, 2]) / (limits[1, 2] - limits[0, 2])
    np.testing.assert_allclose(composite(s1, "sar")[..., 2], np.clip(blue, 0, 1))


def test_high_resolution_and_single_date(image):
    hr = image("hr")
    assert composite(hr[0]).shape == (12, 16, 3)
    np.testing.assert_array_equal(composite(hr[0]), composite(hr))


def test_cloud_overlay_is_transparent_on_clear_ground(place):
    overlay = cloud_overlay(place["s2"]["clear"][1], opacity=0.4)
    assert (overlay[:, :8, 3] == 0.4).all() and (overlay[:, 8:, 3] == 0).all()


def test_refusals_in_words(image):
    with pytest.raises(SceneError, match=r"^Expected a composite among true, false, swir, sar, got 'natural'\."):
        composite(image("s2"), "natural")
    with pytest.raises(SceneError, match=r"^Expected bands B12 B8A B4 for 'swir', got VV VH\."):
        composite(image("s1"), "swir")
    with pytest.raises(SceneError, match=r"got no band names\."):
        composite(image("s2").drop_vars("band"))
