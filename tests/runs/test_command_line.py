import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skysense_nb.runs.expectations import FOLDER


@pytest.fixture
def series(make_notebook, tmp_path) -> Path:
    """A folder with a series of three: one that works, one that fails, one with a scene to open."""
    folder = tmp_path / "place"
    (folder / "notebooks").mkdir(parents=True)
    sources = {"01_fine": "from skysense_nb.runs import report\nreport(twice=2 * seed)", "02_broken": "1 / seed"}
    for name, source in sources.items():
        shutil.move(make_notebook(source, name=name), folder / "notebooks" / f"{name}.ipynb")
    return folder


def call(series: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "skysense_nb", *arguments]
    return subprocess.run(command, cwd=series, capture_output=True, text=True, timeout=120)


def test_list_shows_names_titles_minutes_and_promises(series):
    done = call(series, "list")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split("  ")[0] == "01_fine"
    assert "A small thing  (1 on a CPU)" in done.stdout
    assert [entry["name"] for entry in json.loads(call(series, "list", "--json").stdout)] == ["01_fine", "02_broken"]


def test_run_prints_the_metrics_and_where_the_page_is(series):
    done = call(series, "run", "01", "-p", "seed=4")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["twice", "8"]
    page = Path(done.stdout.splitlines()[-1].split("Open ")[1])
    assert page.is_file() and page.parent.parent == series / "runs"


def test_run_as_json_is_the_record(series):
    done = call(series, "run", "01_fine", "--json", "--out", "elsewhere")
    told = json.loads(done.stdout)
    folder = Path(told.pop("folder"))
    assert folder.parent == series / "elsewhere"
    assert told == json.loads((folder / "record.json").read_text())


def test_numbers_are_only_expected_of_default_parameters_and_of_notebooks_with_expectations(series):
    other, plain = (
        json.loads(call(series, "run", "01", "--json", *more).stdout)["folder"] for more in (("-p", "seed=4"), ())
    )
    for command in ("compare", "expect"):
        done = call(series, command, other)
        assert done.returncode == 2 and "a run of 01_fine with default parameters, got seed=4" in done.stderr
    (folder := series / "broken").mkdir()
    done = call(series, "compare", str(folder), plain)
    assert f"{folder}: Expected" in done.stderr
    assert done.returncode == 2 and "skysense-nb expect runs/01_fine" in done.stderr
    done = call(series, "expect", "--dry-run", plain)
    assert done.returncode == 0 and done.stdout == f"{plain}:\n  twice: nothing → 0\n"
    assert not (FOLDER / "01_fine.yaml").exists()


def test_a_failed_notebook_exits_1_and_says_where(series):
    done = call(series, "run", "02")
    assert done.returncode == 1
    assert "Expected 02_broken to run to its end, got ZeroDivisionError in cell 2 (1 / seed)" in done.stderr
    (folder,) = (series / "runs").glob("02_broken-*")
    done = call(series, "compare", str(folder))
    assert done.returncode == 1 and ": failed: ZeroDivisionError in cell 2" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "03"], "Expected one notebook among 01_fine, 02_broken, got '03'. Use its name, number or path."),
        (["run", "01", "-p", "seed=x"], "Expected seed as int, got 'x' (str). Its default is 0."),
        (["run", "01", "-f", "none.yaml"], "Expected a YAML file at none.yaml, got [Errno 2]"),
        (["doctor", "nothing.zarr"], "nothing.zarr"),
        (["plan", "none.yaml"], "Expected a recipe at none.yaml, got no such file or directory."),
        (["plan", "--machine", "abacus"], "Expected a machine among h200, a100, here, got 'abacus'."),
    ],
)
def test_a_mistake_is_one_sentence_and_exits_2(series, arguments, message):
    done = call(series, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (series / "runs").exists()


def test_doctor_without_a_path_describes_the_machine(series):
    machine = json.loads(call(series, "doctor", "--json").stdout)
    assert machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert machine["cores"] >= 1 and machine["memory_gib"] >= machine["memory_free_gib"] > 0
    assert "torch" in machine["packages"]
    assert f"python             {machine['python']}" in call(series, "doctor").stdout


def test_plan_says_what_a_recipe_needs_and_options_win_over_it(series):
    terms = "{object: 0, image: 0, alignment: 0}"
    views = "{global_cells: 2, local_views: 0, s2_dates: 2, s1_dates: 1}"
    (series / "mine.yaml").write_text(f"batch: 4\nterms: {terms}\nviews: {views}\n")
    done = call(series, "plan", "mine.yaml", "--batch", "2", "--machine", "a100", "--gpus", "2", "--strategy", "fsdp")
    assert done.returncode == 0
    assert done.stdout.startswith("skysense-tiny on 2 × A100-80GB, fsdp · fp32 · 2 tiles at once\n")
    told = json.loads(call(series, "plan", "mine.yaml", "--json").stdout)
    assert (told["recipe"]["batch"], told["machine"]["name"], told["strategy"]) == (4, "H200", "single")
    assert told["fits"] and told["total_gib"] == pytest.approx(sum(told["memory_gib"].values()))


def test_help_answers_for_every_command(series):
    assert all(word in call(series, "--help").stdout for word in ("list", "run", "doctor", "plan"))


RECIPE = (
    "{steps: 1, batch: 1, tile_cells: 2, tile_s2_dates: 1, tile_s1_dates: 1, save_every: 1, prototypes: 8,"
    " views: {global_cells: 2, local_views: 0, s2_dates: 1, s1_dates: 1}}"
)


def test_pretrain_runs_a_recipe_and_goes_on(series):
    (series / "recipe.yaml").write_text(RECIPE)
    options = ("pretrain", "recipe.yaml", "--out", "made", "--accelerator", "cpu")
    done = call(series, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 steps, loss ")
    told = json.loads(call(series, *options, "--json").stdout)
    assert (told["complete"], told["steps"]) == (True, 1)
    refused = call(series, *options, "--steps", "2")
    assert refused.returncode == 2
    assert "Expected the recipe the run began with, got steps 2 instead of 1." in refused.stderr


@pytest.mark.slow
def test_pretrain_under_torchrun_is_one_run_of_two_processes(series):
    (series / "recipe.yaml").write_text(RECIPE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["pretrain", "recipe.yaml", "--out", "made", "--accelerator", "cpu", "--devices", "2", "--json"]
    command = [*launcher, "-m", "skysense_nb", *options]
    done = subprocess.run(command, cwd=series, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"]
    assert torch.load(series / "made" / "last.ckpt", weights_only=True)["ranks"] == 2
