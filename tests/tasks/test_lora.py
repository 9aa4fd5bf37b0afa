"""Adapters: nothing changes at first, only they learn, and merging them gives the same outputs."""

import copy

import pytest
import torch
from torch import nn

from skysense_nb.errors import ParameterError
from skysense_nb.layers import Attention
from skysense_nb.models import load
from skysense_nb.tasks.lora import LowRank, adapter_state, add_lora, merge
from skysense_nb.tasks.optimisation import parameter_groups

KINDS = ["skysense-tiny", "skysense-v2-tiny"]
EVERYTHING = ("q", "k", "v", "out")


def sample(cells=4):
    g = torch.Generator().manual_seed(0)
    return {
        "hr": torch.randn(1, 1, 3, 32 * cells, 32 * cells, generator=g),
        "s2": torch.randn(1, 2, 10, cells, cells, generator=g),
        "s1": torch.randn(1, 2, 2, cells, cells, generator=g),
        "hr_day": torch.tensor([[9]]),
        "s2_day": torch.tensor([[9, 99]]),
        "s1_day": torch.tensor([[9, 199]]),
    }


def pretrained(name, **options):
    """The bundled weights: in a fresh Swin block attention counts for nothing."""
    model, _ = load(name, **options)
    return model.eval()


@torch.no_grad()
def pooled(model, of=None):
    """Without gradients, because trainable and frozen weights take different kernels on a CPU."""
    return model.pooled(of or sample())


def tune(model, steps=2):
    """A few steps, so that adapters hold something."""
    optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        model.pooled(sample()).square().mean().backward()
        optimiser.step()


@pytest.mark.parametrize("name", KINDS)
def test_outputs_stay_the_same_bit_for_bit_at_first(name):
    model = pretrained(name)
    before = pooled(model)
    add_lora(model, rank=4, targets=EVERYTHING)
    assert torch.equal(pooled(model), before)


@pytest.mark.parametrize("name", KINDS)
def test_only_adapters_learn_and_all_of_them_do(name):
    model = pretrained(name)
    before = copy.deepcopy(model.state_dict())
    count = add_lora(model, rank=2, targets=EVERYTHING)
    learned = {key for key, value in model.named_parameters() if value.requires_grad}
    assert learned == adapter_state(model).keys()
    assert count == sum(value.numel() for value in adapter_state(model).values())
    start = copy.deepcopy(adapter_state(model))
    tune(model, steps=2)  # A gets a gradient once B is not zero
    assert all(not torch.equal(value, start[key]) for key, value in adapter_state(model).items())
    for key, value in model.state_dict().items():
        if key not in learned:
            plain = key.replace("parametrizations.", "").removesuffix(".original")
            assert torch.equal(value, before[plain]), key


@pytest.mark.parametrize("name", KINDS)
def test_merged_weights_load_into_a_plain_model_and_give_the_same_outputs(name):
    model = pretrained(name)
    untouched = pooled(model)
    add_lora(model, rank=3, alpha=6, targets=EVERYTHING)
    tune(model)
    tuned = pooled(model)
    assert not torch.allclose(tuned, untouched, rtol=1e-2)
    plain = pretrained(name)
    plain.load_state_dict(merge(model), strict=True)
    assert torch.equal(pooled(plain), tuned)
    assert torch.equal(pooled(model), tuned), "the model keeps its adapters"


def test_adapters_alone_restore_a_tuned_model():
    model = pretrained("skysense-tiny", parts=("s1",))
    only = {key: value for key, value in sample().items() if key.startswith("s1")}
    add_lora(model, rank=2)
    with torch.no_grad():
        for value in adapter_state(model).values():
            value.normal_(std=0.1)
    state = copy.deepcopy(adapter_state(model))
    assert sum(value.numel() for value in state.values()) < 0.05 * sum(value.numel() for value in model.parameters())
    again = pretrained("skysense-tiny", parts=("s1",))
    add_lora(again, rank=2)
    found = again.load_state_dict(state, strict=False)
    assert found.unexpected_keys == [] and not set(found.missing_keys) & state.keys()
    assert torch.equal(pooled(again, only), pooled(model, only))
    whole = pretrained("skysense-tiny", parts=("s1",))
    add_lora(whole, rank=2)
    whole.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(pooled(whole, only), pooled(model, only))
    assert torch.equal(pooled(copy.deepcopy(model), only), pooled(model, only))


@pytest.mark.parametrize("targets", [("q", "v"), ("v", "k"), ("out",), EVERYTHING])
def test_a_change_is_a_product_of_the_rank_asked_for(targets):
    torch.manual_seed(0)
    attention = Attention(12, heads=3)
    joint, last = attention.in_proj_weight.detach().clone(), attention.out_proj.weight.detach().clone()
    assert add_lora(attention, rank=2, alpha=5, targets=targets) == len(targets) * 2 * (12 + 12)
    with torch.no_grad():
        for value in adapter_state(attention).values():
            value.normal_()
    changes = dict(zip("qkv", (attention.in_proj_weight - joint).split(12), strict=True))
    changes["out"] = attention.out_proj.weight - last
    for part, change in changes.items():
        assert torch.linalg.matrix_rank(change, atol=1e-4) == (2 if part in targets else 0)
    state = adapter_state(attention)
    if "out" in targets:
        up, down = (state[f"out_proj.parametrizations.weight.0.{side}"][0] for side in ("up", "down"))
        slow = torch.stack([sum(5 / 2 * up[:, [r]] * down[[r]] for r in range(2))])[0]
        torch.testing.assert_close(changes["out"], slow)
    if targets == ("v", "k"):  # the order of the joint weight, not of the names
        up, down = (state[f"parametrizations.in_proj_weight.0.{side}"] for side in ("up", "down"))
        torch.testing.assert_close(changes["k"], 2.5 * up[0] @ down[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(changes["v"], 2.5 * up[1] @ down[1], atol=1e-5, rtol=1e-4)


def test_a_part_of_a_model_can_be_adapted_alone():
    model = pretrained("skysense-tiny")
    add_lora(model.encoders["s2"], rank=1)
    assert {key.split(".")[1] for key in adapter_state(model)} == {"s2"}
    assert model.encoders["hr"].patch_embed.projection.weight.requires_grad
    assert not model.encoders["s2"].patch_embed.projection.weight.requires_grad


def test_learning_rates_by_depth_know_adapted_layers():
    model = pretrained("skysense-tiny", parts=("s1",))
    add_lora(model, rank=1)
    groups = parameter_groups(model, None, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.5**n, 0.1) for n in (4, 3, 2, 1)]
    assert {len(group["params"]) for group in groups} == {2}


def test_adapters_of_bf16_weights_are_fp32_and_leave_the_dtype_alone():
    weight = torch.rand(6, 4, dtype=torch.bfloat16)
    adapter = LowRank(weight, (0,), 1, rank=2, alpha=2.0)
    assert adapter.up.dtype == adapter.down.dtype == torch.float32
    assert adapter(weight).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        nn.init.normal_(adapter.up)
        full = torch.zeros(6, 4)
        change = adapter(full)
    torch.testing.assert_close(change, adapter.up[0] @ adapter.down[0], msg="autocast rounds the change")


def test_gradients_reach_adapters_through_recomputed_blocks():
    grads = {}
    for recompute in (False, True):
        model = pretrained("skysense-tiny", parts=("s1",), recompute=recompute)
        torch.manual_seed(1)
        add_lora(model, rank=2)
        only = {key: value for key, value in sample().items() if key.startswith("s1")}
        model.pooled(only).square().sum().backward()
        grads[recompute] = {key: value.grad for key, value in model.named_parameters() if value.requires_grad}
    assert all(torch.allclose(grads[True][key], grads[False][key], atol=1e-5) for key in grads[False])
    assert any(grads[False][key].abs().sum() > 0 for key in grads[False])


def test_nonsense_is_refused():
    attention = Attention(12, heads=3)
    for options in ({"rank": 0}, {"alpha": 0}, {"targets": ()}, {"targets": ("q", "ffn")}):
        with pytest.raises(ParameterError, match="a rank from 1, alpha above 0, targets among q, k, v, out"):
            add_lora(attention, **options)
    with pytest.raises(ParameterError, match="a model with attention, got Linear"):
        add_lora(nn.Linear(2, 2))
    add_lora(attention, targets=("out",))
    with pytest.raises(ParameterError, match="a model without adapters"):
        add_lora(attention)
