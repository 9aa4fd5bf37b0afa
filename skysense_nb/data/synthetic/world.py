"""The synthetic world: ask for a place and get a scene of three sensors with the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from skysense_nb.data.scene import DIMS, build
from skysense_nb.data.synthetic import labels, radar, search, sensing
from skysense_nb.data.synthetic.clouds import Sun
from skysense_nb.data.synthetic.dates import Dates, resolve
from skysense_nb.data.synthetic.drawing import plan_of
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.window import SENTINEL_PIXEL_M, project, window_of, zone_of
from skysense_nb.errors import SceneError
from skysense_nb.sensors import SENSORS


class World:
    """An endless, made-up Earth that is the same for everyone who uses the same seed.

    Everything is a function of the seed, the UTM zone and the coordinates. Within one zone neighbouring windows fit
    together to the last bit, as tiles of real products do; across zones they do not, as those do not either.

    Example:
        >>> world = World(seed=0)
        >>> place = world.scene(*world.find("village"), size_m=160, s2_dates=3, s1_dates=2)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = int(seed)

    def __repr__(self) -> str:
        return f"World(seed={self.seed})"

    def scene(
        self,
        lon: float,
        lat: float,
        size_m: int = 640,
        year: int = 2023,
        hr_dates: Dates = 1,
        s2_dates: Dates = 10,
        s1_dates: Dates = 5,
        modalities: Sequence[str] = ("hr", "s2", "s1"),
        clouds: bool = True,
    ) -> xr.DataTree:
        """A square scene around a place, on the 10 m grid of its UTM zone; see `window` for what it holds.

        Args:
            lon: Longitude of the middle in degrees.
            lat: Latitude of the middle in degrees.
            size_m: Side in metres, a multiple of 20.
            year: Growing year of the dates that are given as counts, 2018–2026.
            hr_dates: Number of aerial images or their dates.
            s2_dates: Number of Sentinel-2 passes or their dates.
            s1_dates: Number of Sentinel-1 passes or their dates.
            modalities: Sensors to make.
            clouds: False for a sky without clouds.

        Raises:
            SceneError: Not a place between 80° south and 84° north, or a size that does not fit the grid.

        Example:
            >>> meadow = World(seed=0).scene(8.5, 47.4, size_m=160, s2_dates=["2023-05-01", "2023-08-01"])
            >>> meadow["s2"]["image"].sizes["time"]
            2
        """
        if size_m < 20 or size_m % 20:
            raise SceneError.of("a size that is a multiple of 20 m", f"{size_m}", "Use 640, or 160 for a quick look.")
        zone = zone_of(lon, lat)
        x, y = (int(SENTINEL_PIXEL_M * round(one / SENTINEL_PIXEL_M)) for one in project(zone, lon, lat))
        half = int(size_m) // 2
        options = {"year": year, "hr_dates": hr_dates, "s2_dates": s2_dates, "s1_dates": s1_dates, "clouds": clouds}
        return self.window((x - half, y - half, x + half, y + half), zone, modalities=modalities, **options)

    def window(
        self,
        bounds: tuple[float, float, float, float],
        crs: object,
        *,
        year: int = 2023,
        hr_dates: Dates = 1,
        s2_dates: Dates = 10,
        s1_dates: Dates = 5,
        modalities: Sequence[str] = ("hr", "s2", "s1"),
        clouds: bool = True,
    ) -> xr.DataTree:
        """A scene with exact edges.

        Counts of dates become days as described in `dates.resolve`; neighbouring windows in different 20 km squares
        may get different Sentinel-2 days, so pass dates where they must agree.

        Args:
            bounds: Left, bottom, right and top edge in metres, multiples of 10.
            crs: A WGS 84 / UTM zone in any spelling.
            year: Growing year of the dates that are given as counts, 2018–2026.
            hr_dates: Number of aerial images or their dates.
            s2_dates: Number of Sentinel-2 passes or their dates.
            s1_dates: Number of Sentinel-1 passes or their dates.
            modalities: Sensors to make; labels cover the period from their first to their last image.
            clouds: False for a sky without clouds.

        Returns:
            A scene with nodes for the sensors asked for and `labels`. `hr` holds uint8 R G B at 0.3125 m, `s2` int16
            reflectance × 10,000 with `clear`, `s1` float32 dB with `orbit`. `labels` holds, at 1.25 m, `land_cover`
            and `parcel` on the last date, `crop` in the growing year of the middle Sentinel-2 date, `change`
            (`change_from`, `change_to`, `change_date`) between the first and the last date, and boxes of objects per
            aerial date. Attributes of the scene: `scene_class`, `multi_label`, `tags` (OpenStreetMap) with
            `tag_shares` of the ground.

        Raises:
            SceneError: Edges off the grid, a CRS that is not UTM, unknown sensors, dates that are none.
        """
        window = window_of(tuple(bounds), crs)
        check_modalities(modalities)
        wanted = {"hr": hr_dates, "s2": s2_dates, "s1": s1_dates}
        dates = {name: resolve(name, wanted[name], year, self.seed, window) for name in SENSORS}
        request = sensing.Request(
            self.seed, window, dates, tuple(name for name in SENSORS if name in modalities), clouds
        )
        seen = sensing.look(request)
        terrain = Terrain(self.seed, window.zone)
        boxes = labels.objects(plan_of(terrain, window), terrain, window, dates["hr"])
        images = {name: georeference(name, image, request) for name, image in seen.images.items()}
        clear = {"s2": xr.DataArray(seen.clear, dims=("time", "y", "x"))} if "s2" in images else None
        tree = build(**images, clear=clear, labels=labels.dataset(seen.layers, window, boxes))
        tree.attrs |= {
            "world": repr(self),
            **labels.summary(seen.layers, search.kind_at(terrain, *window.center), boxes),
        }
        return tree

    def find(self, kind: str, near: tuple[float, float] | None = None) -> tuple[float, float]:
        """The nearest place of a kind, as (lon, lat) in degrees.

        Args:
            kind: One of `classes.PLACES`, such as "village", "harbour" or "river".
            near: Where to start, (lon, lat); without it somewhere in the temperate north.

        Raises:
            SceneError: An unknown kind, or none within a hundred kilometres.

        Example:
            >>> World(seed=0).find("village") == World(seed=0).find("village")
            True
        """
        return search.find(self.seed, kind, near)


def check_modalities(modalities: Sequence[str]) -> None:
    """Refuses unknown sensors and an empty choice."""
    unknown = [name for name in modalities if name not in SENSORS]
    if unknown or not modalities or isinstance(modalities, str):
        raise SceneError.of("modalities among hr, s2, s1", repr(modalities), "Pass a tuple such as ('hr', 's2', 's1').")


def georeference(name: str, image: np.ndarray, request: sensing.Request) -> xr.DataArray:
    """An image T C H W as a scene wants it: dates, band names, coordinates, CRS, and how the sensor looked."""
    window, calendar, pixel_m = request.window, request.calendar(name), sensing.PIXEL_M[name]
    coords = {
        "time": calendar.dates,
        "band": list(SENSORS[name].bands),
        "y": window.ys(pixel_m),
        "x": window.xs(pixel_m),
    }
    if name == "s1":
        passes = np.where(radar.ascending(calendar), "ascending", "descending")
        coords["orbit"] = ("time", passes)
    else:
        suns = [Sun.at(window.zone, day) for day in calendar.day_of_year]
        coords["sun_azimuth"] = ("time", [sun.azimuth_deg for sun in suns])
        coords["sun_elevation"] = ("time", [sun.elevation_deg for sun in suns])
    return xr.DataArray(image, coords, DIMS, attrs={"unit": SENSORS[name].unit}).rio.write_crs(window.zone)
