"""A scene that goes into a STAC catalogue comes out of it again: from disk, over HTTP, and from a search service."""

import json
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pandas as pd
import planetary_computer
import pystac
import pytest
import rasterio
import xarray as xr
from pyproj import Transformer
from rasterio.errors import RasterioIOError
from urllib3 import Retry

from skysense_nb import World
from skysense_nb.data import build, stac_search
from skysense_nb.data.catalog import entries
from skysense_nb.data.loopback import RangeHandler, serve
from skysense_nb.data.scene import DIMS, geobox
from skysense_nb.data.stac import baseline, carries_offset, scene_from_stac, solar_day
from skysense_nb.data.stac_writer import write_stac
from skysense_nb.errors import EnvironmentProblem, ParameterError, SceneError
from skysense_nb.sensors import SENSORS

YEAR = "2023"
BASELINES = ("02.14", "05.09", "04.00", "03.01")


class SearchHandler(RangeHandler):
    """A small search service over the items in its folder, two a page."""

    def do_GET(self):
        if self.path != "/api":
            return super().do_GET()
        here = f"http://{self.headers['Host']}"
        links = [{"rel": "self", "href": f"{here}/api"}, {"rel": "root", "href": f"{here}/api"}]
        links += [{"rel": "search", "href": f"{here}/search", "method": "POST", "type": "application/geo+json"}]
        classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        landing = {"type": "Catalog", "id": "api", "description": "d", "stac_version": "1.0.0", "conformsTo": classes}
        return self.reply(landing | {"links": links})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        first, last = (moment.replace("Z", "") for moment in asked["datetime"].split("/"))
        found = []
        for path in sorted(Path(self.directory).glob("sentinel*/*/*.json")):
            item = json.loads(path.read_text())
            west, south, east, north = item["bbox"]
            left, bottom, right, top = asked["bbox"]
            inside = west < right and east > left and south < top and north > bottom
            in_time = first <= item["properties"]["datetime"].replace("Z", "") <= last
            if item["collection"] in asked["collections"] and inside and in_time:
                folder = f"http://{self.headers['Host']}/{path.parent.relative_to(self.directory).as_posix()}/"
                item["links"] = [{"rel": "self", "href": folder + path.name}]
                found.append(item)
        start = asked.get("token", 0)
        page = {"type": "FeatureCollection", "features": found[start : start + 2], "links": []}
        if start + 2 < len(found):
            target = f"http://{self.headers['Host']}/search"
            body = asked | {"token": start + 2}
            page["links"] = [{"rel": "next", "href": target, "method": "POST", "body": body}]
        self.reply(page)

    def reply(self, content):
        content = json.dumps(content).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def scene():
    world = World(seed=0)
    dates = ["2023-03-05", "2023-05-14", "2023-07-23", "2023-09-11"]
    where = world.find("fields")
    return world.scene(*where, size_m=240, s2_dates=dates, s1_dates=3, modalities=("s2", "s1"))


@pytest.fixture(scope="module")
def catalogue(scene, tmp_path_factory):
    return write_stac(scene, tmp_path_factory.mktemp("stac") / "place", BASELINES)


@pytest.fixture
def own_catalogue(scene, tmp_path):
    """One that a test may spoil: a single date of each sensor."""
    return write_stac(scene.isel(time=slice(0, 1)).filter(lambda node: node.name != "labels"), tmp_path / "place")


def made(name="s2", dates=("2023-06-01",), values=2000.0, crs="EPSG:32633", corner=(500_000, 5_000_000), size=16):
    bands = list(SENSORS[name].bands)
    coords = {
        "time": np.array(dates, "datetime64[ns]"),
        "band": bands,
        "y": corner[1] - 10 * (np.arange(size) + 0.5),
        "x": corner[0] + 10 * (np.arange(size) + 0.5),
    }
    values = np.broadcast_to(np.asarray(values, "float32"), (len(dates), len(bands), size, size)).copy()
    return xr.DataArray(values, dims=DIMS, coords=coords).rio.write_crs(crs)


def catalogue_of(parts, folder):
    """One catalogue over several, each a scene and its baselines."""
    links = []
    for number, (scene, stated) in enumerate(parts):
        write_stac(scene, folder / str(number), stated)
        links.append({"rel": "child", "href": f"./{number}/catalog.json"})
    root = {"type": "Catalog", "id": "all", "description": "d", "stac_version": "1.0.0", "links": links}
    (folder / "catalog.json").write_text(json.dumps(root))
    return folder / "catalog.json"


def change_items(catalogue, change):
    for path in catalogue.parent.rglob("sentinel*/*/*.json"):
        item = json.loads(path.read_text())
        change(item)
        path.write_text(json.dumps(item))


def assert_same(got, wanted):
    got = got.load()
    for name in ("s2", "s1"):
        one, other = got[name]["image"], wanted[name]["image"]
        assert one.dims == other.dims and one["band"].values.tolist() == other["band"].values.tolist()
        assert (one["time"].values == other["time"].values).all() and geobox(got[name]) == geobox(wanted[name])
        assert np.abs(one.values - other.values).max() <= {"s2": 0, "s1": 1e-4}[name]
    assert (got["s2"]["clear"].values == wanted["s2"]["clear"].values).all()


def test_a_scene_comes_back_from_disk_the_same_and_lazily(scene, catalogue):
    got = scene_from_stac(geobox(scene["s2"]), YEAR, source=catalogue, max_cloud=100)
    assert all(got[name]["image"].chunks for name in ("s2", "s1")) and got["s2"]["clear"].chunks
    assert_same(got, scene)
    assert got["s2"]["image"].attrs["items"] == len(BASELINES)


def test_a_scene_comes_back_over_http_the_same(scene, catalogue):
    with serve(catalogue.parent) as address:
        source = f"{address}/catalog.json"
        assert_same(scene_from_stac(geobox(scene["s2"]), YEAR, source=source, max_cloud=100), scene)


def test_a_scene_comes_back_from_a_search_service_the_same(scene, catalogue):
    with serve(catalogue.parent, SearchHandler) as address:
        assert_same(scene_from_stac(geobox(scene["s2"]), YEAR, source=f"{address}/api", max_cloud=100), scene)


def test_files_of_a_catalogue_hold_what_archives_hold(scene, catalogue):
    def first_file(collection, key, date):
        folders = sorted((catalogue.parent / collection).glob("s*"))
        with rasterio.open(folders[date] / f"{key}.tif") as file:
            return file.read(1), file.nodata

    blue = scene["s2"]["image"].sel(band="B2").values
    assert (first_file("sentinel-2-l2a", "B02", 0)[0] == blue[0]).all()
    assert (first_file("sentinel-2-l2a", "B02", 1)[0] == blue[1] + 1000).all()
    power, gap = first_file("sentinel-1-rtc", "vv", 0)
    assert np.allclose(10 * np.log10(power), scene["s1"]["image"].values[0, 0], atol=1e-4) and gap == -32768


def test_an_area_in_degrees_becomes_a_utm_grid_that_holds_it(scene, catalogue):
    box = scene["s2"]["image"].odc.geobox.geographic_extent.boundingbox
    got = scene_from_stac(box.bbox, YEAR, source=catalogue, max_cloud=100)
    inner = got["s2"]["image"].sel(x=scene["s2"]["x"], y=scene["s2"]["y"])
    assert (inner.values == scene["s2"]["image"].values).all()
    edges = np.array(got["s2"]["image"].odc.geobox.boundingbox.bbox)
    assert (edges % 10 == 0).all() and geobox(got["s2"]) == geobox(got["s1"])
    assert got["s2"]["image"].isnull().any() and not got["s2"]["clear"].values[:, 0, 0].any()


def test_period_and_cloud_cover_choose_dates(scene, catalogue):
    grid, cloud = geobox(scene["s2"]), 100 * (1 - scene["s2"]["clear"].mean(("y", "x")).values)
    spring = scene_from_stac(grid, ("2023-05-01", "2023-07-23"), source=catalogue, max_cloud=100, modalities=("s2",))
    assert [str(day)[:10] for day in spring["s2"]["time"].values] == ["2023-05-14", "2023-07-23"]
    limit = float(np.sort(cloud)[1]) + 0.001
    few = scene_from_stac(grid, YEAR, source=catalogue, max_cloud=limit, modalities=("s2",))
    assert few["s2"].sizes["time"] == (cloud <= limit).sum() < len(cloud)


def test_one_day_may_hold_items_with_and_without_the_offset(tmp_path):
    rising = 2000 + 10 * np.arange(32, dtype="float32")
    left = build(s2=made(dates=("2023-06-01T10:00", "2023-06-11T10:00"), values=rising[:16]))
    right = build(s2=made(dates=("2023-06-01T10:02",), values=rising[16:], corner=(500_160, 5_000_000)))
    path = catalogue_of([(left, ["05.09", "02.14"]), (right, "02.14")], tmp_path)
    grid = geobox(left["s2"]).pad(0, 0)
    wide = grid.from_bbox((500_000, 4_999_840, 500_320, 5_000_000), crs="EPSG:32633", resolution=10)
    series = scene_from_stac(wide, YEAR, source=path, modalities=("s2",))["s2"]["image"].load()
    assert series.sizes["time"] == 2 and str(series["time"].values[0])[:16] == "2023-06-01T10:00"
    assert (series.isel(time=0).values == rising).all()
    assert (series.isel(time=1).values[..., :16] == rising[:16]).all() and series.isel(time=1)[..., 16:].isnull().all()


def test_an_offset_that_was_taken_off_already_is_not_taken_off_again(own_catalogue, scene):
    grid = geobox(scene["s2"])
    wanted = scene["s2"]["image"].values[:1]
    read = {"source": own_catalogue, "modalities": ("s2",), "max_cloud": 100}
    assert (scene_from_stac(grid, YEAR, **read)["s2"]["image"].values == wanted).all()
    change_items(own_catalogue, lambda item: item["properties"].update({"earthsearch:boa_offset_applied": True}))
    assert (scene_from_stac(grid, YEAR, **read)["s2"]["image"].values == wanted + 1000).all()
    change_items(own_catalogue, lambda item: item["properties"].update({"earthsearch:boa_offset_applied": False}))
    assert (scene_from_stac(grid, YEAR, **read)["s2"]["image"].values == wanted).all()


def test_an_item_that_hides_its_baseline_is_not_guessed_at(own_catalogue, scene):
    grid = geobox(scene["s2"])
    read = {"source": own_catalogue, "modalities": ("s2",), "max_cloud": 100}
    change_items(own_catalogue, lambda item: item["properties"].pop("s2:processing_baseline", None))
    with pytest.raises(SceneError, match=r"Expected the processing baseline of s2-\S+, got none\. Pass offset=True"):
        scene_from_stac(grid, YEAR, **read)
    with_offset, without = (scene_from_stac(grid, YEAR, offset=said, **read)["s2"]["image"] for said in (True, False))
    assert (without.values - with_offset.values == 1000).all()


@pytest.mark.parametrize(
    "properties,carries",
    [
        ({"s2:processing_baseline": "03.01"}, False),
        ({"s2:processing_baseline": "04.00"}, True),
        ({"s2:processing_baseline": "05.11"}, True),
        ({"processing:version": "05.10"}, True),
        ({"s2:processing_baseline": "02.08", "earthsearch:boa_offset_applied": False}, False),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, False),
    ],
)
def test_each_item_says_whether_it_carries_the_offset(properties, carries):
    old = pystac.Item("one", None, None, pd.Timestamp("2018-06-01").to_pydatetime(), properties)
    assert carries_offset(old) is carries


def test_newer_processing_counts_first(tmp_path):
    old, new = build(s2=made(values=1500.0)), build(s2=made(values=2500.0))
    path = catalogue_of([(old, "02.14"), (new, "03.01")], tmp_path)
    series = scene_from_stac(geobox(old["s2"]), YEAR, source=path, modalities=("s2",))["s2"]["image"]
    assert series.sizes["time"] == 1 and (series.values == 2500).all()


def test_gaps_are_gaps_and_dark_pixels_are_not(tmp_path):
    image, radar = made(values=2000.0), made("s1", values=-12.0)
    image[0, :, 0, 0] = np.nan
    image[0, 3, 1, 1] = 0
    radar[0, 0, 2, 2] = np.nan
    place = build(s2=image, s1=radar)
    path = write_stac(place, tmp_path / "place", "02.14")
    got = scene_from_stac(geobox(place["s2"]), YEAR, source=path).load()
    assert np.array_equal(got["s2"]["image"].values, image.values, equal_nan=True)
    assert np.allclose(got["s1"]["image"].values, radar.values, equal_nan=True, atol=1e-4)
    assert got["s2"]["clear"].values.sum() == 16 * 16 - 1


def test_images_of_two_utm_zones_lie_on_one_grid(tmp_path):
    def sloped(crs, corner):
        image = made(crs=crs, corner=corner, size=200)
        lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(
            *np.meshgrid(image["x"].values, image["y"].values)
        )
        return image.copy(data=np.broadcast_to(level(lon, lat), image.shape).astype("float32"))

    def level(lon, lat):
        return 2000 + 20_000 * (lon - 6) + 10_000 * (lat - 48)

    corners = {}
    for code, west in (("EPSG:32631", 5.98), ("EPSG:32632", 5.995)):
        x, y = Transformer.from_crs("EPSG:4326", code, always_xy=True).transform(west, 48.01)
        corners[code] = (round(x, -1), round(y, -1))
    parts = [(build(s2=sloped(code, corner)), "05.09") for code, corner in corners.items()]
    area = (5.994, 48.000, 6.010, 48.005)
    got = scene_from_stac(area, YEAR, source=catalogue_of(parts, tmp_path), modalities=("s2",))["s2"]["image"].load()
    assert got.rio.crs.to_epsg() == 32632 and got.sizes["time"] == 1 and not got.isnull().any()
    lon, lat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(
        *np.meshgrid(got["x"].values, got["y"].values)
    )
    assert np.abs(got.values - level(lon, lat)).max() < 4  # half a pixel is at most 2.7


def test_an_area_that_ends_at_the_date_line_is_read(tmp_path):
    to_utm = Transformer.from_crs("EPSG:4326", 32760, always_xy=True)
    x, y = to_utm.transform(179.99, -17.0)
    place = build(s2=made(crs="EPSG:32760", corner=(round(x, -1), round(y, -1)), size=64))
    path = write_stac(place, tmp_path / "place")
    got = scene_from_stac((179.992, -17.003, 180.0, -17.001), YEAR, source=path, modalities=("s2",))["s2"]["image"]
    assert got.rio.crs.to_epsg() == 32760 and (got.sel(x=slice(None, x + 600)).values == 2000).all()


def test_a_pass_over_midnight_is_one_day():
    late, early = (
        pystac.Item(when, None, None, pd.Timestamp(when).to_pydatetime(), {})
        for when in ("2023-06-01T23:58", "2023-06-02T00:03")
    )
    assert solar_day(late, 178.0) == solar_day(early, 178.0) == pd.Timestamp("2023-06-02")
    assert solar_day(late, 0.0) != solar_day(early, 0.0)
    assert baseline(late) == -1


def test_nothing_found_says_what_there_would_be(scene, catalogue):
    grid = geobox(scene["s2"])
    cloud = 100 * (1 - scene["s2"]["clear"].mean(("y", "x")).values)
    days = pd.DatetimeIndex(scene["s2"]["time"].values)[cloud > 5].strftime("%Y-%m-%d")
    assert len(days)
    with pytest.raises(SceneError, match=r"none with at most 1 % cloud\. Without that limit there are 1, the clearest"):
        scene_from_stac(grid, days[0], source=catalogue, max_cloud=1, modalities=("s2",))
    with pytest.raises(SceneError, match="Expected items of sentinel-2-l2a from 2019-01-01 to 2019-12-31, got none"):
        scene_from_stac(grid, "2019", source=catalogue)
    with pytest.raises(SceneError, match="got none. Take another area or period"):
        scene_from_stac("beauce", YEAR, source=catalogue)


def test_too_much_found_is_refused(scene, catalogue, monkeypatch):
    monkeypatch.setattr(stac_search, "MOST_ITEMS", 3)
    with pytest.raises(SceneError, match="Expected at most 3 items, got more"):
        scene_from_stac(geobox(scene["s2"]), YEAR, source=catalogue, max_cloud=100)


def test_amplitudes_do_not_become_decibels():
    with pytest.raises(SceneError, match=r"got amplitudes as detected in earth_search.*'s1': 'planetary_computer'"):
        scene_from_stac("beauce", YEAR, source="earth_search")


def test_each_modality_may_have_its_own_source(scene, catalogue):
    both = {"s2": catalogue, "s1": catalogue.parent}
    assert_same(scene_from_stac(geobox(scene["s2"]), YEAR, source=both, max_cloud=100), scene)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"source": "sentinel_hub"}, "Expected a source among .*planetary_computer, an address, or the path"),
        ({"like": "nobody"}, "Expected like as one of"),
        ({"modalities": ("hr",)}, "Expected modalities among"),
        ({"modalities": ()}, "Expected modalities among"),
        ({"source": {"s2": "earth_search"}}, "Expected a source for each of s2, s1, got s2"),
        ({"resampling": "guess"}, "Expected a resampling that rasterio knows, got 'guess'"),
    ],
)
def test_unknown_sources_and_sensors_are_refused(change, message, catalogue):
    with pytest.raises(ParameterError, match=message):
        scene_from_stac("beauce", YEAR, **{"source": catalogue, **change})


def test_a_source_without_the_sensor_is_refused():
    optical = entries("sources")["earth_search"].model_copy(update={"collections": {"s2": "sentinel-2-l2a"}})
    with pytest.raises(ParameterError, match="Expected a source with s1, got earth_search with s2"):
        scene_from_stac("beauce", YEAR, source=optical)


def test_a_catalogue_with_other_assets_says_which(scene, catalogue):
    with pytest.raises(SceneError, match="Expected the asset blue in s2-.*B02"):
        scene_from_stac(geobox(scene["s2"]), YEAR, source=catalogue, like="earth_search", modalities=("s2",))


def test_items_that_make_no_sense_are_refused(own_catalogue, scene):
    read = {"source": own_catalogue, "modalities": ("s2",), "max_cloud": 100}
    change_items(own_catalogue, lambda item: item["properties"].update({"eo:cloud_cover": "many"}))
    with pytest.raises(SceneError, match="Expected a STAC catalogue at .*many"):
        scene_from_stac(geobox(scene["s2"]), YEAR, **read)


@pytest.mark.parametrize("content", ["not json", "{}", '{"type": "Catalog"}', '{"type": "Feature", "id": "x"}'])
def test_a_page_that_is_no_catalogue_is_refused(content, tmp_path):
    (tmp_path / "catalog.json").write_text(content)
    with pytest.raises(SceneError, match="Expected a STAC catalogue at"):
        scene_from_stac("beauce", YEAR, source=tmp_path)


class DroppingHandler(SearchHandler):
    """Closes the connection, or answers with an error, the first times it is asked."""

    to_drop: int = 0
    to_refuse: int = 0
    asked: list = []

    def handle_one_request(self):
        cls = type(self)
        if cls.to_drop:
            cls.to_drop -= 1
            self.rfile.peek(1)
            self.close_connection = True
            return
        super().handle_one_request()

    def do_GET(self):
        cls = type(self)
        cls.asked.append(self.path)
        if cls.to_refuse and self.path.endswith(".tif"):
            cls.to_refuse -= 1
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return None
        return super().do_GET()


@pytest.fixture
def dropping(monkeypatch):
    fast = Retry(total=3, backoff_factor=0.0, status_forcelist=(503,), allowed_methods=None)
    monkeypatch.setattr(stac_search, "RETRIES", fast)
    return type("Handler", (DroppingHandler,), {"to_drop": 0, "to_refuse": 0, "asked": []})


@pytest.mark.parametrize("page", ["api", "catalog.json"])
def test_dropped_connections_are_tried_again_then_refused_and_can_be_taken_up(scene, catalogue, dropping, page):
    with serve(catalogue.parent, dropping) as address:
        call = {"source": f"{address}/{page}", "max_cloud": 100}
        dropping.to_drop = 3
        assert_same(scene_from_stac(geobox(scene["s2"]), YEAR, **call), scene)
        dropping.to_drop = 1000
        with pytest.raises(EnvironmentProblem, match=r"Expected an answer from http://127\.0\.0\.1.*Call again"):
            scene_from_stac(geobox(scene["s2"]), YEAR, **call)
        dropping.to_drop = 0
        assert_same(scene_from_stac(geobox(scene["s2"]), YEAR, **call), scene)


def test_pixels_that_a_busy_server_refuses_are_asked_for_again(own_catalogue, scene, dropping):
    with serve(own_catalogue.parent, dropping) as address:
        source = f"{address}/catalog.json"
        got = scene_from_stac(geobox(scene["s2"]), YEAR, source=source, modalities=("s1",))
        dropping.to_refuse = 1
        wanted = scene["s1"]["image"].values[:1]
        assert np.allclose(got["s1"]["image"].values, wanted, atol=1e-4) and dropping.to_refuse == 0


def test_addresses_are_signed_where_a_source_needs_it(own_catalogue, scene, dropping, monkeypatch):
    def sign(item):
        for asset in item.assets.values():
            asset.href += "?key=secret"

    monkeypatch.setattr(planetary_computer, "sign_inplace", sign)
    with serve(own_catalogue.parent, dropping) as address:
        signed = entries("sources")["planetary_computer"].model_copy(update={"address": f"{address}/catalog.json"})
        got = scene_from_stac(geobox(scene["s2"]), YEAR, source=signed, modalities=("s1",)).load()
    assert np.isfinite(got["s1"]["image"].values).all()
    files = [path for path in dropping.asked if ".tif" in path]
    assert files and all(path.endswith("?key=secret") for path in files)


HOSTILE = [
    "file:///etc/passwd",
    "/etc/passwd",
    "/vsicurl/http://127.0.0.1/x.tif",
    "s3://bucket/x.tif",
    "http://127.0.0.2/x.tif",
    "http://localhost/x.tif",
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.7/x.tif",
    "http://2130706433/x.tif",
    "http://[::1]/x.tif",
    "http://[::ffff:192.168.0.1]/x.tif",
    "http://example.com@127.0.0.3/x.tif",
]


@pytest.mark.parametrize("page", ["api", "catalog.json"])
@pytest.mark.parametrize("href", [href for href in HOSTILE if href[0] != "/"])
def test_a_remote_catalogue_may_not_name_files_of_this_machine_or_network(href, page, own_catalogue, scene):
    change_items(own_catalogue, lambda item: next(iter(item["assets"].values())).update(href=href))
    refused = pytest.raises(SceneError, match="Expected a catalogue that names only .* do not trust it")
    with serve(own_catalogue.parent, SearchHandler) as address, refused:
        scene_from_stac(geobox(scene["s2"]), YEAR, source=f"{address}/{page}", max_cloud=100)


@pytest.mark.parametrize("href", ["/etc/passwd", "/vsimem/x.tif", "B02.tif"])
def test_a_path_in_an_item_without_address_is_no_path_on_this_machine(href, own_catalogue, scene):
    class WithoutAddress(SearchHandler):
        def reply(self, content):
            for item in content.get("features", ()):
                item["links"] = []
            super().reply(content)

    change_items(own_catalogue, lambda item: next(iter(item["assets"].values())).update(href=href))
    refused = pytest.raises(SceneError, match="addresses that start with http")
    with serve(own_catalogue.parent, WithoutAddress) as address, refused:
        scene_from_stac(geobox(scene["s2"]), YEAR, source=f"{address}/api", max_cloud=100)


@pytest.mark.parametrize("href", [*HOSTILE, "../../../../etc/passwd", "file:///etc/hostname"])
def test_a_catalogue_on_disk_may_only_name_files_in_its_folder(href, own_catalogue, scene):
    change_items(own_catalogue, lambda item: next(iter(item["assets"].values())).update(href=href))
    with pytest.raises(SceneError, match="Expected a catalogue that names only"):
        scene_from_stac(geobox(scene["s2"]), YEAR, source=own_catalogue, max_cloud=100)


def test_a_page_that_leads_inside_is_not_followed(own_catalogue, scene, dropping):
    class Leading(dropping):
        def do_GET(self):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", "http://127.0.0.2:1/catalog.json")
            self.send_header("Content-Length", "0")
            self.end_headers()

    refused = pytest.raises(SceneError, match=r"names only files on public hosts.*127\.0\.0\.2")
    with serve(own_catalogue.parent, Leading) as address, refused:
        scene_from_stac(geobox(scene["s2"]), YEAR, source=f"{address}/catalog.json")
    root = json.loads(own_catalogue.read_text())
    root["links"] = [{"rel": "child", "href": "http://169.254.169.254/catalog.json"}]
    own_catalogue.write_text(json.dumps(root))
    with pytest.raises(SceneError, match=r"names only files on public hosts.*169\.254"):
        scene_from_stac(geobox(scene["s2"]), YEAR, source=own_catalogue)


def test_a_file_that_leads_to_others_is_not_opened(own_catalogue, scene, tmp_path):
    secret = next(own_catalogue.parent.rglob("vv.tif")).rename(tmp_path / "secret.tif")
    row = f'<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename>{secret}</SourceFilename>'
    text = f'<VRTDataset rasterXSize="24" rasterYSize="24">{row}</SimpleSource></VRTRasterBand></VRTDataset>'
    next(own_catalogue.parent.rglob("sentinel-1*/s1*")).joinpath("vv.tif").write_text(text)
    got = scene_from_stac(geobox(scene["s2"]), YEAR, source=own_catalogue, modalities=("s1",))
    with pytest.raises(RasterioIOError):
        got.load()


def test_a_catalogue_with_other_customs_and_coarser_bands_is_read_as_described(own_catalogue, scene):
    custom, other = entries("sources")["planetary_computer"], entries("sources")["earth_search"]
    names = {key: other.assets["s2"][band] for band, key in custom.assets["s2"].items()}
    names[custom.scene_classification] = other.scene_classification

    def rename(item):
        if item["collection"] == "sentinel-2-l2a":
            item["assets"] = {names[key]: asset for key, asset in item["assets"].items()}
            for name, asset in item["assets"].items():
                asset["eo:bands"] = [{"name": name, "common_name": name}]
                asset["raster:bands"] = [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]
        item["properties"] |= {"proj:epsg": 32634, "earthsearch:boa_offset_applied": False}

    coarse = ["B5", "B6", "B7", "B8A", "B11", "B12"]
    for key in [*(custom.assets["s2"][band] for band in coarse), custom.scene_classification]:
        path = next(own_catalogue.parent.rglob(f"{key}.tif"))
        with rasterio.open(path) as file:
            values, profile = file.read()[:, ::2, ::2], file.profile
            profile |= {"transform": file.transform @ file.transform.scale(2), "width": 12, "height": 12}
        path.unlink()
        with rasterio.open(path, "w", **profile | {"driver": "GTiff", "tiled": False}) as file:
            file.write(values)
    change_items(own_catalogue, rename)
    described = other.model_copy(update={"address": str(own_catalogue)})
    got = scene_from_stac(geobox(scene["s2"]), YEAR, source=described, modalities=("s2",), max_cloud=100)["s2"]
    wanted = scene["s2"].isel(time=slice(0, 1))
    doubled = wanted["image"].sel(band=coarse).values[..., ::2, ::2].repeat(2, -1).repeat(2, -2)
    fine = ["B2", "B3", "B4", "B8"]
    assert (got["image"].sel(band=fine).values == wanted["image"].sel(band=fine).values).all()
    assert (got["image"].sel(band=coarse).values == doubled).all()
    assert (got["clear"].values == wanted["clear"].values[:, ::2, ::2].repeat(2, -1).repeat(2, -2)).all()


def test_a_part_that_is_missing_on_disk_is_no_lost_connection(own_catalogue, scene):
    next(own_catalogue.parent.glob("sentinel-2*/s2*/*.json")).unlink()
    with pytest.raises(SceneError, match="Expected a STAC catalogue at .*No such file"):
        scene_from_stac(geobox(scene["s2"]), YEAR, source=own_catalogue)


def test_a_scene_is_written_whole_or_not_at_all(scene, tmp_path):
    (tmp_path / "precious").write_text("work")
    with pytest.raises(SceneError, match="Expected an empty folder"):
        write_stac(scene, tmp_path)
    with pytest.raises(SceneError, match="Expected 4 baselines, one per date, got 2"):
        write_stac(scene, tmp_path / "new", ["02.14", "05.09"])
    with pytest.raises(SceneError, match="Expected baselines such as 05.09, got '5'"):
        write_stac(scene, tmp_path / "new", "5")
    colours = build(hr=made("hr", values=100.0))
    with pytest.raises(SceneError, match="Expected a scene with s2 or s1, got hr"):
        write_stac(colours, tmp_path / "new")
