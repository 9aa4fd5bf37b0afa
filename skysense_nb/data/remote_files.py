"""Which files a catalogue may point to, and how their pixels are read.

A catalogue is text by someone else: what it lists is opened by this machine, inside this network. So a remote
catalogue may only name public hosts and its own, one on disk only files in its own folder besides.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import rasterio
from odc.loader._rio import RioDriver, RioReader
from odc.loader.types import RasterSource

from skysense_nb.errors import SceneError

FORMAT = "GTiff"
"""The driver that reads the file it is given and nothing else; others (VRT, WMS) follow addresses inside it."""

READING = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
}


def is_remote(home: str | Path) -> bool:
    """Whether a catalogue is at a web address.

    Example:
        >>> is_remote("https://example.com/stac"), is_remote("stac/catalog.json")
        (True, False)
    """
    return str(home).lower().startswith(("http://", "https://"))


def check_reachable(href: str, home: str | Path) -> str:
    """Refuses what a catalogue must not make this machine open.

    Redirects of a file's own server are followed and not looked at.

    Args:
        href: Absolute address or path of a file or page that the catalogue names.
        home: Address or path of the catalogue itself.

    Returns:
        `href`, a path in its resolved form.

    Raises:
        SceneError: For a catalogue on the web anything but http(s), or a host that is neither public nor the
            catalogue's own; for one on disk also files outside its folder.

    Example:
        >>> check_reachable("http://127.0.0.1:8000/B2.tif", "http://127.0.0.1:9000/catalog.json")
        'http://127.0.0.1:8000/B2.tif'
    """
    if is_remote(href):
        check_host(href, home)
        return href
    scheme = re.match(r"[a-z][a-z0-9+.-]*:", href, re.IGNORECASE)
    if is_remote(home) or (scheme and scheme[0] != "file:") or href.startswith("/vsi"):
        raise refusal("addresses that start with http:// or https://", href)
    folder = Path(home).resolve()
    folder = folder if folder.is_dir() else folder.parent
    path = Path(unquote(urlsplit(href).path) if scheme else href).resolve()
    if not path.is_relative_to(folder):
        raise refusal(f"files in the folder of the catalogue, {folder}", href)
    return str(path)


def check_host(href: str, home: str | Path) -> None:
    """Refuses a host inside this machine or network, however it is written."""
    try:
        host = urlsplit(href).hostname
    except ValueError:  # such as brackets that hold no address
        host = None
    if not host or re.search(r"[\s\\\x00-\x1f]", href):
        raise refusal("addresses of one host", href)
    if is_remote(home) and host == urlsplit(str(home)).hostname:
        return
    try:
        numbers = addresses_of(host)
    except (OSError, UnicodeError) as error:
        if getproxies():  # then the proxy finds it, and this machine cannot be meant
            return
        raise refusal("hosts that can be found", href) from error
    if not all(is_public(number) for number in numbers):
        raise refusal("files on public hosts, or on that of the catalogue", href)


@lru_cache(maxsize=256)
def addresses_of(host: str) -> frozenset[str]:
    """All numeric addresses of a host."""
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))


def is_public(number: str) -> bool:
    """Whether a numeric address lies in the public internet.

    Example:
        >>> [is_public(number) for number in ("8.8.8.8", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1")]
        [True, False, False, False]
    """
    address = ipaddress.ip_address(number.split("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_global and not address.is_multicast


def refusal(expected: str, href: str) -> SceneError:
    """The error for a file that must not be opened; what follows a question mark may be a key and stays out."""
    shown = ascii(href.split("?")[0][:160])
    return SceneError.of(f"a catalogue that names only {expected}", shown, "Nothing was read; do not trust it.")


class ImageDriver(RioDriver):
    """Reads pixels for odc-stac: GeoTIFFs only, and with a limited number of tries."""

    def capture_env(self) -> dict[str, Any]:
        """GDAL options of every read."""
        return {**super().capture_env(), **READING}

    def open(self, src: RasterSource, ctx: Any) -> RioReader:
        """A reader of one file; GDAL keeps the header, so that looking first costs no second request."""
        with rasterio.open(src.uri, driver=FORMAT, sharing=False):
            return super().open(src, ctx)
