"""The inference form says what the model says, whatever it does in between."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from small_models import KINDS, SHALLOW, make_sample, shaken, subset
from torch.utils._python_dispatch import TorchDispatchMode

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.models import load
from skysense_nb.models.family import build
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.inference import KINDS as WAYS
from skysense_nb.models.inference.linear import Maker
from skysense_nb.models.inference.windows import cut
from skysense_nb.models.multimodal import kept_form
from skysense_nb.models.skysense import SkySense

SUBSETS = [c for n in (1, 2, 3) for c in itertools.combinations(("hr", "s2", "s1"), n)]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def form(model):
    return model.for_inference(quiet=True)


def close(ours, theirs, tolerance=2e-5):
    assert ours.shape == theirs.shape
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    assert error < tolerance, error


def odd_sample(rows=6, columns=9):
    """A grid that divides by no window and no patch."""
    sample = make_sample(batch=2, cells=16)
    sides = {name: 32 if name == "hr" else 1 for name in ("hr", "s2", "s1")}
    return sample | {name: sample[name][..., : rows * side, : columns * side] for name, side in sides.items()}


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_every_number_of_any_subset(model, form, names):
    sample = subset(odd_sample(), names)
    ours, theirs = form.features(sample), model.features(sample)
    close(ours.fused, theirs.fused)
    close(ours.pooled, theirs.pooled)
    assert torch.equal(ours.valid, theirs.valid) and ours.token_dates == theirs.token_dates
    for name in names:
        for level, whole in zip(ours.maps[name], theirs.maps[name], strict=True):
            close(level, whole, 1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at_once", [1, 100, 10**6])
def test_neither_the_way_to_multiply_nor_the_size_of_pieces_matters(model, way, at_once):
    sample = odd_sample(3, 5)
    form = model.for_inference(kind=way, tokens_at_once=at_once, quiet=True)
    close(form.features(sample).fused, model.features(sample).fused)


def test_dates_that_are_padding_or_repeated_change_nothing_but_what_they_count(model, form):
    sample = odd_sample(4, 5)
    sample["s2"][0, 2], sample["s2_day"][0, 2] = sample["s2"][0, 0], sample["s2_day"][0, 0]  # counts twice
    sample["s2"][1, 1] = sample["s2"][1, 0]  # same image, another day
    sample["s2_valid"] = torch.tensor([[True, True, True], [True, True, False]])
    sample["s1_valid"] = torch.tensor([[False, True], [False, False]])
    sample["s1"][1] = float("nan")
    ours, theirs = form.features(sample), model.features(sample)
    close(ours.fused, theirs.fused)
    close(ours.maps["s2"][-1], theirs.maps["s2"][-1], 1e-4)
    once = {key: value[:1, [0, 1]] if key.startswith("s2") else value[:1] for key, value in sample.items()}
    assert (form.features(once).fused - ours.fused[:1]).abs().max() > 1e-4


def test_batch_order_changes_nothing(form):
    sample = odd_sample(4, 5) | {"s1_valid": torch.tensor([[True, True], [True, False]])}
    turned = {key: value.flip(0) for key, value in sample.items()}
    close(form.features(turned).fused.flip(0), form.features(sample).fused, 1e-6)


@pytest.mark.parametrize("part", ["hr", "s2"])
def test_a_model_of_one_sensor(config, part):
    model = shaken(config, seed=1, parts=(part,))
    sample = subset(odd_sample(5, 6), (part,))
    close(model.for_inference(quiet=True).features(sample).fused, model.features(sample).fused)


def test_geo_context(config):
    model = build(replace(config, context=GeoContextConfig(regions=4, prototypes=5, width=16))).eval()
    sample = make_sample(batch=1, cells=2) | {"lonlat": torch.tensor([[10.0, 50.0]])}
    model.context.bank.normal_()
    model.context.region_ids[0] = model.context.region(sample["lonlat"])[0]
    ours, theirs = model.for_inference(quiet=True).features(sample), model.features(sample)
    assert theirs.context[:, 128:].abs().max() > 0
    close(ours.context, theirs.context)
    close(ours.pooled, theirs.pooled)


def test_finer_hr_maps_of_version_2():
    model = shaken(KINDS["v2"], seed=2)
    model.hr_stride = 8
    sample = odd_sample(5, 6)
    close(model.for_inference(quiet=True).features(sample).fused, model.features(sample).fused)


def test_bfloat16_points_the_same_way(model):
    sample = make_sample(cells=4)
    ours = model.for_inference(torch.bfloat16, quiet=True).features(sample).fused
    assert ours.dtype == torch.bfloat16
    cosine = torch.cosine_similarity(ours.float().flatten(1), model.features(sample).fused.flatten(1))
    assert cosine.min() > 0.999


def test_maps_are_left_out_where_nobody_wants_them(model, form):
    sample = make_sample(cells=2)
    assert form.features(sample, maps=False).maps == {} and model.features(sample, maps=False).maps == {}
    close(form.pooled(sample), model.pooled(sample))


def test_a_kept_form_follows_the_weights():
    model, _ = load("skysense-tiny", weights="random", parts=("s1", "fusion"))
    sample = subset(make_sample(), ("s1",))
    first = kept_form(model)
    assert kept_form(model) is first
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
    with torch.enable_grad():
        model.pooled(sample).square().sum().backward()
    optimizer.step()
    assert kept_form(model) is not first
    close(kept_form(model).pooled(sample), model.pooled(sample))
    copied = copy.deepcopy(model)
    copied.fusion.cls_token[..., 3] += 1  # one value
    close(kept_form(copied).pooled(sample), copied.pooled(sample))


def test_a_kept_form_notices_one_value_of_a_table():
    model, _ = load("skysense-tiny", weights="random", parts=("s1", "fusion"))
    sample = subset(make_sample(), ("s1",))
    kept_form(model)
    model.dates.table.data[0, int(sample["s1_day"][0, 0]), 5] += 3
    close(kept_form(model).pooled(sample), model.pooled(sample))


def test_autocast_does_not_reach_inside():
    model, _ = load("skysense-tiny", weights="random", parts=("s1", "fusion"))
    sample = subset(make_sample(), ("s1",))
    expected = model.pooled(sample)
    with torch.autocast("cpu", torch.bfloat16):
        inside = kept_form(model).pooled(sample)
    close(inside, expected)
    close(kept_form(model).pooled(sample), expected)


def test_double_precision_has_a_form_too():
    model = load("skysense-tiny", weights="random", parts=("s1", "fusion"))[0].double()
    sample = subset(make_sample(), ("s1",))
    assert kept_form(model).choice.kind == "plain"
    close(kept_form(model).pooled(sample | {"s1": sample["s1"].double()}), model.pooled(sample), 1e-12)


def test_levels_come_in_their_own_order():
    model = shaken(replace(KINDS["v1"], s1=replace(KINDS["v1"].s1, out_indices=(3, 1))), seed=4)
    sample = subset(make_sample(cells=4), ("s1",))
    ours, theirs = model.for_inference(quiet=True).features(sample), model.features(sample)
    for level, whole in zip(ours.maps["s1"], theirs.maps["s1"], strict=True):
        close(level, whole, 1e-4)
    close(ours.fused, theirs.fused)


def test_patches_of_two_sizes_run_on_the_model_itself():
    model = shaken(replace(KINDS["v1"], s1=replace(KINDS["v1"].s1, patch_size=8)), seed=4)
    assert kept_form(model) is model
    with pytest.raises(ParameterError, match=r"as it was built, got SkySense with patches of \[4, 8\]"):
        model.for_inference()


def test_what_a_subclass_changes_is_not_passed_over():
    class Louder(SkySense):
        def spread(self, name, deepest):
            return 2 * super().spread(name, deepest)

    model = Louder(KINDS["v1"])
    assert kept_form(model) is model


class Halved(torch.nn.Linear):
    """A layer of another library, with the weights of the one it stands for."""

    def forward(self, x):
        return super().forward(x) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_put_inside_is_not_passed_over(kind):
    model = shaken(KINDS[kind], seed=5)
    assert kept_form(model) is not model
    layer = model.fusion.layers[0].ln1
    hook = layer.register_forward_hook(lambda _, __, out: 2 * out)
    assert kept_form(model) is model
    with pytest.raises(ParameterError, match=r"got SkySense\w* with a hook at fusion\.layers\.0\.ln1"):
        model.for_inference()
    hook.remove()
    assert kept_form(model) is not model
    layer.forward = lambda x: 2 * x
    assert kept_form(model) is model
    del layer.forward
    model.fusion.porj_linear = Halved(*model.fusion.porj_linear.weight.T.shape)
    assert kept_form(model) is model
    with pytest.raises(ParameterError, match=r"with a Halved at fusion\.porj_linear"):
        model.for_inference()


def test_two_sensors_without_fusion_are_refused_with_and_without_maps():
    model, _ = load("skysense-tiny", weights="random", parts=("s1", "s2"))
    sample = subset(make_sample(), ("s1", "s2"))
    for answer in (model, model.for_inference(quiet=True)):
        for maps in (True, False):
            with pytest.raises(SampleError, match="one modality for a model without fusion, got s2, s1"):
                answer.features(sample, maps=maps)


def test_bands_and_widths_of_parts_that_were_not_built_are_known():
    model, _ = load("skysense-tiny", weights="random", parts=("s1",))
    form = model.for_inference(quiet=True)
    for name in ("hr", "s2", "s1"):
        assert (form.channels(name), form.widths(name)) == (model.channels(name), model.widths(name))


def test_numbers_of_images_share_their_masks():
    kept = [{id(one.masks) for one in cut(batch, 20, 20, 8, 4, 10**6, torch.device("cpu"))} for batch in (1, 2, 5)]
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 2


def test_a_form_is_a_copy():
    model, _ = load("skysense-tiny", parts=("s1", "fusion"))
    sample, form = subset(make_sample(), ("s1",)), model.for_inference(quiet=True)
    before = form.pooled(sample)
    for parameter in model.parameters():
        parameter.zero_()
    assert torch.equal(form.pooled(sample), before)


def test_heads_can_be_trained_on_its_features(form):
    head = torch.nn.Linear(128, 2)
    pooled = form.pooled(make_sample(cells=2))
    with torch.enable_grad():
        head(pooled).sum().backward()
    assert head.weight.grad.abs().max() > 0


def test_it_says_how_it_computes(capsys):
    model, _ = load("skysense-tiny", parts=("s1",))
    model.for_inference(kind="plain")
    told = capsys.readouterr().out
    assert told.startswith("Inference form of skysense-tiny on cpu: fp32, ") and told.count("\n") == 1
    assert "GFLOP/s a core" in told and "plain products as asked" in told


@pytest.mark.parametrize(
    "options,message",
    [
        ({"kind": "fast"}, "a kind among packed, switched, plain"),
        ({"tokens_at_once": 0}, "tokens_at_once of at least"),
        ({"tokens_at_once": 100.5}, "tokens_at_once of at least"),
        ({"dtype": "bf16"}, "a dtype such as torch.bfloat16"),
        ({"device": 0}, "a device among"),
        ({"device": "cpu", "graphs": True}, "a CUDA device for graphs"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    model, _ = load("skysense-tiny", parts=("s1",))
    with pytest.raises(ParameterError, match=message):
        model.for_inference(**options)


def test_samples_that_do_not_fit_are_refused_as_by_the_model(form):
    with pytest.raises(SampleError, match="B T 10 H W"):
        form.features({"s2": torch.zeros(1, 1, 9, 4, 4)})


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Everything is laid out as on a GPU, and computed here."""
    monkeypatch.setattr(Maker, "on_gpu", True)


def test_the_layout_for_gpus_has_the_same_numbers(model, as_on_a_gpu):
    form = model.for_inference(kind="plain", quiet=True)
    assert not form.merges_equal
    for sample in (make_sample(batch=2, cells=4), make_sample(cells=6), odd_sample()):
        ours, theirs = form.features(sample), model.features(sample)
        close(ours.fused, theirs.fused)
        for name, levels in theirs.maps.items():
            for level, whole in zip(ours.maps[name], levels, strict=True):
                close(level, whole)


def test_heads_as_wide_as_the_published_ones_are_widened_for_gpus(as_on_a_gpu):
    narrow = SHALLOW["v1"]
    hr = replace(narrow.hr, embed_dims=44, num_heads=(1, 2, 4, 8))
    model = shaken(replace(narrow, hr=hr, fusion=replace(narrow.fusion, input_dims=8 * 44)), seed=6)
    form = model.for_inference(kind="plain", quiet=True)
    blocks = [block for stage in form.encoders["hr"].blocks for block in stage]
    assert blocks and all(block.head == 48 for block in blocks)
    sample = odd_sample()
    ours, theirs = form.features(sample), model.features(sample)
    for level, whole in zip([*ours.maps["hr"], ours.fused], [*theirs.maps["hr"], theirs.fused], strict=True):
        close(level, whole)


class Waits(TorchDispatchMode):
    """Notes what a CUDA graph cannot hold: values that the host has to see, or has to send."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__
        looks = name.startswith(("_local_scalar_dense", "nonzero", "masked_select", "equal", "lift_fresh", "unique"))
        if looks or (name == "index.Tensor" and any(one is not None and one.dtype == torch.bool for one in args[1])):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_no_encoder_waits_for_the_host_once_it_knows_a_shape(model, as_on_a_gpu):
    with Waits() as waits:
        torch.arange(3)[torch.tensor([True, False, True])].sum().item()
    assert {name.partition(".")[0] for name in waits.seen} == {"lift_fresh", "index", "_local_scalar_dense"}
    sample = odd_sample()
    for name, encode in model.for_inference(kind="plain", quiet=True).encoders.items():
        images = sample[name].flatten(0, -4)
        encode(images)
        with Waits() as waits:
            encode(images)
        assert waits.seen == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_on_a_gpu_give_the_same(config):
    model = shaken(config, seed=3, device="cuda")
    form = model.for_inference(torch.float32, quiet=True)
    for seed, cells in ((0, 4), (1, 6), (0, 4), (2, 4), (1, 6)):
        sample = make_sample(cells=cells, seed=seed)
        close(form.features(sample).fused, model.features(sample).fused, 1e-3)
