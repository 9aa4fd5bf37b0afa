"""Finding images in a STAC catalogue: by sensor, area, period and cloud cover, in a service or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from warnings import catch_warnings, simplefilter

import pandas as pd
import pystac
from pystac.errors import STACError, STACTypeError
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import PystacClientWarning
from requests import Response
from urllib3 import Retry

from skysense_nb.data.areas import Bounds, Period
from skysense_nb.data.catalog import RemoteSource, entries
from skysense_nb.data.remote_files import check_reachable, is_remote
from skysense_nb.errors import EnvironmentProblem, ParameterError, SceneError, SkySenseError

RETRIES = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
"""Tries after the first, also of a search, which changes nothing and may be sent twice."""

TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two pieces of an answer."""

MOST_ITEMS = 2000
"""A search that finds more is refused: it is a mistake more often than a wish."""


class GuardedIO(StacApiIO):
    """Reads the pages of a catalogue with limited patience, and none that the catalogue must not name."""

    def __init__(self, home: str) -> None:
        super().__init__(timeout=TIMEOUT_S, max_retries=RETRIES)
        self.home = home
        self.session.hooks["response"].append(self.check_redirect)

    def read_text(self, source: pystac.link.HREF | pystac.Link, *arguments: Any, **options: Any) -> str:
        """One page as text."""
        href = source.to_dict()["href"] if isinstance(source, pystac.Link) else str(source)
        check_reachable(href, self.home)
        return super().read_text(source, *arguments, **options)

    def check_redirect(self, response: Response, **_: Any) -> None:
        """Refuses a page that sends this machine where the catalogue must not."""
        if response.is_redirect:
            target = self.session.get_redirect_target(response) or ""
            check_reachable(urljoin(response.url, target), self.home)


def find_source(source: str | Path | RemoteSource, like: str) -> RemoteSource:
    """What is known of a source: by its name, or of an address or path, which follows the customs of `like`.

    Raises:
        ParameterError: Neither a known name, nor an address, nor a file that is there.

    Example:
        >>> find_source("planetary_computer", "").s1_unit
        'power'
    """
    if isinstance(source, RemoteSource):
        return source
    known = entries("sources")
    if str(source) in known:
        return known[str(source)]
    path = Path(source) / "catalog.json" if not is_remote(source) and Path(source).is_dir() else source
    if not is_remote(source) and not Path(path).is_file():
        expected = f"a source among {', '.join(known)}, an address, or the path of a catalog.json"
        raise ParameterError.of(expected, repr(str(source)), "Choose one of these.")
    if like not in known:
        raise ParameterError.of(f"like as one of {', '.join(known)}", repr(like), "Choose one of these.")
    address = str(source) if is_remote(source) else str(Path(path).resolve())
    return known[like].model_copy(update={"address": address, "signing": ""})


def search(source: RemoteSource, modality: str, bounds: Bounds, period: Period, max_cloud: float) -> list[pystac.Item]:
    """Items of one sensor, earliest first, whose files may be opened; only the assets that are read remain.

    Args:
        source: The catalogue.
        modality: `s2` or `s1`.
        bounds: West, south, east, north in degrees.
        period: First and last moment, UTC.
        max_cloud: Largest `eo:cloud_cover` of a whole tile in percent; items that state none are kept.

    Raises:
        EnvironmentProblem: No answer, after several tries.
        SceneError: No or a damaged catalogue, nothing found, too much found, an asset missing or not to be opened.
    """
    collection = source.collections[modality]
    with words_for_failures(source.address), catch_warnings():
        simplefilter("ignore", PystacClientWarning)  # that a folder of files is no search service
        client = Client.open(source.address, stac_io=GuardedIO(source.address), timeout=TIMEOUT_S)
        found = list(items_of(client, collection, bounds, period))
        clear_enough = [item for item in found if cloud(item) <= max_cloud]
    if len(found) > MOST_ITEMS:
        raise SceneError.of(f"at most {MOST_ITEMS} items", "more", "Take a smaller area or a shorter period.")
    if not clear_enough:
        when = f"from {period[0]:%Y-%m-%d} to {period[1]:%Y-%m-%d}"
        got, fix = "none", "Take another area or period."
        if found:
            got = f"none with at most {max_cloud:g} % cloud"
            least = min(map(cloud, found))
            fix = f"Without that limit there are {len(found)}, the clearest with {least:.0f} %: raise max_cloud."
        raise SceneError.of(f"items of {collection} {when}", got, fix)
    keys = [*source.assets[modality].values()]
    keys += [source.scene_classification] if modality == "s2" and source.scene_classification else []
    for item in clear_enough:
        item.assets = {key: checked_asset(item, key, source) for key in keys}
    if source.signing:
        sign(clear_enough, source)
    return sorted(clear_enough, key=moment)


def items_of(client: Client, collection: str, bounds: Bounds, period: Period) -> Iterator[pystac.Item]:
    """Items of a collection in an area and a period: asked of a service, or picked from a catalogue of files."""
    if client.conforms_to("ITEM_SEARCH"):
        span = f"{period[0]:%Y-%m-%dT%H:%M:%SZ}/{period[1]:%Y-%m-%dT%H:%M:%SZ}"
        asked = client.search(collections=[collection], bbox=bounds, datetime=span, limit=100, max_items=MOST_ITEMS + 1)
        yield from asked.items()
        return
    west, south, east, north = bounds
    shelves = [child for child in client.get_children() if child.id == collection] or [client]
    for item in (item for shelf in shelves for item in shelf.get_items(recursive=True)):
        if item.collection_id == collection and item.bbox and item.geometry and period[0] <= moment(item) <= period[1]:
            half = len(item.bbox) // 2  # with heights a box has six numbers
            left, bottom, right, top = *item.bbox[:2], *item.bbox[half : half + 2]
            if left < east and right > west and bottom < north and top > south:
                yield item


def cloud(item: pystac.Item) -> float:
    """Cloud cover of an item in percent, 0 where it states none."""
    return float(item.properties.get("eo:cloud_cover") or 0)


def moment(item: pystac.Item) -> pd.Timestamp:
    """When an item was acquired, or began to be, UTC without saying so."""
    when = item.datetime or item.common_metadata.start_datetime
    if when is None:
        raise SceneError.of(f"a date for the item {item.id}", "none", "The catalogue is damaged; try another.")
    when = pd.Timestamp(when)
    return when.tz_convert(None) if when.tz is not None else when


def checked_asset(item: pystac.Item, key: str, source: RemoteSource) -> pystac.Asset:
    """An asset under its absolute address, if it is there and may be opened."""
    if key not in item.assets:
        got = f"{len(item.assets)} others: {', '.join(sorted(item.assets)[:20])}"
        fix = "Describe the catalogue with a RemoteSource, or name a source that is like it: like=…"
        raise SceneError.of(f"the asset {key} in {item.id}", got, fix)
    asset = item.assets[key]
    asset.href = check_reachable(asset.get_absolute_href() or asset.href, source.address)
    return asset


def sign(items: list[pystac.Item], source: RemoteSource) -> None:
    """Signs the addresses of files in place, for about an hour."""
    import planetary_computer

    with words_for_failures(source.address):
        for item in items:
            planetary_computer.sign_inplace(item)


@contextmanager
def words_for_failures(address: str) -> Iterator[None]:
    """Turns what can go wrong with a catalogue into the two errors that a user can act on."""
    try:
        yield
    except (APIError, OSError, STACError, STACTypeError, ClientTypeError, ValueError, KeyError, TypeError) as error:
        behind = list(reasons(error))
        for reason in behind:
            if isinstance(reason, SkySenseError):
                raise reason from error
        said = next((one for one in behind if isinstance(one, APIError | OSError)), error)
        got = f"{type(said).__name__}: {(str(said).strip().splitlines() or [''])[0][:200]}".rstrip(".")
        if isinstance(said, APIError | OSError) and is_remote(address):
            fix = "Call again when the connection is back: a search leaves nothing half done."
            raise EnvironmentProblem.of(f"an answer from {address}", got, fix) from error
        raise SceneError.of(f"a STAC catalogue at {address}", got, "Check the address.") from error


def reasons(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it: a reader of catalogues hides a lost connection behind errors of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
