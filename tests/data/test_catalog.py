"""The catalogue is whole, says how sure it is, and fetches nothing."""

import pandas as pd
import pytest
import yaml

from skysense_nb.data.benchmarks.files import plain
from skysense_nb.data.catalog import FOLDER, KINDS, catalog, entries, published_scores, read_entry
from skysense_nb.errors import EnvironmentProblem, ParameterError
from skysense_nb.sensors import S1, S2


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_follows_its_schema(kind):
    assert entries(kind).keys() == {path.stem for path in (FOLDER / kind).iterdir()}


def test_there_are_the_sixteen_benchmarks_of_the_papers():
    titles = {
        "AID", "RESISC-45", "BEN-S2", "fMoW-S2", "Dyna.-Pla.", "iSAID", "Potsdam", "Dyna.-S2", "DIOR", "DIOR-R",
        "FAIR1M", "LEVIR-CD", "OSCD", "Dyna.-MM", "PASTIS-MM", "BEN-MM",
    }  # fmt: skip
    assert set(catalog().index) == titles


def test_sensors_have_the_bands_of_the_models_in_their_order():
    for one in entries().values():
        for name, sensor in one.sensors.items():
            accepted = {"s2": [S2.bands], "s1": [S1.bands], "hr": [("R", "G", "B"), ("R", "G", "B", "NIR")]}[name]
            assert sensor.bands in accepted, one.name


def test_numbers_of_classes_are_those_of_the_papers():
    known = {
        "aid": 30, "resisc45": 45, "ben_s2": 19, "ben_mm": 19, "fmow_s2": 62, "dyna_pla": 6, "dyna_s2": 6,
        "dyna_mm": 6, "isaid": 16, "potsdam": 5, "dior": 20, "dior_r": 20, "fair1m": 37, "levir_cd": 2, "oscd": 2,
        "pastis": 19,
    }  # fmt: skip
    assert {name: len(one.classes) for name, one in entries().items()} == known


def test_names_that_yaml_could_take_for_something_else_stay_names():
    cubes = entries()["dyna_pla"].labelled_cubes
    assert len(cubes) == len(set(cubes)) == 55
    assert all(isinstance(cube, str) and cube.count("_") == 2 for cube in cubes)
    assert entries()["ben_s2"].source_classes["Transitional woodland/shrub"] == 13
    assert sum(target is None for target in entries()["ben_s2"].source_classes.values()) == 11
    assert len(entries()["ben_s2"].source_classes) == 43


def test_no_two_classes_of_a_benchmark_are_spelled_alike():
    for one in entries().values():
        names = [each.name for each in (*one.classes, *one.ignored)]
        assert len({plain(name) for name in names}) == len(names), one.name


def test_filters_leave_what_fits():
    assert set(catalog(sensor="s1").index) == {"BEN-MM", "Dyna.-MM", "PASTIS-MM"}
    assert set(catalog(task="change").index) == {"LEVIR-CD", "OSCD", "Dyna.-S2"}
    assert set(catalog(licence="cdla").index) == {"BEN-MM", "BEN-S2"}
    assert catalog(licence="no such words").empty
    with pytest.raises(ParameterError, match="Expected words of scene classification"):
        catalog(task="cooking")
    with pytest.raises(ParameterError, match="Expected a sensor among hr, s2, s1, got 'lidar'"):
        catalog(sensor="lidar")


def test_a_recalled_score_is_not_shown_unless_asked_for():
    shown, every = published_scores(), published_scores(recalled=True)
    assert set(shown.confidence) == {"official", "third-party table", "second-hand notes"}
    hidden = every[every.confidence == "recalled"]
    assert set(zip(hidden.benchmark, hidden.value, strict=True)) == {("DIOR", 79.5), ("PASTIS-MM", 85.9)}
    official = shown[shown.confidence == "official"]
    assert set(official.benchmark) == {"iSAID", "DIOR"}
    assert pd.api.types.is_float_dtype(shown.value) and shown.value.between(0, 100).all()


def test_what_is_wrong_with_a_file_is_named(tmp_path):
    good = yaml.safe_load((FOLDER / "benchmarks" / "oscd.yaml").read_text())
    wrong = [
        ({"taks": "change"}, "taks: Extra inputs"),
        ({"task": "cooking"}, "task among scene classification"),
        ({"classes": [{"id": 1, "name": "a"}]}, "class ids 0, 1, 2"),
        ({"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "a"}]}, "class names that differ"),
        ({"sensors": {"lidar": {"bands": ["z"], "unit": "m"}}}, "sensors among hr, s2, s1"),
        ({"statistics": {"s2": {"mean": [1.0], "std": [1.0]}}}, "one mean and one std per band of s2"),
        ({"name": "other"}, "Expected the name oscd in oscd.yaml, got other"),
    ]
    for change, words in wrong:
        (tmp_path / "oscd.yaml").write_text(yaml.safe_dump(good | change))
        with pytest.raises(ParameterError, match=words):
            read_entry(tmp_path / "oscd.yaml", KINDS["benchmarks"])
    (tmp_path / "oscd.yaml").write_text("name: [")
    with pytest.raises(ParameterError, match="Expected oscd.yaml as Benchmark"):
        read_entry(tmp_path / "oscd.yaml", KINDS["benchmarks"])
    with pytest.raises(EnvironmentProblem, match="Expected catalogue files in"):
        entries("benchmarks", tmp_path / "nowhere")
