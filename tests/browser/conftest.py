"""A JupyterLab of its own and a headless Chromium: notebooks run and are clicked as a reader would."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SECONDS = 1000


@dataclass
class Lab:
    """A running JupyterLab and the browser that looks at it."""

    folder: Path
    address: str
    token: str
    context: object
    outside: list[str] = field(default_factory=list)
    """Addresses the pages asked for beyond this machine."""

    @contextmanager
    def run(self, name: str, cells: list[str]) -> Iterator[object]:
        """Writes a notebook, opens it, runs all its cells, and yields the Playwright page.

        A picture of the page at the end is kept beside the notebook. A handler that raised fails the test.
        """
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / f"{name}.ipynb")
        page = self.context.new_page()
        page.on("request", self.note)
        page.goto(f"{self.address}/lab/tree/{name}.ipynb?token={self.token}&reset", timeout=60 * SECONDS)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60 * SECONDS)
        kernel = "window.jupyterapp.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"
        page.wait_for_function(kernel, timeout=60 * SECONDS)
        assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')"), self.errors(page)
        try:
            yield page
            failures = page.locator(".skysense-failure").all_inner_texts()
            assert failures == [], failures
        finally:
            page.screenshot(path=self.folder / f"{name}.png", full_page=True)
            page.close()

    def errors(self, page) -> str:
        """Tracebacks on the page."""
        return "\n".join(page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').all_inner_texts())

    def note(self, request) -> None:
        """Remembers a request that leaves this machine."""
        if not request.url.startswith((self.address, "data:", "blob:", self.address.replace("http", "ws"))):
            self.outside.append(request.url)


@pytest.fixture(scope="session")
def browser(chromium) -> Iterator[object]:
    """A headless Chromium, one for all tests of a process, because Playwright starts once in each."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory) -> Iterator[Lab]:
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")
    (home / "config" / "labconfig").mkdir(parents=True)
    (home / "config" / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, address = secrets.token_hex(16), f"http://127.0.0.1:{port}"
    server = start(folder, home, port, token)
    try:
        wait_until_ready(server, f"{address}/api/status?token={token}", home / "server.log")
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        yield Lab(folder, address, token, context)
        context.close()
    finally:
        server.terminate()
        server.wait(timeout=30)


def start(folder: Path, home: Path, port: int, token: str) -> subprocess.Popen:
    """Starts JupyterLab on loopback with settings of its own."""
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
    }
    environment = {**os.environ, **{name: str(home / inside) for name, inside in places.items()}}
    environment.pop("MPLBACKEND", None)  # Agg would keep figures out of the notebook
    options = [
        "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with open(home / "server.log", "w") as log:
        return subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log)


def wait_until_ready(server: subprocess.Popen, address: str, log: Path) -> None:
    """Returns when the server answers; fails with its log when it stopped or stays silent."""
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not answer within a minute:\n{log.read_text()}")
