"""The commands `catalog` and `fetch`, as a user types them."""

import json
import zipfile

import pytest
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError, ParameterError


def typed(*words):
    told = CliRunner().invoke(app, [str(word) for word in words])
    if told.exception and not isinstance(told.exception, SystemExit):
        raise told.exception
    return told


def test_catalog_shows_all_filters_and_details():
    assert len(json.loads(typed("catalog", "--json").output)) == 16
    table = typed("catalog", "--task", "boxes", "--sensor", "hr").output
    assert "FAIR1M" in table and "AID" not in table
    told = typed("catalog", "dior").output
    assert "JPEGImages-trainval" in told and "AP50 78.73 (official)" in told
    assert "79.5" not in told  # only recalled
    assert json.loads(typed("catalog", "dior", "--json").output)["classes"][8]["name"] == "dam"
    with pytest.raises(ParameterError, match="Expected a benchmark among"):
        typed("catalog", "imagenet")


def test_fetch_makes_a_miniature_and_verifies_it(tmp_path):
    told = typed("fetch", "aid", "--miniature", tmp_path / "aid", "--verify", tmp_path / "aid")
    assert "15 synthetic samples" in told.output and "no problems" in told.output and told.exit_code == 0
    reader = open_benchmark("aid", tmp_path / "aid")
    reader.files(reader.items[0])[0].write_bytes(b"broken")
    told = typed("fetch", "aid", "--verify", tmp_path / "aid")
    assert told.exit_code == 1 and "Expected a readable image" in told.output
    with pytest.raises(DatasetError, match="got one that exists"):
        typed("fetch", "aid", "--miniature", tmp_path / "aid")


def test_fetch_unpacks_what_was_downloaded_and_otherwise_says_where_to_get_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "AID.zip", "w") as file:
        file.writestr("AID/Port/port_1.jpg", "x")
    typed("fetch", "aid", "--archive", tmp_path / "AID.zip", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "AID" / "Port" / "port_1.jpg").read_text() == "x"
    assert "get it    https://captain-whu.com" in typed("fetch", "aid").output
