"""The ways of running experts that are compared compute the same, and each is measured."""

import copy

import pytest
import torch
from torch import nn

from skysense_nb.errors import ParameterError
from skysense_nb.layers.experts import Experts
from skysense_nb.runs.bench import count_gflop
from skysense_nb.runs.bench_experts import EveryExpert, GatherExperts, bench_experts


@pytest.mark.parametrize("form", [EveryExpert, GatherExperts])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_forms_give_the_same_answer(form, dtype):
    torch.manual_seed(0)
    module = Experts(16, experts=6)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    module, x = module.to(dtype), torch.randn(40, 16).to(dtype)
    expected, out = module(x), form(copy.deepcopy(module))(x)
    assert out.dtype == dtype
    assert (out - expected).abs().max() <= (1e-5 if dtype == torch.float32 else 1e-2) * expected.abs().max()


def test_every_expert_on_every_token_costs_as_many_times_as_there_are_experts():
    gate = 2 * 64 * 32 * 8 / 1e9
    once = count_gflop(lambda: Experts(32), (64, 32)) - gate
    assert count_gflop(lambda: EveryExpert(Experts(32)), (64, 32)) - gate == pytest.approx(8 * once)


def test_each_form_is_a_row_compared_with_the_dense_layer():
    rows = bench_experts(32, experts=4, tokens=256, device="cpu", precision="bf16", rounds=1)
    assert [row.form for row in rows] == [
        "dense feed-forward",
        "experts, tokens grouped",
        "experts, gathered one by one",
        "every expert on every token",
    ]
    assert rows[0].time_ratio == 1
    for row in rows:
        assert row.time_ratio == pytest.approx(row.wall_s / rows[0].wall_s)
        assert row.to_dict()["precision"] == "bf16"
        assert f"{row.time_ratio:.2f} × dense" in str(row)


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"width": 0}, {"experts": -1}, {"rounds": 0}, {"precision": "int8"}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ParameterError):
        bench_experts(**{"width": 8, "tokens": 8, "device": "cpu", **wrong})
