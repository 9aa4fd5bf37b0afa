"""Plans agree with what a real step holds, and with arithmetic done by hand."""

from dataclasses import replace

import pytest
import torch
from small_runs import EVERYTHING, SMALL

from skysense_nb.errors import ParameterError
from skysense_nb.layers import window_attention
from skysense_nb.models.meter import PARTS, Meter
from skysense_nb.pretraining import CropPlan, Recipe, Terms
from skysense_nb.pretraining.absent_gpu import mixed_precision
from skysense_nb.pretraining.machines import GIB, MACHINES, Machine, calibrate, machine
from skysense_nb.pretraining.planner import plan, scale, traffic, weights
from skysense_nb.pretraining.rehearsal import fresh_networks, overlapping_views, rehearse

STATE = ("student and its heads", "gradients", "moments of AdamW", "teacher and its heads")
CPU = Machine("a CPU", 8, 1, 1, 10, 10, device="cpu")
H200, A100 = MACHINES["h200"], MACHINES["a100"]
TINY = replace(SMALL, views=replace(SMALL.views, local_views=0), terms=Terms(object=0.0, alignment=0.0))
PAPER = Recipe(
    preset="skysense", batch=1, precision="bf16", terms=Terms(pixel=0, object=0, image=1, alignment=0),
    views=CropPlan(global_cells=16, local_views=0),
)  # fmt: skip
"""Two views of 512 HR pixels, 20 and 10 dates; heads small."""


def real_step(recipe, device="cpu", optimise=False):
    """A meter that watched a step on real tensors: one forward pass, or two whole steps."""
    network = fresh_networks(recipe, device)
    optimiser = torch.optim.AdamW([weight for weight in network.parameters() if weight.requires_grad])
    with Meter(network) as meter, meter.parts_of(network.student):
        for _ in range(1 + optimise):
            views = overlapping_views(recipe, network, recipe.batch, device)
            with mixed_precision(device, recipe.precision == "bf16"), meter.keeping():
                loss = torch.stack(list(network.losses(views).values())).sum()
                kept = meter.kept()
            if optimise:
                optimiser.zero_grad()  # after the forward pass, as Lightning does
                loss.backward()
                optimiser.step()
                network.follow(0.99)
            del loss
    return meter, kept


@pytest.fixture
def masks_not_shared(monkeypatch):
    """Window numbers made anew in every block, as in a rehearsal, which may keep nothing."""
    monkeypatch.setattr(window_attention, "kept_split", window_attention.split_by_seam)


@pytest.mark.parametrize(
    "changes",
    [{}, {"recompute": True}, {"preset": "skysense-v2-tiny", "terms": EVERYTHING}, {"geo_regions": 4}],
    ids=["plain", "recomputed", "V2 with every term", "with prototypes"],
)
def test_a_rehearsal_keeps_and_computes_what_the_real_step_does(changes, masks_not_shared):
    recipe = replace(SMALL, **changes)
    meter, kept = real_step(recipe)
    rehearsal = rehearse(recipe)
    assert rehearsal.kept == kept
    assert rehearsal.trained_flops == meter.trained_flops


def test_a_rehearsal_in_bf16_agrees_but_for_the_statistics_of_norms():
    recipe = replace(TINY, precision="bf16")
    _, kept = real_step(recipe)
    rehearsal = rehearse(recipe)
    assert rehearsal.kept["bf16 copies"] == kept["bf16 copies"] > 0
    assert rehearsal.kept == pytest.approx(kept, rel=0.005)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_rehearsal_for_a_gpu_agrees_with_one(precision):
    recipe = replace(TINY, precision=precision)
    _, kept = real_step(recipe, "cuda")
    assert sum(rehearse(recipe, "cuda").kept.values()) == pytest.approx(sum(kept.values()), rel=0.03)


@pytest.mark.parametrize("changes", [{}, {"recompute": True, "batch": 8}, {"precision": "bf16"}], ids=str)
def test_the_planned_total_is_the_peak_of_real_steps(changes):
    recipe = replace(TINY, **changes)
    sizes = weights(recipe)
    meter, _ = real_step(recipe, optimise=True)
    held = 4 * (sizes.trained + sizes.frozen) + sizes.buffer_bytes + meter.peak
    assert plan(recipe, CPU).total_gib == pytest.approx(held / GIB, rel=0.06)


@pytest.mark.slow
def test_the_paper_model_costs_what_was_counted_independently():
    """Per view, by hand from shapes: TFLOP of the encoders with their heads and of the fusion, and MiB kept in bf16."""
    rehearsal = rehearse(PAPER, "cuda")
    tflop = {part: flops / 2e12 for part, flops in rehearsal.trained_flops.items()}
    assert tflop["hr"] == pytest.approx(1.206, rel=0.01)
    assert tflop["s2"] + tflop["s1"] == pytest.approx(0.206 + 0.103 + 0.044, rel=0.01)
    left_out = 256 * (31 * 2 * 10 * 1024**2 + 2 * 2 * 31 * 32 * 1024) / 1e12  # of the last block one token is read
    assert tflop["fusion"] == pytest.approx(5.019 - left_out, rel=0.002)
    kept = sum(rehearsal.kept[part] for part in PARTS) / 2 / GIB
    assert kept == pytest.approx(9.3, rel=0.05)
    recomputed = rehearse(replace(PAPER, recompute=True), "cuda")
    assert sum(recomputed.kept[part] for part in PARTS) / 2 / GIB == pytest.approx(0.77, rel=0.15)
    assert recomputed.trained_flops == rehearsal.trained_flops


def test_the_paper_model_has_its_weights_and_prototypes():
    sizes = weights(replace(PAPER, geo_regions=4096, geo_prototypes=100))
    assert sizes.trained == pytest.approx(1.66e9, rel=0.01)
    assert sizes.trained == sizes.frozen
    assert sizes.buffer_bytes == pytest.approx(4 * 4096 * 100 * 1024, rel=0.01)


def test_state_is_twenty_bytes_per_weight():
    """fp32 weights, gradients and two moments of the student, fp32 weights of the teacher."""
    table, student = plan(TINY, CPU).memory_gib, weights(TINY).trained
    assert sum(table[name] for name in STATE) * GIB == pytest.approx(20 * student)


def test_sharding_divides_the_state_but_not_the_prototypes_or_activations():
    recipe = replace(TINY, geo_regions=64)
    ddp, fsdp = (plan(recipe, H200, 8, strategy).memory_gib for strategy in ("ddp", "fsdp"))
    for name in STATE:
        assert fsdp[name] == pytest.approx(ddp[name] / 8)
    for name in ("prototypes and tables", *PARTS, "losses"):
        assert fsdp[name] == ddp[name]
    assert "gathered blocks" not in ddp and "buckets of DDP" not in fsdp
    assert ddp["buckets of DDP"] == ddp["gradients"]


def test_traffic_by_hand():
    recipe = replace(SMALL, precision="bf16", accumulate=2)  # large and small views: two passes
    sizes = weights(recipe)
    assert traffic(sizes, recipe, 1, "single") == 0
    assert traffic(sizes, recipe, 4, "ddp") == 2 * 3 / 4 * 4 * sizes.trained
    student = 2 * 3 * sizes.trained  # per pass: weights forward and backward, then gradients
    assert traffic(sizes, recipe, 4, "fsdp") == pytest.approx(2 * 3 / 4 * 4 * (student + sizes.frozen))


def test_time_by_hand():
    planned = plan(TINY, CPU, efficiency=0.5)
    rehearsal = rehearse(TINY)
    flops = rehearsal.teacher_flops + 3 * sum(rehearsal.trained_flops.values())
    assert planned.arithmetic_s == pytest.approx(flops / 0.5e12)
    assert planned.step_s == pytest.approx(planned.arithmetic_s + planned.update_s)
    again = plan(replace(TINY, recompute=True), CPU, efficiency=0.5)
    student = sum(rehearsal.trained_flops[part] for part in PARTS)
    assert again.tflop - planned.tflop == pytest.approx(student / 1e12)
    parts = plan(replace(TINY, accumulate=2), CPU, efficiency=0.5)
    assert parts.tflop == pytest.approx(planned.tflop, rel=0.02)
    assert parts.memory_gib["hr"] < 0.6 * planned.memory_gib["hr"]


def test_the_most_tiles_fit_and_more_do_not():
    tight = replace(CPU, memory_gib=0.5)
    most = plan(TINY, tight).most_at_once
    assert most > TINY.batch
    assert plan(replace(TINY, batch=most), tight).fits
    assert not plan(replace(TINY, batch=most + most // 10 + 1), tight).fits


def test_a_plan_says_what_limits_it():
    assert plan(TINY, replace(CPU, memory_gib=0.05)).limit.startswith("Memory:")
    assert "switch recompute on" in plan(TINY, replace(CPU, memory_gib=0.05)).limit
    assert plan(replace(TINY, batch=64), replace(CPU, memory_gib=0.5)).limit.endswith("fit, so raise accumulate.")
    assert plan(TINY, replace(CPU, link_gb_s=0.001), gpus=2).limit.startswith("Link:")
    assert plan(TINY, replace(CPU, bandwidth_gb_s=0.001)).limit.startswith("Memory's bandwidth:")
    assert plan(TINY, replace(CPU, bandwidth_gb_s=1000)).limit.startswith("Arithmetic:")


def test_auto_shards_only_where_copies_do_not_fit():
    assert [each.strategy for each in scale(TINY, CPU, (1, 2))] == ["single", "ddp"]
    between = (plan(TINY, CPU, 8, "fsdp").total_gib + plan(TINY, CPU, 8, "ddp").total_gib) / 2
    assert plan(TINY, replace(CPU, memory_gib=between / 0.92), 8).strategy == "fsdp"


def test_beyond_one_computer_the_network_is_the_link():
    assert H200.link(8) == H200.link_gb_s
    assert H200.link(16) == H200.network_gb_s < H200.link_gb_s


def test_a_printed_plan_names_all_memory_and_ends_with_the_limit():
    planned = plan(TINY, A100, 2)
    lines = str(planned).splitlines()
    assert lines[0].startswith("skysense-tiny on 2 × A100-80GB, ddp · fp32 · 2 tiles at once")
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in planned.memory_gib)
    assert lines[-1] == planned.limit
    assert planned.total_gib == pytest.approx(sum(planned.memory_gib.values()))


@pytest.mark.parametrize("gpus,strategy", [(1, "ddp"), (8, "single"), (0, "auto"), (8, "zero")])
def test_strategies_that_do_not_go_with_the_gpus_are_refused(gpus, strategy):
    with pytest.raises(ParameterError, match="Expected single for one GPU"):
        plan(TINY, H200, gpus, strategy)


def test_an_unknown_machine_is_refused():
    with pytest.raises(ParameterError, match="Expected a machine among h200, a100, here, got 'h100'"):
        machine("h100")


def test_calibration_is_the_share_of_the_rate_that_a_step_reached():
    done = calibrate(TINY, CPU, rounds=1)
    assert done.tflop == rehearse(TINY).step_flops / 1e12
    assert done.efficiency == pytest.approx(done.tflop / done.seconds / CPU.tflops_fp32)
    again = plan(TINY, CPU, efficiency=done.efficiency)
    assert again.arithmetic_s == pytest.approx(done.seconds)


def test_meter_counts_a_storage_once_and_not_after_it_is_freed():
    layer, x = torch.nn.Linear(3, 5), torch.rand(7, 3, requires_grad=True)
    with Meter(layer) as meter, meter.keeping():
        y = layer(x)
        z = y.view(35)[:7] * y.view(35)[7:14]  # two views of one storage
        assert meter.kept() == {"losses": x.nbytes + y.nbytes}
        assert meter.now == y.nbytes + z.nbytes
        del y, z
        assert meter.kept() == {"losses": x.nbytes} and meter.now == 0
    assert meter.peak == 4 * (35 + 7)
