"""Every explorer in a real JupyterLab and a real Chromium: clicked, slid, stopped, saved; no request leaves."""

import time

import cells
import geopandas as gpd
import pytest
import rasterio

pytestmark = pytest.mark.browser
WAIT = 30_000


def say(page, text):
    """Waits until an explorer says something."""
    page.locator(".skysense-explorer .widget-html-content").get_by_text(text).first.wait_for(timeout=WAIT)


def pictures(page):
    """Layers of the map, which is brought into view."""
    page.locator(".leaflet-container").first.scroll_into_view_if_needed()
    page.wait_for_selector("img.leaflet-image-layer", timeout=WAIT)
    page.wait_for_timeout(1000)  # Leaflet's own movement
    return page.locator("img.leaflet-image-layer")


def click(page, layer, x, y):
    """Clicks a spot of a layer, in shares of its width and height."""
    box = layer.bounding_box()
    page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)


def slide(page, number, key, times):
    """Moves a slider by keyboard."""
    page.locator("[role=slider]").nth(number).focus()
    for _ in range(times):
        page.keyboard.press(key)


def test_similarity_by_click_by_keyboard_and_over_places(lab):
    with lab.run("similarity", [cells.EMBEDDING + cells.SIMILARITY]) as page:
        say(page, "Click inside the outline")
        picture, likeness = pictures(page).all()
        before = likeness.get_attribute("src")
        click(page, picture, 6.5 / 8, 1.5 / 6)
        say(page, "Row 1, column 6.")
        clicked = likeness.get_attribute("src")
        assert clicked.startswith("data:image/png;base64,") and clicked != before
        click(page, picture, 1.3, 0.5)
        say(page, "Expected a click inside the outline")
        assert likeness.get_attribute("src") == clicked
        page.get_by_role("spinbutton", name="Row").fill("4")
        page.get_by_role("spinbutton", name="Column").fill("2")
        page.get_by_role("spinbutton", name="Column").press("Tab")
        page.keyboard.press("Enter")
        say(page, "Row 4, column 2.")
        assert likeness.get_attribute("src") not in (before, clicked)
        page.get_by_role("button", name="Compare places").click()
        say(page, "3 of 3 places; nearest cell in: place")
    assert lab.outside == []


def test_few_clicks_become_a_map_that_is_saved(lab):
    with lab.run("clicks", [cells.EMBEDDING + cells.FEW_CLICKS]) as page:
        say(page, "Choose a class, then click cells of it")
        picture, classes, _ = pictures(page).all()
        before = classes.get_attribute("src")
        click(page, picture, 1.5 / 8, 1.5 / 6)
        say(page, "Row 1, column 1: water. Click cells of another class to get a map.")
        page.get_by_role("button", name="2 field").click()
        click(page, picture, 6.5 / 8, 1.5 / 6)
        say(page, "Row 1, column 6: field.")
        assert classes.get_attribute("src") != before
        page.get_by_role("combobox", name="Held out").select_option("all that follow")
        page.get_by_role("spinbutton", name="Row").fill("4")
        page.get_by_role("spinbutton", name="Column").fill("7")
        page.get_by_role("spinbutton", name="Column").press("Tab")
        page.keyboard.press("Enter")
        say(page, "Row 4, column 7 (held out): field. Right on 1 of 1 held-out clicks (100%).")
        page.get_by_role("button", name="Suggest").click()
        say(page, "(white outline)")
        page.get_by_role("button", name="Save", exact=True).click()
        say(page, "Written to few_clicks: classes.tif, clicks.gpkg, confidence.tif.")
        page.get_by_role("button", name="Save", exact=True).click()
        say(page, "Expected a new folder at few_clicks, got one that exists.")
        page.get_by_role("button", name="Undo").click()
        say(page, "Taken back; 2 clicks are left.")
    saved = gpd.read_file(lab.folder / "few_clicks" / "clicks.gpkg")
    assert list(zip(saved.row, saved.column, strict=True)) == [(1, 1), (1, 6), (4, 7)] and saved.crs == "EPSG:32633"
    with rasterio.open(lab.folder / "few_clicks" / "classes.tif") as written:
        ids = written.read(1)
        assert written.crs == "EPSG:32633" and written.bounds == (600_000, 5_299_880, 600_160, 5_300_000)
    assert len(set(ids[:, :4].ravel())) == len(set(ids[:, 4:].ravel())) == 1 and ids[0, 0] != ids[0, 7]
    assert lab.outside == []


def test_three_sensors_move_in_step(lab):
    with lab.run("scene", [cells.SCENE]) as page:
        say(page, "Click inside the outline")
        click(page, pictures(page).first, 2.5 / 8, 1.5 / 8)
        say(page, "Row 1, column 2 at")
        slide(page, 0, "ArrowRight", 1)
        say(page, "Sentinel-2 L2A (2021-04-21, hidden by cloud)")
        page.get_by_role("checkbox", name="High-resolution optical").check()
    assert lab.outside == []


def test_change_is_swiped_filtered_and_saved(lab):
    with lab.run("change", [cells.CHANGE]) as page:
        say(page, "3 polygons, 900 m²; against the truth (dashed): F1 0.71")
        layers = pictures(page)
        click(page, layers.first, 11 / 16, 8.5 / 12)
        say(page, "Polygon 2: 200 m², mean score 0.60.")
        after = layers.nth(1).get_attribute("src")
        slide(page, 0, "PageUp", 3)
        page.wait_for_function("before => document.querySelectorAll('img.leaflet-image-layer')[1].src !== before",
                               arg=after, timeout=WAIT)  # fmt: skip
        slide(page, 1, "ArrowRight", 15)
        say(page, "Score at least 0.65")
        say(page, "2 polygons, 700 m²")
        page.get_by_role("button", name="Save polygons").click()
        say(page, "2 polygons written to change.gpkg.")
    saved = gpd.read_file(lab.folder / "change.gpkg")
    assert sorted(saved.to_crs(32633).area.round().tolist()) == [100, 600]
    assert lab.outside == []


def test_detections_are_filtered_by_score_image_and_class(lab):
    with lab.run("detections", [cells.DETECTIONS]) as page:
        say(page, "All 2 images, score at least 0.50, IoU at least 0.5: 2 found, 2 missed, 1 made up.")
        slide(page, 0, "ArrowLeft", 10)
        say(page, "3 found, 1 missed, 1 made up.")
        page.locator("img[alt^='harbour: 2 found, 1 missed, 1 made up']").wait_for(timeout=WAIT)
        page.get_by_label("Image", exact=True).select_option("airport")
        page.locator("img[alt^='airport: 1 found, 0 missed, 0 made up']").wait_for(timeout=WAIT)
        page.get_by_label("Classes", exact=True).select_option("plane")
        say(page, "1 found, 1 missed, 0 made up.")
    assert lab.outside == []


def test_sensors_are_switched_off_and_on(lab):
    with lab.run("switchboard", [cells.SWITCHBOARD]) as page:
        say(page, "Read: s2 (3 of 3 dates), s1 (2 of 2 dates). The place moved by 0.000")
        page.get_by_label("Sentinel-1 GRD").uncheck()
        say(page, "Read: s2 (3 of 3 dates). The place moved by")
        page.get_by_label("Sentinel-2 L2A").uncheck()
        say(page, "Expected at least one date of one sensor, got all off. Switch one on.")
        page.get_by_role("button", name="Everything on").click()
        say(page, "Read: s2 (3 of 3 dates), s1 (2 of 2 dates). The place moved by 0.000")
        page.get_by_role("button", name="All combinations").click()
        say(page, "3 of 3 combinations; nearest to everything:")
    assert lab.outside == []


def test_training_is_followed_stopped_and_followed_to_its_end(lab):
    log = lab.folder / "training run" / "history.csv"
    log.parent.mkdir()
    log.write_text("step,seconds,name,value\n1,0.5,loss,3.0\n1,0.5,pixel,2.0\n2,1.0,loss,2.5\n2,1.0,pixel,1.5\n")
    with lab.run("monitor", [cells.MONITOR]) as page:
        say(page, "Step 2 of 4. Loss 2.5, lowest 2.5 in step 2.")
        page.get_by_role("button", name="Follow").click()
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("button", name="Stop", exact=True).wait_for(state="hidden", timeout=WAIT)
        page.get_by_role("button", name="Follow").click()
        with log.open("a") as more:
            more.write("3,1.5,loss,2.25\n3,1.5,pixel,1.0\n4,2.0,loss,2.0\n4,2.0,pixel,0.5\n")
        say(page, "Followed, the run has ended. Step 4 of 4. Loss 2, lowest 2 in step 4.")
    assert lab.outside == []


def test_prototypes_of_a_region_by_list_and_by_click(lab):
    with lab.run("prototypes", [cells.PROTOTYPES]) as page:
        say(page, "Munich:")
        page.get_by_label("Region").select_option(index=1)
        say(page, "Lagos:")
        slide(page, 0, "ArrowRight", 2)
        marks = page.locator(".leaflet-container path.leaflet-interactive")
        page.locator(".leaflet-container").scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        northern = min(marks.all(), key=lambda mark: (mark.bounding_box()["width"] > 60, mark.bounding_box()["y"]))
        click(page, northern, 0.5, 0.5)
        say(page, "Munich:")
    assert lab.outside == []


def test_explorers_in_one_notebook_do_not_disturb_each_other_in_a_dark_theme(lab):
    one, other = cells.SIMILARITY, cells.SIMILARITY.replace("explorer", "second").replace("second s", "explorers")
    other = other.replace("skysense_nb.seconds", "skysense_nb.explorers")
    with lab.run("two", [cells.EMBEDDING, one, other]) as page:
        dark = "window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
        page.evaluate(dark)
        boxes = page.locator(".skysense-explorer")
        boxes.nth(1).get_by_text("Click inside the outline").wait_for(timeout=WAIT)
        boxes.nth(1).get_by_role("button", name="Show likeness").click()
        boxes.nth(1).get_by_text("Row 0, column 0.").wait_for(timeout=WAIT)
        assert boxes.nth(0).get_by_text("Click inside the outline").count() == 1
        colour = boxes.nth(0).get_by_text("Click inside the outline").evaluate("one => getComputedStyle(one).color")
        assert min(int(part) for part in colour.strip("rgba()").split(",")[:3]) > 150  # bright on dark


def test_a_handler_that_raises_fails_the_test(lab):
    with (
        pytest.raises(AssertionError, match="ZeroDivisionError: on purpose"),
        lab.run("failing", [cells.EMBEDDING + cells.FAILING]) as page,
    ):
        say(page, "Click inside the outline")
        page.get_by_role("button", name="Show likeness").click()
        say(page, "ZeroDivisionError: on purpose")


LARGE = """
import numpy as np
import rioxarray
import xarray as xr
from skysense_nb.explorers import FewClickMapper, SimilarityExplorer

coords = {"y": 5_300_000 - 10 * (np.arange(128) + 0.5), "x": 600_000 + 10 * (np.arange(128) + 0.5)}
values = np.random.default_rng(0).normal(size=(1024, 128, 128)).astype("float32")
embedding = xr.DataArray(values, dims=("feature", "y", "x"), coords=coords).rio.write_crs("EPSG:32633")
explorer = SimilarityExplorer(embedding, np.random.default_rng(0).random((128, 128, 3)))
explorer
"""


def test_how_long_a_click_takes_is_logged(lab, record_property):
    with lab.run("large", [LARGE]) as page:
        say(page, "Click inside the outline")
        picture, likeness = pictures(page).all()
        seconds = []
        for turn in range(5):
            before = likeness.get_attribute("src")
            start = time.perf_counter()
            click(page, picture, 0.1 + turn / 10, 0.5)
            page.wait_for_function("before => document.querySelectorAll('img.leaflet-image-layer')[1].src !== before",
                                   arg=before, timeout=WAIT)  # fmt: skip
            seconds.append(time.perf_counter() - start)
        record_property("seconds from click to picture, 128 x 128 cells of width 1024", sorted(seconds)[2])
        print(f"\nfrom click to redrawn likeness, 128 x 128 x 1024: median {sorted(seconds)[2]:.3f} s")
