"""What a catalogue must not make this machine open."""

import socket

import pytest

from skysense_nb.data import remote_files
from skysense_nb.data.remote_files import check_reachable, is_public
from skysense_nb.errors import SceneError

REMOTE = "https://stac.example/catalog.json"


@pytest.fixture
def names(monkeypatch):
    """Host names that mean what the test says, without asking anyone; numbers mean themselves."""
    known = {"files.example": ["93.184.215.14"], "inside.example": ["93.184.215.14", "10.1.2.3"]}

    def look_up(host, port):
        if host in known:
            return [(0, 0, 0, "", (number, 0)) for number in known[host]]
        if host[0].isdigit() or ":" in host:
            return [(0, 0, 0, "", (host, 0))]
        raise socket.gaierror("unknown name")

    monkeypatch.setattr(remote_files.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(remote_files, "getproxies", dict)
    remote_files.addresses_of.cache_clear()
    yield
    remote_files.addresses_of.cache_clear()


@pytest.mark.parametrize(
    "number",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "255.255.255.255"],
)  # fmt: skip
def test_addresses_inside_are_not_public(number):
    assert not is_public(number)


@pytest.mark.parametrize("number", ["8.8.8.8", "2606:4700::1111"])
def test_addresses_outside_are_public(number):
    assert is_public(number)


def test_a_host_is_public_only_if_all_its_addresses_are(names):
    assert check_reachable("https://files.example/a.tif?key=1", REMOTE) == "https://files.example/a.tif?key=1"
    with pytest.raises(SceneError, match="files on public hosts"):
        check_reachable("https://inside.example/a.tif", REMOTE)


def test_a_host_nobody_knows_is_refused_unless_a_proxy_may_know_it(names, monkeypatch):
    with pytest.raises(SceneError, match="hosts that can be found"):
        check_reachable("https://nowhere.example/a.tif", REMOTE)
    monkeypatch.setattr(remote_files, "getproxies", lambda: {"https": "http://proxy.example"})
    check_reachable("https://nowhere.example/a.tif", REMOTE)


def test_the_host_of_the_catalogue_may_be_inside(names):
    assert check_reachable("http://10.0.0.5/a.tif", "http://10.0.0.5:8080/stac")
    with pytest.raises(SceneError):
        check_reachable("http://10.0.0.6/a.tif", "http://10.0.0.5:8080/stac")


@pytest.mark.parametrize(
    "href", ["http://", "http:///a.tif", "http://[::1/a.tif", "https://files.example\\@10.0.0.1/a"]
)
def test_addresses_that_can_be_read_two_ways_are_refused(href, names):
    with pytest.raises(SceneError):
        check_reachable(href, REMOTE)


def test_keys_in_addresses_are_not_shown(names):
    with pytest.raises(SceneError) as caught:
        check_reachable("http://10.0.0.6/a.tif?key=secret", REMOTE)
    assert "secret" not in str(caught.value)


def test_a_catalogue_on_disk_reaches_its_folder_only(tmp_path):
    home = tmp_path / "stac" / "catalog.json"
    (tmp_path / "stac").mkdir()
    home.write_text("{}")
    inside, outside = tmp_path / "stac" / "my file.tif", tmp_path / "other.tif"
    for path in (inside, outside):
        path.write_text("x")
    assert check_reachable(str(inside), home) == str(inside)
    assert check_reachable(f"file://{tmp_path}/stac/my%20file.tif", home) == str(inside)
    (tmp_path / "stac" / "link.tif").symlink_to(outside)
    for wrong in (outside, tmp_path / "stac" / ".." / "other.tif", tmp_path / "stac" / "link.tif", "/vsizip/a.zip"):
        with pytest.raises(SceneError, match="Nothing was read"):
            check_reachable(str(wrong), home)
