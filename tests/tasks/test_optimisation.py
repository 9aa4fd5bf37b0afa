"""Learning rates by depth, what is frozen, and schedules: against the published formula, and in a real step."""

import pytest
import torch
from torch import nn

from skysense_nb.errors import ParameterError
from skysense_nb.models import SkySenseV2Config, load, preset
from skysense_nb.models.family import build
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.skysense import SkySenseConfig
from skysense_nb.tasks.optimisation import constant, freeze, layer_ids, parameter_groups, poly, steps_at, warm

KINDS = ["skysense-tiny", "skysense-v2-tiny"]


def paper(config, parts):
    """A model of paper size, without memory."""
    with torch.device("meta"):
        return build(config, parts)


def rates(groups):
    """Learning rate and weight decay of each parameter."""
    return {parameter: (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}


def sample(side=32):
    g = torch.Generator().manual_seed(0)
    return {
        "hr": torch.randn(1, 1, 3, 32 * (side // 4), 32 * (side // 4), generator=g),
        "s2": torch.randn(1, 2, 10, side // 4, side // 4, generator=g),
        "s1": torch.randn(1, 2, 2, side // 4, side // 4, generator=g),
        "hr_day": torch.tensor([[9]]),
        "s2_day": torch.tensor([[9, 99]]),
        "s1_day": torch.tensor([[9, 199]]),
    }


def test_the_published_rates_of_isaid():
    """Every tensor of the paper's HR encoder and a head, by the words of the configuration."""
    model, head = paper(SkySenseConfig(), ("hr",)), nn.Linear(2816, 16, device="meta")
    found = rates(parameter_groups(model, head, lr=6e-5, weight_decay=0.01, layer_decay=0.9))
    before = {0: 0, 1: 2, 2: 4, 3: 22}
    for name, parameter in model.encoders["hr"].named_parameters():
        words = name.split(".")
        if words[0] == "patch_embed":
            number = 0
        elif words[0] == "stages" and words[2] == "blocks":
            number = before[int(words[1])] + int(words[3]) + 1
        elif words[0] == "stages":
            number = before[int(words[1])]
        else:
            number = 25
        plain = parameter.ndim == 1 or words[-1] == "bias"
        assert found.pop(parameter) == (pytest.approx(6e-5 * 0.9 ** (25 - number)), 0 if plain else 0.01), name
    assert found == {head.weight: (6e-5, 0.01), head.bias: (6e-5, 0.0)}


def test_the_last_block_of_the_paper_learns_at_nine_tenths_and_the_first_at_eight_percent():
    model = paper(SkySenseConfig(), ("hr", "s2", "s1"))
    found = rates(parameter_groups(model, None, lr=1.0, weight_decay=0.1, layer_decay=0.9))
    hr, s2 = model.encoders["hr"], model.encoders["s2"]
    for first, last in ((hr.stages[0].blocks[0], hr.stages[3].blocks[1]), (s2.layers[0], s2.layers[23])):
        assert found[first.ffn.layers[1].weight] == (pytest.approx(0.9**24), 0.1)
        assert found[last.ffn.layers[1].weight] == (pytest.approx(0.9), 0.1)
    for entrance in (hr.patch_embed.projection.weight, s2.patch_embed.projection.weight, s2.pos_embed, s2.cls_token):
        assert found[entrance] == (pytest.approx(0.9**25), 0.1)


def test_what_enters_the_unified_backbone_at_a_stage_learns_like_the_layer_between():
    model = paper(SkySenseV2Config(), ("hr", "s2", "s1", "fusion"))
    backbone = model.backbone
    found = rates(parameter_groups(model, None, lr=1.0, weight_decay=0.1, layer_decay=0.9))
    for parameter, number in (
        (backbone.tokenisers["s1"].projection.weight, 0),
        (backbone.stages[1].downsample.reduction.weight, 2),
        (backbone.stages[2].positions.table, 4),
        (backbone.prompts["s2"]["2"], 4),
        (backbone.prompts["hr"]["3"], 22),
        (backbone.stages[2].blocks[0].attn["attn"].in_proj_weight, 5),
        (backbone.stages[3].blocks[1].ffn.layers[1].weight, 24),
        (model.fusion.layers[0].attn["attn"].in_proj_weight, 25),
        (model.heads["sentinel"].decoder[0].weight, 25),
        (model.dates.table, 25),
    ):
        assert found[parameter] == (pytest.approx(0.9 ** (25 - number)), 0.1)
    assert found[backbone.norm.weight] == (1, 0)


def test_encoders_of_other_depths_start_at_one_rate():
    model, _ = load("skysense-tiny", weights=None)  # 10 blocks of HR, 4 of each Sentinel
    found = rates(parameter_groups(model, None, lr=1.0, weight_decay=0.1, layer_decay=0.9))
    for encoder in model.encoders.values():
        assert found[encoder.patch_embed.projection.weight] == (pytest.approx(0.9**11), 0.1)
    assert found[model.encoders["s2"].layers[1].ffn.layers[1].weight][0] == pytest.approx(0.9 ** (11 * 3 / 5))
    assert found[model.encoders["hr"].stages[3].blocks[1].ffn.layers[1].weight][0] == pytest.approx(0.9)


@pytest.mark.parametrize("name", KINDS)
def test_every_trained_parameter_is_in_one_group(name):
    model, _ = load(name, weights=None)
    head = nn.Linear(128, 3)
    groups = parameter_groups(model, head, lr=1e-3, weight_decay=0.05, layer_decay=0.75)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {*model.parameters(), *head.parameters()}
    keys = [(group["lr"], group["weight_decay"]) for group in groups]
    assert keys == sorted(keys) and len(keys) == len(set(keys))
    assert all(group["weight_decay"] == 0 for group in groups for each in group["params"] if each.ndim == 1)


def test_biases_of_experts_have_two_dimensions_and_no_weight_decay():
    moe = preset("skysense-v2-moe")
    block = paper(moe, ("s1",)).backbone
    found = rates(parameter_groups(block, None, lr=1.0, weight_decay=0.1))
    assert found[block.block(20).ffn.up_bias] == (1, 0) and block.block(20).ffn.up_bias.ndim == 2
    assert found[block.block(20).ffn.up_weight] == (1, 0.1)


def test_frozen_and_shared_parameters_are_not_given_twice_or_at_all():
    model, _ = load("skysense-tiny", weights=None, parts=("s1",))
    freeze(model, "last:1")
    groups = parameter_groups(model, nn.ModuleList([model, nn.Linear(2, 2)]), 1e-3, 0.0, 0.5)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped)) and all(parameter.requires_grad for parameter in grouped)
    assert len(grouped) == sum(each.requires_grad for each in model.parameters()) + 2


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("train", ["head", "last:0", "last:1", "last:3", "full"])
def test_frozen_weights_do_not_move_in_a_step_and_others_do(name, train):
    model, _ = load(name, weights=None, seed=3)
    model.eval()
    trained = freeze(model, train)
    assert trained == sum(each.numel() for each in model.parameters() if each.requires_grad)
    head = nn.Linear(128, 3)
    optimiser = torch.optim.AdamW(parameter_groups(model, head, 1e-2, 0.1, 0.9))
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    with torch.no_grad():  # in a fresh Swin block both branches end in a zero
        for key, value in model.named_parameters():
            if "norm" in key:
                value.add_(0.1)
                before[key] = value.detach().clone()
    head(model.pooled(sample())).square().sum().backward()
    optimiser.step()
    moved = {key for key, value in model.named_parameters() if not torch.equal(before[key], value)}
    assert moved == {key for key, value in model.named_parameters() if value.requires_grad and value.grad is not None}
    assert {key.split(".")[0] for key in moved} == {
        "head": set(),
        "last:0": {"fusion", "heads", "dates"},
    }.get(train, {"encoders" if name == "skysense-tiny" else "backbone", "fusion", "heads", "dates"})
    assert any("stages.0" in key for key in moved) == (train == "full")


def test_last_blocks_are_those_of_each_encoder():
    model, _ = load("skysense-tiny", weights=None)
    freeze(model, "last:3")
    thawed = [key for key, value in model.named_parameters() if value.requires_grad]
    blocks = {
        tuple(key.split(".")[1 : 5 : 3 if ".hr." in key else 2]) for key in thawed if key.startswith("encoders.s")
    }
    assert blocks == {(modality, layer) for modality in ("s2", "s1") for layer in "123"}
    hr = {".".join(key.split(".")[2:6]) for key in thawed if key.startswith("encoders.hr.stages")}
    assert {key for key in hr if "blocks" in key} == {"stages.2.blocks.3", "stages.3.blocks.0", "stages.3.blocks.1"}
    assert {key for key in hr if "blocks" not in key} == {"stages.3.downsample.reduction", "stages.3.downsample.norm"}
    assert "encoders.hr.norm3.weight" in thawed and "encoders.hr.patch_embed.projection.weight" not in thawed


def test_geo_context_learns_only_with_everything():
    config = SkySenseV2Config(preset("skysense-v2-tiny").backbone, preset("skysense-v2-tiny").fusion)
    config = SkySenseV2Config(config.backbone, config.fusion, context=GeoContextConfig(2, 3, 16))
    model = build(config)
    freeze(model, "last:2")
    assert not model.context.query.weight.requires_grad and model.fusion.cls_token.requires_grad
    freeze(model, "full")
    assert model.context.query.weight.requires_grad
    assert freeze(model, "head") == 0


def test_nonsense_is_refused():
    model, _ = load("skysense-tiny", weights=None, parts=("s1",))
    for wrong in ("last", "last:5", "last:-1", "all", "", "last:1 "):
        with pytest.raises(ParameterError, match="Expected head, full, or last:n with n up to 4"):
            freeze(model, wrong)
    with pytest.raises(ParameterError, match="a model with a fusion for last:0"):
        freeze(model, "last:0")
    for lr, weight_decay, layer_decay in ((0, 0, 1), (1, -1, 1), (1, 0, 0), (1, 0, 1.1)):
        with pytest.raises(ParameterError, match="lr above 0"):
            parameter_groups(model, None, lr, weight_decay, layer_decay)
    freeze(model, "head")
    with pytest.raises(ParameterError, match="something to train"):
        parameter_groups(model, None, 1, 0)
    with pytest.raises(ParameterError, match="more steps than that"):
        poly(warmup=10, steps=10)
    for epochs in ((8, 8), (0, 4), (11, 8)):
        with pytest.raises(ParameterError, match="epochs that ascend from 1"):
            steps_at(epochs, 0, 10)
    with pytest.raises(ParameterError, match="a warmup from 0"):
        constant(-1)


def test_every_encoder_parameter_has_a_layer():
    model, _ = load("skysense-v2-tiny", weights=None)
    inside = {key for key, _ in model.named_parameters() if key.startswith("backbone.")}
    assert layer_ids(model).keys() == inside
    assert {layer for layer, _ in layer_ids(model).values()} == set(range(12))


def run(schedule, steps, rates=(1.0, 0.5)):
    """Learning rates of two groups as an optimiser sees them, step by step."""
    optimiser = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])
    planned, seen = schedule(optimiser), []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        planned.step()
    return torch.tensor(seen, dtype=torch.float64)


def mmcv(regular, warmup, ratio):
    """A rate during warm-up, as mmcv's hook has it: regular · (1 − (1 − t / warmup)(1 − ratio))."""
    return [rate * (1 - (1 - t / warmup) * (1 - ratio)) if t < warmup else rate for t, rate in enumerate(regular)]


@pytest.mark.parametrize("power", [1.0, 0.9])
def test_poly_is_the_curve_of_mmcv(power):
    expected = mmcv([(1 - t / 40) ** power for t in range(40)], 10, 1e-6)
    found = run(poly(10, 40, power), 45)
    assert found[:40, 0].tolist() == pytest.approx(expected)
    assert found[:, 1].tolist() == pytest.approx((found[:, 0] / 2).tolist())
    assert found[40:].eq(0).all(), "past the end nothing is learned, and nothing breaks"


def test_steps_fall_after_their_epochs():
    regular = [1.0] * 16 + [0.1] * 6 + [0.01] * 2
    assert run(steps_at((8, 11), 5, 2), 24)[:, 0].tolist() == pytest.approx(mmcv(regular, 5, 1e-3))
    assert run(steps_at((1,), 0, 3, factor=0.5), 6)[:, 0].tolist() == [1, 1, 1, 0.5, 0.5, 0.5]


def test_a_constant_stays_after_its_line():
    assert run(constant(4), 9)[:, 0].tolist() == pytest.approx(mmcv([1.0] * 9, 4, 1e-6))
    assert run(constant(), 3)[:, 0].tolist() == [1, 1, 1]
    assert [warm(step, 0, 0.5) for step in (0, 1)] == [1, 1]


@pytest.mark.parametrize("schedule", [poly(3, 20), steps_at((2, 3), 4, 5), constant(12)], ids=["poly", "steps", "flat"])
def test_a_resumed_schedule_goes_on(schedule):
    whole = run(schedule, 20)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    planned = schedule(optimiser)
    for _ in range(8):
        optimiser.step()
        planned.step()
    again = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    resumed = schedule(again)
    again.load_state_dict(optimiser.state_dict())
    resumed.load_state_dict(planned.state_dict())
    for step in range(8, 20):
        assert again.param_groups[0]["lr"] == pytest.approx(whole[step, 0].item())
        again.step()
        resumed.step()
