"""What only V2 promises: finer output, experts on request, the way from dense to experts, its own files."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from small_models import V2_MOE, V2_TINY, make_sample, shaken, subset

from skysense_nb.errors import CheckpointError, ParameterError, PresetError
from skysense_nb.models import load, preset, save, with_experts
from skysense_nb.models.family import build, config_from_json
from skysense_nb.models.routing import recorded_routing
from skysense_nb.models.unified import UnifiedConfig


@pytest.fixture(scope="module")
def dense():
    return shaken(V2_TINY, seed=3)


@pytest.fixture(scope="module")
def mixture():
    return shaken(V2_MOE, seed=3)


def close(one, other):
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-5), float((one - other).abs().max())


@torch.no_grad()
@pytest.mark.parametrize("stride", [16, 8, 4])
def test_finer_hr_maps_still_meet_the_sentinels_on_ground_cells(dense, stride):
    sample, model = make_sample(batch=1, cells=3), shaken(V2_TINY, seed=3)
    model.hr_stride = stride
    features = model.features(sample)
    assert features.maps["hr"][-1].shape[-2:] == (96 // stride, 96 // stride)
    assert features.fused.shape[-2:] == (3, 3)
    coarse = dense.features(sample)
    assert not torch.allclose(features.fused, coarse.fused, atol=1e-3)
    alone = subset(sample, ("s2", "s1"))
    close(model.features(alone).fused, dense.features(alone).fused)


@torch.no_grad()
def test_finer_hr_maps_of_odd_sizes_get_the_same_cells(dense):
    model = shaken(V2_TINY, seed=3)
    model.hr_stride = 8
    sample = {"hr": torch.randn(1, 1, 3, 70, 99), "hr_day": torch.zeros(1, 1, dtype=torch.int64)}
    assert model.features(sample).fused.shape == dense.features(sample).fused.shape == (1, 128, 3, 4)


@torch.no_grad()
def test_expert_choices_stand_where_their_tokens_stand(mixture):
    sample = make_sample() | {"s2_valid": torch.tensor([[True, False, True], [True, True, True]])}
    chosen = mixture.features(sample, experts=True).experts
    assert {name: list(blocks) for name, blocks in chosen.items()} == dict.fromkeys(("hr", "s2", "s1"), [3, 6, 8, 9])
    assert [tuple(blocks.shape) for blocks in chosen["hr"].values()] == [
        (2, 1, 32, 32),
        (2, 1, 16, 16),
        (2, 1, 8, 8),
        (2, 1, 8, 8),
    ]
    assert chosen["s2"][6].shape == (2, 3, 2, 2)
    assert (chosen["s2"][6][0, 1] == -1).all()
    assert (chosen["s2"][6][0, 0] >= 0).all()
    assert max(int(block.max()) for block in chosen["hr"].values()) < 4
    assert len(chosen["hr"][8].unique()) > 1
    assert mixture.features(sample).experts == {}


@torch.no_grad()
def test_a_choice_is_the_largest_logit_of_its_own_token(mixture):
    image = torch.randn(1, 3, 64, 64)
    sample = {"hr": image[:, None], "hr_day": torch.tensor([[100]])}
    inputs = []
    block = mixture.backbone.block(8)
    hook = block.ffn.register_forward_hook(lambda _, args, __: inputs.append(args[0]))
    chosen = mixture.features(sample, experts=True).experts["hr"][8]
    hook.remove()
    logits = inputs[0][0, 4:] @ block.ffn.gate.weight.T  # four prompts stand in front
    assert torch.equal(chosen[0, 0].flatten(), logits.argmax(-1))


def test_a_dense_model_has_no_choices(dense):
    assert dense.features(make_sample(batch=1, cells=1), experts=True).experts == {"hr": {}, "s2": {}, "s1": {}}


def test_choices_are_those_of_the_same_pass():
    """Stochastic depth makes two passes differ; what is reported must be what was used."""
    model = shaken(replace(V2_MOE, backbone=replace(V2_MOE.backbone, drop_path_rate=0.6)), seed=3).train()
    sample = make_sample(batch=4, cells=2)
    with torch.no_grad(), recorded_routing(model.backbone) as routings:
        reported = model.features(sample, experts=True).experts
    assert [len(calls) for calls in routings.values()] == [3] * 4  # once per sensor
    for index, calls in routings.items():
        prompts = 0 if index == 3 else 4
        used = calls[0].expert.flatten(1)[:, prompts:]
        assert torch.equal(reported["hr"][index].flatten(1), used)


def test_recorded_routing_leaves_no_hook_behind(mixture):
    with pytest.raises(RuntimeError), recorded_routing(mixture.backbone):
        raise RuntimeError
    assert not any(part._forward_hooks for part in mixture.modules())


@torch.no_grad()
@pytest.mark.parametrize("blocks", [None, (3, 7, 9)], ids=["last six", "spread"])
def test_upgrading_to_experts_keeps_the_output(dense, blocks):
    sample = make_sample(batch=1, cells=4)
    upgraded = with_experts(dense, experts=8, blocks=blocks)
    close(upgraded.features(sample).fused, dense.features(sample).fused)
    assert upgraded.config.backbone.expert_blocks == (blocks or (4, 5, 6, 7, 8, 9))
    assert upgraded.state_dict().keys() == build(upgraded.config).state_dict().keys()
    assert dense.config == V2_TINY and "experts" not in dense.name


def test_every_block_gets_a_gate_of_its_own(dense):
    upgraded = with_experts(dense)
    gates = [upgraded.backbone.block(index).ffn.gate.weight for index in range(4, 8)]
    assert all(not torch.equal(one, other) for i, one in enumerate(gates) for other in gates[:i])


def test_an_upgraded_model_can_be_saved_and_loaded(dense, tmp_path):
    upgraded = with_experts(dense, experts=4)
    path = save(upgraded, tmp_path / "mixture.safetensors")
    again, receipt = load(weights=path)
    assert again.config == upgraded.config
    assert "0 missing, 0 unexpected" in str(receipt)
    with torch.no_grad():
        sample = make_sample(batch=1, cells=2)
        close(again.features(sample).fused, upgraded.features(sample).fused)


def test_upgrading_what_has_experts_or_lacks_the_block_is_refused(dense, mixture):
    with pytest.raises(PresetError, match=r"Expected a dense model, got experts in blocks \(3, 6, 8, 9\)"):
        with_experts(mixture)
    with pytest.raises(PresetError, match=r"Expected blocks among 0–9, got \(10,\)"):
        with_experts(dense, blocks=(10,))
    with pytest.raises(PresetError, match="Expected two experts or more, got 1"):
        with_experts(dense, experts=1)
    with pytest.raises(PresetError, match="Expected a SkySense V2 model, got SkySense"):
        with_experts(load("skysense-tiny")[0])
    assert with_experts(dense, blocks=[5, 4, 5]).config.backbone.expert_blocks == (4, 5)


def test_parts_of_a_whole_file_load_alone(dense, tmp_path):
    path = save(dense, tmp_path / "whole.safetensors")
    alone, receipt = load(weights=path, parts=("s2",))
    assert alone.modalities == ("s2",) and alone.fusion is None
    reasons = receipt.ignored
    assert reasons["backbone.tokenisers.hr.projection.weight"] == "hr was not asked for"
    assert reasons["backbone.prompts.s1.3"] == "s1 was not asked for"
    assert reasons["heads.sentinel.decoder.0.bias"] == "fusion was not asked for"
    with torch.no_grad():
        sample = subset(make_sample(), ("s2",))
        close(alone.features(sample).maps["s2"][-1], dense.features(sample).maps["s2"][-1])
    again = save(alone, tmp_path / "alone.safetensors")
    assert load(weights=again, parts=("s2",))[1].files[0][1] == "skysense-nb"


def test_near_infrared_widens_the_hr_tokeniser(dense, tmp_path):
    model, receipt = load(weights=save(dense, tmp_path / "rgb.safetensors"), near_infrared=True)
    weight = model.backbone.tokenisers["hr"].projection.weight
    assert weight.shape[1] == 4 and torch.equal(weight[:, 3], weight[:, 0])
    assert receipt.widened == ["backbone.tokenisers.hr.projection.weight"]


def test_the_files_of_v1_cannot_fill_v2(tmp_path):
    save_file({"porj_linear.weight": torch.zeros(4, 4)}, tmp_path / "fusion.safetensors")
    with pytest.raises(CheckpointError) as error:
        load("skysense-v2-tiny", tmp_path / "fusion.safetensors")
    assert str(error.value) == (
        "Expected weights of SkySense V2, got fusion.safetensors in the form of the SkySense v1 release. "
        "Load 'skysense'; no weights of V2 are published."
    )


def test_a_configuration_of_tomorrow_is_refused():
    two = {"model": "SkySenseV2"}
    for metadata in (
        {"model": "SkySenseV9", "config": "{}"},
        {"config": '{"colour": 1}'},
        {"config": "{"},
        {"config": "[]"},
        {"config": "null"},
        two | {"config": '{"backbone": 3}'},
        two | {"config": '{"fusion": null}'},
        two | {"config": '{"backbone": {"depths": {"a": 1}}}'},
        two | {"config": '{"backbone": {"depths": [2, 2, 2]}}'},
    ):
        with pytest.raises(CheckpointError, match="Expected a configuration that this version knows"):
            config_from_json(metadata)


def test_every_preset_differs_only_where_its_name_says():
    dense, mixture = preset("skysense-v2"), preset("skysense-v2-moe")
    assert mixture.backbone.expert_blocks == (18, 19, 20, 21, 22, 23)
    assert replace(mixture, backbone=replace(mixture.backbone, expert_blocks=())) == dense


@pytest.mark.parametrize(
    "values,message",
    [
        ({"depths": (2, 2, 2)}, "Expected four depths of at least 1"),
        ({"position_sides": (16,)}, "Expected two position_sides"),
        ({"embed_dims": 40}, "Expected embed_dims that divide by head_width"),
        ({"embed_dims": 0}, "Expected sizes of at least 1"),
        ({"experts": 0}, "Expected experts of at least 1"),
        ({"expert_blocks": (24,)}, "Expected expert_blocks among 0–23, each once"),
        ({"expert_blocks": (-1,)}, "Expected expert_blocks among 0–23, each once"),
        ({"expert_blocks": (4, 4)}, "Expected expert_blocks among 0–23, each once"),
    ],
)
def test_impossible_backbones_are_refused(values, message):
    with pytest.raises(PresetError) as error:
        UnifiedConfig(**values)
    assert message in str(error.value)


def test_the_stride_is_checked_and_told(dense):
    model = shaken(V2_TINY, seed=3)
    for wrong in (5, 8.0, "8"):
        with pytest.raises(ParameterError, match="Expected an HR stride among 32, 16, 8, 4"):
            model.hr_stride = wrong
    usual = model.provenance
    model.hr_stride = 8
    assert model.provenance == f"{usual}, HR stride 8"


def test_a_file_of_v2_without_some_sensors_names_them(dense, tmp_path):
    alone, _ = load(V2_TINY, parts=("s2",))
    path = save(alone, tmp_path / "s2.safetensors")
    with pytest.raises(CheckpointError) as error:
        load(weights=path)
    assert str(error.value).endswith("Add the files of hr, s1, fusion, or load fewer parts=(…).")
    with pytest.raises(CheckpointError, match="Expected weights of skysense-tiny, got weights of another model in"):
        load("skysense-tiny", path)
    same, _ = load(V2_TINY, {"s2": path}, parts=("s2",))
    assert same.modalities == ("s2",)


def test_widening_what_was_not_asked_for_is_not_claimed(dense, tmp_path):
    path = save(dense, tmp_path / "whole.safetensors")
    _, receipt = load(weights=path, parts=("s2",), near_infrared=True)
    assert receipt.widened == []
