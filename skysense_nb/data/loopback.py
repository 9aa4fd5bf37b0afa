"""A folder on this machine behind a web address that only this machine reaches: for trying what needs a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

from skysense_nb.errors import SceneError


class RangeHandler(SimpleHTTPRequestHandler):
    """Answers with whole files and with ranges of bytes, which readers of cloud-optimised GeoTIFFs ask for."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> BytesIO | BinaryIO | None:
        """The head of the answer; returns what follows it."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self.answer(HTTPStatus.OK, path, size)
            return path.open("rb")
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        if first > last:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return None
        self.answer(HTTPStatus.PARTIAL_CONTENT, path, last - first + 1, f"bytes {first}-{last}/{size}")
        with path.open("rb") as file:
            file.seek(first)
            return BytesIO(file.read(last - first + 1))

    def answer(self, status: HTTPStatus, path: Path, size: int, part: str = "") -> None:
        """Status and headers of an answer of `size` bytes."""
        self.send_response(status)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(size))
        self.send_header("Accept-Ranges", "bytes")
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing per request."""


@contextmanager
def serve(folder: str | Path, handler: type[RangeHandler] = RangeHandler) -> Iterator[str]:
    """Serves a folder on 127.0.0.1 at a free port, until the block ends.

    Args:
        folder: What to serve.
        handler: What answers.

    Yields:
        The address, without a slash at its end.

    Raises:
        SceneError: There is no such folder.

    Example:
        >>> with serve(".") as address:
        ...     print(address.rpartition(":")[0])
        http://127.0.0.1
    """
    if not Path(folder).is_dir():
        raise SceneError.of(f"a folder at {folder}", "none", "Check the path.")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
