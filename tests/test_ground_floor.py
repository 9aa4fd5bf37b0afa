"""Floor 0: sensors, errors, device, precision, seeds."""

import errno
import random

import numpy as np
import pytest
import torch

from skysense_nb import runtime
from skysense_nb.errors import EnvironmentProblem, ParameterError, RunError, SceneError, SkySenseError, writable
from skysense_nb.sensors import SENSORS


def test_every_sensor_has_one_number_per_band():
    assert list(SENSORS) == ["hr", "s2", "s1"]
    for name, sensor in SENSORS.items():
        assert sensor.name == name
        assert len(sensor.mean) == len(sensor.std) == len(sensor.bands)
        assert len(sensor.wavelengths_nm) in (0, len(sensor.bands))
        assert all(std > 0 for std in sensor.std)
    assert SENSORS["s2"].bands == ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")


def test_errors_are_one_family_with_one_sentence():
    error = SceneError.of("three bands", "four", "Drop one.")
    assert isinstance(error, SkySenseError)
    assert str(error) == "Expected three bands, got four. Drop one."


def test_what_cannot_be_written_is_said_in_one_sentence_of_the_family_asked_for(tmp_path):
    with writable(tmp_path / "new" / "folder", RunError):
        (tmp_path / "new" / "folder" / "file").write_text("kept")
    for folder, got in ((tmp_path / "new/folder/file", "a file"), (tmp_path / "new/folder/file/x", "Not a directory")):
        with pytest.raises(RunError) as error, writable(folder, RunError):
            raise AssertionError("the block must not begin")
        fix = "Choose another one, or make room."
        assert str(error.value) == f"Expected a writable folder at {folder}, got {got}. {fix}"
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(SceneError, match="got No space left"), writable(tmp_path, SceneError):
        raise full
    with pytest.raises(ZeroDivisionError), writable(tmp_path, SceneError):
        _ = 1 / 0


def test_the_faster_products_are_as_exact_and_end_with_their_block():
    torch.manual_seed(0)
    x, weight, switch = torch.randn(40, 300), torch.randn(50, 300), torch.backends.mkldnn.matmul
    exact, before = x.double() @ weight.double().T, switch.fp32_precision
    with pytest.raises(ZeroDivisionError), runtime.fast_products():
        off = (torch.nn.functional.linear(x, weight) - exact).abs().max()
        _ = 1 / 0
    assert off < 1e-5 * exact.abs().max() and switch.fp32_precision == before


def test_device_choice():
    assert runtime.choose_device("cpu") == torch.device("cpu")
    assert runtime.choose_device("auto").type in ("cuda", "mps", "cpu")
    with pytest.raises(ParameterError, match="got 'cpu:first'"):
        runtime.choose_device("cpu:first")
    with pytest.raises(EnvironmentProblem, match="Expected the device 'cpu:7', got a machine without it"):
        runtime.choose_device("cpu:7")
    with pytest.raises(ParameterError) as error:
        runtime.choose_device("tpu")
    assert str(error.value) == (
        "Expected a device among auto, cuda, mps, cpu, got 'tpu'. Leave it at 'auto' if unsure."
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_said_in_words():
    with pytest.raises(EnvironmentProblem) as error:
        runtime.choose_device("cuda")
    assert str(error.value) == "Expected the device 'cuda', got a machine without it. Use device='auto' or 'cpu'."


def test_precision_choice():
    cpu = torch.device("cpu")
    assert runtime.choose_precision("auto", cpu) == torch.float32
    assert runtime.choose_precision("bf16", cpu) == torch.bfloat16
    with pytest.raises(ParameterError, match="Expected a precision among auto, fp32, bf16, fp16, got 'int8'"):
        runtime.choose_precision("int8", cpu)


@pytest.mark.parametrize("computes", [True, False])
def test_a_gpu_that_only_imitates_bf16_gets_fp32(monkeypatch, computes):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: computes or including_emulation
    )
    assert runtime.choose_precision("auto", torch.device("cuda")) == (torch.bfloat16 if computes else torch.float32)


def test_session_seeds_everything_and_prints_one_line(capsys):
    draws = []
    for _ in range(2):
        runtime.session("skysense-tiny", seed=7, device="cpu")
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
    assert capsys.readouterr().out.splitlines()[0].startswith("cpu · fp32 · skysense-tiny · seed 7 · torch ")


def test_out_of_memory_becomes_a_sentence():
    with pytest.raises(EnvironmentProblem) as error, runtime.explain_out_of_memory("Use fewer cells."):
        torch.empty(2**60, dtype=torch.uint8)
    assert str(error.value) == "Expected enough memory for this call, got an allocation that failed. Use fewer cells."


def test_peak_memory_grows_with_what_is_held():
    before = runtime.peak_memory_mib()["host"]
    held = np.ones((int(before) + 200, 2**20), dtype=np.uint8)
    assert runtime.peak_memory_mib()["host"] >= held.nbytes / runtime.MIB
