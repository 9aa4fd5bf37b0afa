"""What all readers share: checks before training, and every entry of the catalogue has reader and miniature."""

import json
from importlib import import_module

import pytest

from skysense_nb.data.benchmarks import READERS, Reader, open_benchmark
from skysense_nb.data.benchmarks import reader as reader_module
from skysense_nb.data.catalog import benchmark, entries
from skysense_nb.data.miniatures import WRITERS, write_miniature
from skysense_nb.errors import DatasetError, ParameterError


def test_every_benchmark_has_a_reader_and_a_miniature():
    assert READERS.keys() == WRITERS.keys() == entries().keys()
    for name, where in READERS.items():
        module, reader = where.split(":")
        found = getattr(import_module(f"skysense_nb.data.benchmarks.{module}"), reader)
        assert issubclass(found, Reader) and found.name == name


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_miniature_repeats_with_its_seed_and_is_small(name, miniature, tmp_path):
    folder, _ = miniature(name)
    write_miniature(name, tmp_path / name)
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files = {path: content for path, content in files.items() if ".skysense_nb" not in path.parts}
    again = {path.relative_to(tmp_path / name): path for path in (tmp_path / name).rglob("*") if path.is_file()}
    assert files.keys() == again.keys()
    changed = [str(path) for path, content in files.items() if again[path].read_bytes() != content]
    assert not changed
    assert sum(map(len, files.values())) < 12e6


def test_verify_counts_reads_and_remembers(own_copy):
    root = own_copy("aid")
    reader = open_benchmark("aid", root, share=0.5)
    first = reader.verify(samples=4)
    assert first.ok and first.first_time and first.looked_at == 4
    assert reader.verify(samples=4).ok and not reader.verify(samples=4).first_time
    path = reader.files(reader.items[0])[0]
    path.write_bytes(open_benchmark("aid", root, "test").items[0].path.read_bytes())
    assert reader.verify(samples=4).problems == [f"{reader.root.name(path)} has changed"]


def test_verify_says_when_samples_are_missing_or_broken(own_copy, monkeypatch):
    root = own_copy("aid")
    reader = open_benchmark("aid", root, share=0.5)
    monkeypatch.setattr(type(reader.entry), "count", lambda entry, split: 5000)
    reader.items[-1].path.write_bytes(b"no image")
    found = reader.verify(samples=2)
    assert not found.ok and found.problems[0] == "9 of 5000 images of train"
    assert "Expected a readable image at" in found.problems[1] and "checksums stored: 9 of 5000" in str(found)


def test_a_miniature_is_whole_or_not_there(tmp_path, monkeypatch):
    from skysense_nb.data.miniatures import class_folders

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(class_folders, "save_jpeg", fails)
    with pytest.raises(OSError, match="disk full"):
        write_miniature("aid", tmp_path / "aid")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write_miniature("aid", tmp_path / "aid")
    assert [path.name for path in tmp_path.iterdir()] == ["aid"]
    with pytest.raises(DatasetError, match="Expected a new folder at .*, got one that exists"):
        write_miniature("aid", tmp_path / "aid")


def test_notes_beside_the_data_are_plain_json(own_copy):
    root = own_copy("resisc45")
    open_benchmark("resisc45", root, share=0.1).verify()
    for path in (root / ".skysense_nb").iterdir():
        assert path.suffix == ".json" and json.loads(path.read_text())


def test_an_unknown_benchmark_names_the_known():
    with pytest.raises(ParameterError, match="Expected a benchmark among aid, ben_mm"):
        open_benchmark("imagenet", ".")
    assert benchmark("isaid").count("train") is None  # only recalled
    assert benchmark("levir_cd").count("train") == 445


def test_verify_tells_what_it_saw_where_it_may_not_write(own_copy, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("read-only")

    reader = open_benchmark("aid", own_copy("aid"), share=0.5)
    monkeypatch.setattr(reader_module.Path, "mkdir", refuse)
    found = reader.verify(samples=2)
    assert found.looked_at == 2 and [problem for problem in found.problems if "got read-only" in problem]


def test_notes_that_are_cut_short_are_named(own_copy):
    root = own_copy("aid")
    reader = open_benchmark("aid", root, share=0.5)
    reader.verify()
    for path in (root / ".skysense_nb").iterdir():
        path.write_text(path.read_text()[:20])
    with pytest.raises(DatasetError, match="Expected JSON in .*train-checksums.json"):
        reader.verify()
    with pytest.raises(DatasetError, match="Expected JSON in .*seed0.json"):
        open_benchmark("aid", root, share=0.5)
