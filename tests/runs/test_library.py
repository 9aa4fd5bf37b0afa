import nbformat
import pytest

from skysense_nb.errors import ParameterError
from skysense_nb.runs.library import (
    describe,
    facts_table,
    find_notebook,
    list_notebooks,
    notebooks_folder,
    source_checksum,
)


def test_describe_reads_the_first_cell(make_notebook):
    notebook = describe(make_notebook())
    assert (notebook.number, notebook.name, notebook.title) == ("07", "07_small", "A small thing")
    assert notebook.promise == "Shows one thing and stops."
    assert notebook.facts == {"Minutes on CPU": "1", "Comes after": "`06`"}
    assert notebook.fact("minutes", "cpu") == "1"
    assert notebook.fact("needs") == ""


def test_facts_table_also_reads_a_row_of_names_over_a_row_of_values():
    text = "| CPU | GPU | Needs |\n|:---|---:|---|\n| 1 min | 20 s | nothing |"
    assert facts_table(text) == {"CPU": "1 min", "GPU": "20 s", "Needs": "nothing"}


def test_a_checksum_is_of_the_source_and_not_of_what_it_puts_out(make_notebook):
    path = make_notebook("print(1)")
    notebook, before = nbformat.read(path, as_version=4), source_checksum(path)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="1")]
    notebook.cells[-1].execution_count = 1
    nbformat.write(notebook, path)
    assert source_checksum(path) == before
    notebook.cells[-1].source = "print(2)"
    nbformat.write(notebook, path)
    assert source_checksum(path) != before


def test_notebooks_are_listed_in_reading_order(make_notebook, tmp_path):
    for name in ("10_late", "02_early", "scratch"):
        make_notebook(name=name)
    assert [notebook.number for notebook in list_notebooks(tmp_path)] == ["02", "10"]


def test_find_takes_name_number_and_path(make_notebook, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    for name in ("01_one", "02_two"):
        make_notebook(name=name).rename(tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    wanted = tmp_path / "notebooks" / "02_two.ipynb"
    assert notebooks_folder() == wanted.parent
    assert find_notebook("02") == find_notebook("02_two") == find_notebook(wanted) == wanted
    with pytest.raises(ParameterError) as caught:
        find_notebook("3")
    assert str(caught.value) == "Expected one notebook among 01_one, 02_two, got '3'. Use its name, number or path."


def test_a_file_that_is_no_notebook(tmp_path):
    for text in ("{}", '{"cells": [{"cell_type": "code"}]}', '{"cells": ["code"]}'):
        (tmp_path / "x.ipynb").write_text(text)
        with pytest.raises(ParameterError, match="Expected a Jupyter notebook at .*x.ipynb"):
            describe(tmp_path / "x.ipynb")


def test_a_path_to_nothing(tmp_path):
    with pytest.raises(ParameterError, match="Expected a notebook at .*y.ipynb, got no such file"):
        find_notebook(tmp_path / "y.ipynb")
