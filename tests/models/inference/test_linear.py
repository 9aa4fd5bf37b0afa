"""Every way to multiply gives the same product, and the machine's choice is measured once."""

import json

import pytest
import torch
import torch.nn.functional as F

from skysense_nb.models.inference import choice, linear
from skysense_nb.models.inference.linear import KINDS, PreparedLinear
from skysense_nb.runtime import onednn_switch

CPU, SWITCH = torch.device("cpu"), torch.backends.mkldnn.matmul


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_agree_with_double_precision(kind, gelu):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 7, 30), torch.randn(50, 30), torch.randn(50)
    exact = F.linear(x.double(), weight.double(), bias.double())
    exact = F.gelu(exact) if gelu else exact
    product = PreparedLinear(weight, bias, torch.float32, CPU, kind, gelu)
    weight.zero_()  # it has its own copy
    assert (product(x) - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_rounds_the_result_alone(kind):
    torch.manual_seed(0)
    x, weight = torch.randn(5, 64).bfloat16(), torch.randn(9, 64).bfloat16()
    product = PreparedLinear(weight, None, torch.bfloat16, CPU, kind)
    assert torch.allclose(product(x).float(), F.linear(x.float(), weight.float()), rtol=2**-7, atol=1e-5)


def test_the_public_switch_is_put_back():
    before = SWITCH.fp32_precision
    PreparedLinear(torch.ones(2, 2), None, torch.float32, CPU, "switched")(torch.ones(1, 2))
    assert SWITCH.fp32_precision == before


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choice.remembered.cache_clear()
    yield tmp_path
    choice.remembered.cache_clear()


def test_rates_are_measured_once_and_kept(empty_cache, monkeypatch):
    first = choice.choose(CPU, torch.float32)
    assert first.rates["fp32"]["plain"] > 0 and first.kind in first.rates["fp32"]
    assert json.loads((empty_cache / "skysense-nb" / "matrix_products.json").read_text())
    choice.remembered.cache_clear()
    monkeypatch.setattr(choice, "measure", lambda dtype: pytest.fail("measured again"))
    assert choice.choose(CPU, torch.float32) == first


def test_a_way_that_is_not_there_or_not_exact_is_not_taken(empty_cache, monkeypatch):
    def broken(weight, bias, gelu):
        raise RuntimeError("no such operator")

    def rounding(weight, bias, gelu):
        return lambda x: F.linear(x.bfloat16(), weight.bfloat16()).float()

    monkeypatch.setitem(linear.WAYS, "packed", broken)
    monkeypatch.setitem(linear.WAYS, "switched", rounding)
    assert list(choice.choose(CPU, torch.float32).rates["fp32"]) == ["plain"]


def test_the_first_way_is_taken_when_others_are_hardly_faster(empty_cache, monkeypatch):
    rates = {"packed": 95.0, "switched": 100.0, "plain": 40.0}
    monkeypatch.setattr(choice, "measure", lambda dtype: rates)
    assert choice.choose(CPU, torch.float32).kind == "packed"


def test_a_cache_that_is_broken_or_cannot_be_written_is_no_obstacle(empty_cache):
    (empty_cache / "skysense-nb").write_text("a file where the folder should be")
    assert choice.choose(CPU, torch.bfloat16).rates


@pytest.mark.parametrize("written", [None, [], {"fp32": {}}, {"fp32": {"old": 5.0}}, {"fp32": {"plain": "fast"}}])
def test_a_cache_of_other_contents_is_measured_anew(empty_cache, written, monkeypatch):
    key = f"{choice.processor()}, torch {torch.__version__}"
    path = empty_cache / "skysense-nb" / "matrix_products.json"
    path.parent.mkdir()
    path.write_text(json.dumps(written if not written else {key: written}))
    monkeypatch.setattr(choice, "measure", lambda dtype: {"plain": 10.0})
    assert choice.choose(CPU, torch.float32).rates["fp32"] == {"plain": 10.0}
    assert "plain" in str(choice.choose(CPU, torch.float32))


def test_without_any_rate_products_are_plain(empty_cache, monkeypatch):
    monkeypatch.setattr(choice, "measure", lambda dtype: {})
    assert choice.choose(CPU, torch.float32).kind == "plain"
    assert str(choice.choose(CPU, torch.float32)) == "fp32, plain products"


def test_the_measurement_is_that_of_full_precision(empty_cache):
    with torch.autocast("cpu", torch.bfloat16):
        rates = choice.choose(CPU, torch.float32).rates
    assert "plain" in rates["fp32"]


def test_the_switch_is_put_back_when_the_last_thread_is_out():
    before, inside = SWITCH.fp32_precision, []
    first, second = onednn_switch("bf16"), onednn_switch("bf16")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # the first one in is the first one out
    inside.append(SWITCH.fp32_precision)
    second.__exit__(None, None, None)
    assert inside == ["bf16"] and SWITCH.fp32_precision == before
