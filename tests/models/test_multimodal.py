"""Invariants that SkySense v1, V2 and V2 with experts share, with random weights."""

import dataclasses
import itertools

import pytest
import torch
from small_models import SHALLOW, make_sample, shaken, subset

from skysense_nb.errors import PresetError, SampleError
from skysense_nb.models import load, multimodal
from skysense_nb.models.family import build
from skysense_nb.models.geo_context import GeoContextConfig

SUBSETS = [c for n in (1, 2, 3) for c in itertools.combinations(("hr", "s2", "s1"), n)]


def close(one, other):
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-5), float((one - other).abs().max())


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_any_subset_of_modalities(model, names):
    features = model.features(subset(make_sample(), names))
    assert features.fused.shape == (2, 128, 8, 8)
    assert features.pooled.shape == (2, 128)
    assert set(features.maps) == set(names)
    assert features.tokens.shape[2] == sum({"hr": 1, "s2": 3, "s1": 2}[name] for name in names)


def test_each_modality_and_each_date_matters(model):
    sample = make_sample()
    whole = model.pooled(sample)
    for names in SUBSETS[:-1]:
        assert (model.pooled(subset(sample, names)) - whole).abs().max() > 1e-3
    later = sample | {"s2_day": (sample["s2_day"] + 150) % 365}
    assert (model.pooled(later) - whole).abs().max() > 1e-4


def test_padding_dates_change_nothing(model):
    sample = make_sample()
    padded = dict(sample)
    noise = 100 * torch.randn(2, 4, 10, 8, 8)
    padded["s2"] = torch.cat((sample["s2"], noise), dim=1)
    padded["s2_day"] = torch.cat((sample["s2_day"], torch.full((2, 4), 200)), dim=1)
    padded["s2_valid"] = torch.tensor([[True] * 3 + [False] * 4] * 2)
    close(model.features(padded).fused, model.features(sample).fused)
    close(model.features(padded).maps["s2"][-1][:, :3], model.features(sample).maps["s2"][-1])
    assert model.features(padded).maps["s2"][-1][:, 3:].abs().max() == 0


def test_gaps_in_an_invalid_date_do_not_spread(model):
    sample = make_sample() | {"s2_valid": torch.tensor([[True, False, True]] * 2)}
    sample["s2"][:, 1] = float("nan")
    assert torch.isfinite(model.features(sample).fused).all()


def test_a_modality_without_valid_dates_equals_its_absence(model):
    sample = make_sample()
    silent = sample | {"s1_valid": torch.zeros(2, 2, dtype=torch.bool)}
    close(model.features(silent).fused, model.features(subset(sample, ("hr", "s2"))).fused)


def test_batch_with_different_dates_equals_samples_one_by_one(model):
    sample = make_sample() | {"s2_valid": torch.tensor([[True, False, True], [False, True, False]])}
    together = model.features(sample).fused
    for index in range(2):
        alone = {key: value[index : index + 1] for key, value in sample.items()}
        close(model.features(alone).fused, together[index : index + 1])


def test_permuting_the_batch_permutes_the_result(model):
    sample = make_sample(batch=3)
    order = torch.tensor([2, 0, 1])
    close(model.features({k: v[order] for k, v in sample.items()}).fused, model.features(sample).fused[order])


def test_cells_are_the_tokens_without_their_dates(model, config):
    sample = make_sample() | {"s2_valid": torch.tensor([[True, False, True], [True, True, True]])}
    features = model.features(sample, cells=True)
    undated = torch.cat([features.cells[name] for name in ("hr", "s2", "s1")], dim=1)  # B T D h w
    added = features.tokens - undated.flatten(3).permute(0, 3, 1, 2)
    days = torch.cat([sample[f"{name}_day"] for name in ("hr", "s2", "s1")], dim=1)
    close(added, (model.dates(days) * features.valid[..., None])[:, None].expand_as(added))
    assert model.features(sample).cells == {}


def test_order_of_dates_does_not_matter(model):
    sample = make_sample()
    turned = sample | {"s2": sample["s2"].flip(1), "s2_day": sample["s2_day"].flip(1)}
    close(model.features(turned).fused, model.features(sample).fused)


@pytest.mark.parametrize("height,width", [(5, 7), (1, 3), (9, 2)])
def test_scenes_of_any_size(model, height, width):
    sample = {
        "hr": torch.randn(1, 1, 3, 32 * height, 32 * width),
        "s1": torch.randn(1, 2, 2, height, width),
        "hr_day": torch.zeros(1, 1, dtype=torch.int64),
        "s1_day": torch.zeros(1, 2, dtype=torch.int64),
    }
    assert model.features(sample).fused.shape[-2:] == (height, width)


def test_hr_of_odd_pixels_gets_a_cell_for_its_last_strip(model):
    sample = {"hr": torch.randn(1, 1, 3, 70, 99), "hr_day": torch.zeros(1, 1, dtype=torch.int64)}
    assert model.features(sample).fused.shape[-2:] == (3, 4)


def test_attention_over_dates(model):
    sample = make_sample() | {"s2_valid": torch.tensor([[True, False, True], [True, True, True]])}
    features = model.features(sample, attention=True)
    assert features.attention.shape == (2, 4, 6, 8, 8)
    assert features.token_dates == [("hr", 0), ("s2", 0), ("s2", 1), ("s2", 2), ("s1", 0), ("s1", 1)]
    assert features.attention[0, :, 2].abs().max() == 0
    assert (features.attention.sum(2) < 1).all()
    assert (features.attention >= 0).all()


def test_cells_are_fused_the_same_in_parts(model, monkeypatch):
    sample = make_sample() | {"s2_valid": torch.tensor([[True, False, True], [True, True, True]])}
    whole = model.features(sample).fused
    monkeypatch.setattr(multimodal, "CELLS_AT_ONCE", 7)
    close(model.features(sample).fused, whole)


def test_geo_context_asks_for_the_place(config):
    model, _ = load(dataclasses.replace(config, context=GeoContextConfig(2, 2, 8)), seed=0)
    with pytest.raises(SampleError, match="Expected 'lonlat'"):
        model.features(make_sample(batch=1, cells=2))
    for place in (torch.zeros(2), torch.zeros(2, 2), torch.full((1, 2), torch.nan), [1.0, 2.0]):
        with pytest.raises(SampleError, match=r"Expected 'lonlat' \(B 2 = 1 2"):
            model.features(make_sample(batch=1, cells=2) | {"lonlat": place})


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_days_may_be_whole_numbers_of_any_kind(model, dtype):
    sample = make_sample()
    days = {name: sample[name].clamp(max=120) for name in ("hr_day", "s2_day", "s1_day")}
    small = {name: values.to(dtype) for name, values in days.items()}
    for answer in (model, model.for_inference(quiet=True)):
        close(answer.features(sample | small).fused, answer.features(sample | days).fused)


@torch.enable_grad()
def test_gradients_reach_every_parameter_and_only_from_valid_dates(config):
    model = shaken(config, seed=1).train()
    sample = make_sample(batch=1, cells=2) | {"s2_valid": torch.tensor([[True, True, False]])}
    sample["s2"].requires_grad_()
    model(sample).pooled.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert sample["s2"].grad[:, 2].abs().max() == 0
    assert sample["s2"].grad[:, :2].abs().max() > 0


@torch.enable_grad()
def test_recomputing_activations_keeps_the_gradients(config):
    plain = shaken(config, seed=2)
    saving = build(config, recompute=True).eval()
    saving.load_state_dict(plain.state_dict())
    forwards = {}
    for name, model in (("plain", plain), ("saving", saving)):
        calls = []
        model.fusion.layers[0].ln1.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        model(make_sample(batch=1, cells=2)).pooled.square().sum().backward()
        forwards[name] = len(calls)
    assert forwards == {"plain": 1, "saving": 2}
    for one, other in zip(plain.parameters(), saving.parameters(), strict=True):
        if one.grad is not None:
            close(one.grad, other.grad)


def test_single_sensor_model_without_fusion(config):
    model, _ = load(config, parts=("s2",), seed=0)
    sample = subset(make_sample(), ("s2",))
    only_valid = {"s2": sample["s2"][:, :2], "s2_day": sample["s2_day"][:, :2]}
    masked = sample | {"s2_valid": torch.tensor([[True, True, False]] * 2)}
    close(model.features(masked).fused, model.features(only_valid).fused)
    assert model.features(sample).fused.shape[-2:] == (8, 8)


def test_bf16_follows_fp32(model, config):
    sample = make_sample(batch=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.features(sample).pooled.float()
    pure = shaken(config, seed=3, dtype=torch.bfloat16).features(sample).pooled.float()
    whole = model.features(sample).pooled
    for other in (half, pure):
        assert torch.cosine_similarity(other, whole).min() > 0.998


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHALLOW)
def test_compiled_model_gives_the_same(kind):
    model, sample = shaken(SHALLOW[kind], seed=3), make_sample(batch=1, cells=2)
    compiled = torch.compile(model, backend="aot_eager")
    close(compiled(sample).fused, model(sample).fused)


def test_geo_context_is_put_beside_the_cells(config):
    config = dataclasses.replace(config, context=GeoContextConfig(regions=4, prototypes=5, width=16))
    model, _ = load(config, seed=0)
    sample = make_sample(batch=1, cells=2) | {"lonlat": torch.tensor([[10.0, 50.0]])}
    features = model.features(sample)
    assert features.context.shape == (1, 144, 2, 2)
    assert torch.equal(features.context[:, :128], features.fused)
    assert features.pooled.shape == (1, 144)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"hr": None, "s2": None, "s1": None}, "Expected at least one of hr, s2, s1, got keys"),
        ({"s2": torch.zeros(2, 3, 9, 8, 8)}, "Expected s2 as B T 10 H W, got shape (2, 3, 9, 8, 8)."),
        ({"s2": torch.zeros(2, 3, 10, 7, 8)}, "got hr 8 × 8, s2 7 × 8, s1 8 × 8."),
        ({"s2_day": torch.zeros(2, 4, dtype=torch.int64)}, "Expected s2_day as B T = (2, 3), got (2, 4)."),
        ({"s1_day": None}, "Expected the dates of s1, got no 's1_day'."),
        ({"s1": torch.zeros(3, 2, 2, 8, 8)}, "Expected one batch size, got {'hr': 2, 's2': 2, 's1': 3}."),
        ({"s2": torch.full((2, 3, 10, 8, 8), torch.nan)}, "Expected finite values in s2, got NaN or infinity."),
        ({"s2_day": torch.full((2, 3), 400)}, "Expected s2_day as whole days 0–364, got others."),
        ({"s2_day": torch.zeros(2, 3)}, "Expected s2_day as whole days 0–364, got others."),
        ({"s2_valid": torch.ones(2, 3)}, "Expected s2_valid as bool, got torch.float32."),
        ({"s1": torch.zeros(2, 2, 2, 0, 8)}, "Expected s1 as B T 2 H W, got shape (2, 2, 2, 0, 8)."),
        ({"s1_day": [[1, 2], [3, 4]]}, "Expected a tensor as s1_day, got list."),
    ],
)
def test_bad_samples(model, change, message):
    sample = {key: value for key, value in (make_sample() | change).items() if value is not None}
    with pytest.raises(SampleError) as error:
        model.features(sample)
    assert message in str(error.value)


def test_a_sample_without_any_valid_date_is_named(model):
    sample = subset(make_sample(), ("s1",)) | {"s1_valid": torch.tensor([[True, True], [False, False]])}
    with pytest.raises(SampleError) as error:
        model.features(sample)
    assert str(error.value) == (
        "Expected a valid date in every sample, got none in sample 1. Drop it or accept more dates."
    )


def test_what_a_model_does_not_read_is_left_alone(model):
    sample = make_sample(batch=1, cells=1)
    close(model.features(sample | {"name": "here", "land_cover": None}).fused, model.features(sample).fused)


def test_a_model_without_sensors_is_refused():
    with pytest.raises(PresetError, match=r"Expected a sensor among the parts, got \('fusion',\)"):
        load("skysense-tiny", parts=("fusion",))
    with pytest.raises(PresetError, match="Expected the name of a preset"):
        load(5)


def test_unknown_preset_and_part():
    with pytest.raises(PresetError) as error:
        load("skysense-huge")
    assert str(error.value) == (
        "Expected a preset among skysense-tiny, skysense-small, skysense, skysense-v2-tiny, skysense-v2-small, "
        "skysense-v2, skysense-v2-moe, got 'skysense-huge'. Choose one of these."
    )
    with pytest.raises(PresetError) as error:
        load("skysense-tiny", parts=("hr", "lidar"))
    assert str(error.value) == "Expected parts among hr, s2, s1, fusion, got lidar. Leave parts out for all."
