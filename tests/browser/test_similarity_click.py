"""The similarity map in a real browser: a click on the picture, and the same by keyboard."""

import pytest

pytestmark = pytest.mark.browser

EMBEDDING = """
import numpy as np
import rioxarray
import xarray as xr
from skysense_nb.explorers import SimilarityExplorer

rng = np.random.default_rng(0)
left, right = rng.normal(size=(2, 8))
values = np.where(np.arange(8) < 4, left[:, None], right[:, None])[:, None, :] + rng.normal(0, 0.05, (8, 6, 8))
coords = {"y": 5_300_000 - 20 * (np.arange(6) + 0.5), "x": 600_000 + 20 * (np.arange(8) + 0.5)}
embedding = xr.DataArray(values, dims=("feature", "y", "x"), coords=coords).rio.write_crs("EPSG:32633")
explorer = SimilarityExplorer(embedding, rng.random((6, 8, 3)))
explorer
"""


def test_click_and_keyboard_redraw_the_likeness(lab):
    with lab.run("similarity", [EMBEDDING]) as page:
        page.wait_for_selector(".leaflet-container", timeout=60_000)
        message = page.locator(".jp-OutputArea .widget-html-content")
        message.get_by_text("Click inside the outline").wait_for()
        picture, likeness = page.locator("img.leaflet-image-layer").all()
        before, box = likeness.get_attribute("src"), picture.bounding_box()

        page.mouse.click(box["x"] + box["width"] * 6.5 / 8, box["y"] + box["height"] * 1.5 / 6)
        message.get_by_text("Row 1, column 6.").wait_for(timeout=20_000)
        clicked = likeness.get_attribute("src")
        assert clicked.startswith("data:image/png;base64,") and clicked != before

        page.mouse.click(box["x"] + box["width"] * 1.3, box["y"] + box["height"] / 2)
        message.get_by_text("Expected a click inside the outline").wait_for(timeout=20_000)
        assert likeness.get_attribute("src") == clicked

        page.get_by_role("spinbutton", name="Row").fill("4")
        page.get_by_role("spinbutton", name="Column").fill("2")
        page.get_by_role("spinbutton", name="Column").press("Tab")
        page.keyboard.press("Enter")
        message.get_by_text("Row 4, column 2.").wait_for(timeout=20_000)
        assert likeness.get_attribute("src") not in (before, clicked)
    assert lab.outside == []
