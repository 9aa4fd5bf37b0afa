"""Cached features are the model's, come back from disk, and are never those of other weights or data."""

import warnings
from dataclasses import replace

import pytest
import torch

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.miniatures import write_miniature
from skysense_nb.errors import CheckpointError, DatasetError, SampleError
from skysense_nb.models import load
from skysense_nb.models.geo_context import GeoContext, GeoContextConfig, region_of
from skysense_nb.models.multimodal import kept_form
from skysense_nb.tasks.evaluation import predictions
from skysense_nb.tasks.feature_files import cache_key
from skysense_nb.tasks.fine_tuning import fine_tune
from skysense_nb.tasks.frozen import collate_frozen, freeze_features, frozen
from skysense_nb.tasks.heads.levels import levels, widths_of
from skysense_nb.tasks.heads.masks import CellHead
from skysense_nb.tasks.plan import Plan
from skysense_nb.tasks.samples import EndlessSamples, TaskSamples, collate_tasks
from skysense_nb.tasks.windows import Windows

QUIET = {"progress": False}


@pytest.fixture(scope="module")
def model():
    return load("skysense-tiny", weights="random")[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "pastis"
    write_miniature("pastis", folder)
    return folder


@pytest.fixture(scope="module")
def samples(root):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TaskSamples(open_benchmark("pastis", root, "train"), sensors=("s2", "s1"))


def test_frozen_features_are_those_of_the_model_to_half_precision(model, samples):
    held = freeze_features(model, samples, maps=("s2",), **QUIET)
    batch = collate_frozen([held[index] for index in range(len(held))])
    live = collate_tasks([samples[index] for index in range(len(samples))])
    with torch.no_grad():
        features = model.eval().features(live)
    for one, other in ((batch["features"].fused, features.fused), (batch["features"].pooled, features.pooled)):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))
    widths = widths_of(model, ("s2", "fused"))
    for one, other in zip(levels(batch["features"], widths), levels(features, widths), strict=True):
        assert torch.allclose(one, other, rtol=2e-3, atol=2e-3 * float(other.abs().max()))
    assert torch.equal(batch["mask"], live["mask"])
    assert batch["id"] == live["id"]


def test_series_of_different_length_are_padded_with_invalid_dates(model, samples):
    lengths = {samples[index]["s2"].shape[1] for index in range(len(samples))}
    assert len(lengths) > 1
    held = [freeze_features(model, samples, maps=("s2",), batch=1, **QUIET)[index] for index in range(len(samples))]
    batch = collate_frozen(held)
    assert batch["features"].maps["s2"][0].shape[1] == max(lengths)
    widths = widths_of(model, ("s2",))
    together = levels(batch["features"], widths)
    for row, item in enumerate(held):
        alone = levels(collate_frozen([item])["features"], widths)
        assert torch.allclose(together[0][row], alone[0][0], atol=1e-5)


def test_the_cache_gives_back_what_was_put_in_and_goes_on_where_it_stopped(model, samples, tmp_path, monkeypatch):
    first = freeze_features(model, samples, maps=("s2",), folder=tmp_path, **QUIET)
    (home,) = tmp_path.iterdir()
    sorted(home.iterdir())[1].unlink()
    form = kept_form(model)
    calls, features = [], form.features
    counted = lambda batch, **options: calls.append(len(batch["s2"])) or features(batch, **options)  # noqa: E731
    monkeypatch.setattr(form, "features", counted)
    again = freeze_features(model, samples, maps=("s2",), folder=tmp_path, **QUIET)
    assert calls == [1]
    for index in range(len(samples)):
        one, other = first[index], again[index]
        assert torch.equal(one["features"].fused, other["features"].fused)
        assert torch.equal(one["features"].maps["s2"][3], other["features"].maps["s2"][3])
        assert one["features"].token_dates == other["features"].token_dates
        assert torch.equal(one["mask"], other["mask"])
        assert (one["id"], one["size"]) == (other["id"], other["size"])


def test_other_weights_other_files_and_other_options_have_other_features(model, samples, root, tmp_path):
    def homes():
        return {path.name for path in tmp_path.iterdir()} if tmp_path.exists() else set()

    freeze_features(model, samples, folder=tmp_path, **QUIET)
    assert len(homes()) == 1
    freeze_features(model, samples, folder=tmp_path, **QUIET)
    assert len(homes()) == 1
    other, _ = load("skysense-tiny", weights="random", seed=1)
    freeze_features(other, samples, folder=tmp_path, **QUIET)
    assert len(homes()) == 2
    freeze_features(model, TaskSamples(samples.reader, sensors=("s1",)), folder=tmp_path, **QUIET)
    assert len(homes()) == 3
    freeze_features(model, TaskSamples(samples.reader, ("s2", "s1"), normalisation="dataset"), folder=tmp_path, **QUIET)
    assert len(homes()) == 4
    path = samples.reader.files(samples.reader.items[0])[0]
    path.touch()
    freeze_features(model, samples, folder=tmp_path, **QUIET)
    assert len(homes()) == 5


def test_a_damaged_file_of_the_cache_is_named(model, samples, tmp_path):
    freeze_features(model, samples, folder=tmp_path, **QUIET)
    (home,) = tmp_path.iterdir()
    path = sorted(home.iterdir())[0]
    path.write_bytes(path.read_bytes()[:100])
    held = freeze_features(model, samples, folder=tmp_path, **QUIET)
    with pytest.raises(CheckpointError, match="Delete it; it is computed again"):
        held[0]


def test_the_model_is_left_in_the_mode_it_was_in(model, samples):
    model.train()
    model.fusion.eval()
    freeze_features(model, samples, **QUIET)
    assert model.training
    assert not model.fusion.training


def test_a_sensor_that_a_dataset_does_not_have_is_named(samples):
    with pytest.raises(DatasetError, match="Expected hr in PASTIS.*, got s2, s1"):
        TaskSamples(samples.reader, sensors=("hr", "s2"))[1]


def test_samples_know_where_they_are(samples):
    record, sample = samples.record(0), samples[0]
    lon, lat = sample["lonlat"][0].tolist()
    assert -5 < lon < 10
    assert 41 < lat < 52
    assert sample["id"] == record["id"]
    assert torch.equal(samples.moved(0, seed=3)["lonlat"], sample["lonlat"])


def test_moved_samples_move_masks_and_all_dates_alike(samples):
    sample = samples.moved(0, seed=5)
    again = samples.moved(0, seed=5)
    assert torch.equal(sample["s2"], again["s2"])
    different = [not torch.equal(samples.moved(0, seed=seed)["mask"], samples[0]["mask"]) for seed in range(8)]
    assert sum(different) >= 5
    assert torch.equal(sample["mask"].flatten().sort().values, samples[0]["mask"].flatten().sort().values)


def test_an_endless_row_visits_every_sample_once_each_time_through():
    row = EndlessSamples(list(range(7)), seed=1)
    times = [[row[7 * epoch + place] for place in range(7)] for epoch in range(3)]
    assert all(sorted(one) == list(range(7)) for one in times)
    assert times[0] != times[1]
    assert [row[position] for position in (20, 3, 11)] == [times[2][6], times[0][3], times[1][4]]
    assert times != [[EndlessSamples(list(range(7)), seed=2)[7 * e + p] for p in range(7)] for e in range(3)]


def test_a_head_trained_on_frozen_features_reads_live_ones(model, samples):
    head = CellHead(model.width, samples.classes).eval()
    held = collate_frozen([freeze_features(model, samples, **QUIET)[0]])
    live = collate_tasks([samples[0]])
    with torch.no_grad():
        one, other = head(held["features"], held), head(model.eval().features(live), live)
    assert torch.allclose(one[0], other[0], atol=1e-2)
    assert head.predict(one, held)["mask"].shape == live["mask"].shape


def test_frozen_geo_context_is_read_by_a_head_and_stays_as_it_is(samples, tmp_path):
    model, _ = load("skysense-tiny", weights="random")
    sizes = GeoContextConfig(regions=4, prototypes=3, width=16)
    model.context = GeoContext(sizes, model.config.fusion.embed_dims)
    model.config = replace(model.config, context=sizes)
    model.context.bank.normal_()
    model.context.region_ids[0] = region_of(samples[0]["lonlat"])[0]
    bank, head = model.context.bank.clone(), CellHead(model.width, samples.classes)
    assert model.width == model.config.fusion.embed_dims + 16
    plan = Plan(train="last:0", steps=1, batch=1, moves=True, warmup=0)
    fine_tune(model, head, samples, None, plan, tmp_path, accelerator="cpu", progress=False)
    assert torch.equal(model.context.bank, bank)
    assert not any(one.requires_grad for one in model.context.parameters())
    (features,) = frozen(model, [samples[0]], ())
    assert features["features"].context[:, -16:].abs().max() > 0


def test_windows_of_a_reader_have_a_cache_of_their_own(model, samples, tmp_path):
    def keys(*sides):
        return {cache_key(model, TaskSamples(Windows(samples.reader, side), ("s2",)), ()) for side in sides}

    assert len(keys(16, 32) | {cache_key(model, TaskSamples(samples.reader, ("s2",)), ())}) == 3
    assert keys(16) == keys(16)
    cut = TaskSamples(Windows(samples.reader, 16), ("s2",))
    held = freeze_features(model, cut, folder=tmp_path, **QUIET)
    assert len(held) == 4 * len(samples)
    assert held[0]["features"].fused.shape[-2:] == (16, 16)


def test_features_of_different_sizes_make_no_batch(model, samples):
    small = TaskSamples(samples.reader, samples.sensors, cells=(8, 8))
    items = [freeze_features(model, one, **QUIET)[0] for one in (samples, small)]
    with pytest.raises(SampleError, match=r"got \[\(8, 8\), \(32, 32\)\] ground cells"):
        collate_frozen(items)


def test_whoever_reads_predictions_has_gradients_and_modes_as_before(model, samples):
    head = CellHead(model.width, samples.classes)
    head.train(), model.train()
    for _ in predictions(model, head, samples, batch=1):
        assert torch.is_grad_enabled()
        assert head.training and model.training
