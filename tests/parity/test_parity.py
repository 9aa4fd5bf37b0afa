"""Our modules compute what the published ones compute."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from skysense_nb.models import SkySense, preset

GOLDEN = Path(__file__).parents[1] / "data" / "parity"
RUN = Path(__file__).parent / "run.py"
FILES = {"backbone_hr": "hr", "backbone_s2": "s2", "backbone_s1": "s1", "fusion": "fusion", "head_s2": "heads.s2"}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.safetensors")), ids=lambda path: path.stem)
def test_golden_numbers(path):
    done = subprocess.run([sys.executable, RUN, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runner_notices_a_wrong_weight(tmp_path):
    source = GOLDEN / "fusion_cls.safetensors"
    with safe_open(source, framework="pt") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    tensors["weight/layers.1.ln2.weight"] = tensors["weight/layers.1.ln2.weight"] * 1.01
    save_file(tensors, tmp_path / "wrong.safetensors", metadata)
    done = subprocess.run([sys.executable, RUN, tmp_path / "wrong.safetensors"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "OFF" in done.stdout


@pytest.fixture(scope="module")
def paper_size():
    with torch.device("meta"):
        return SkySense(preset("skysense"))


@pytest.mark.parametrize("part", FILES)
def test_paper_size_has_the_official_keys_and_shapes(paper_size, part):
    listed = json.loads((GOLDEN / "official_keys.json").read_text())[f"skysense_model_{part}.pth"]["keys"]
    module = paper_size.heads["s2"] if part == "head_s2" else paper_size.fusion if part == "fusion" else None
    module = module or paper_size.encoders[FILES[part]]
    ours = {key: list(value.shape) for key, value in module.state_dict().items()}
    assert ours == {re.sub("^backbone\\.", "", key): shape for key, shape in listed.items()}


def test_date_table_has_the_shape_of_ctpe(paper_size):
    assert tuple(paper_size.dates.table.shape) == (1, 365, 2816)
