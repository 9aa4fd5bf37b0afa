"""Pre-training on two processes is pre-training on one: the whole step, whole runs, and what each process holds."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_runs import PLACES
from torch.multiprocessing import spawn
from whole_steps import CASES, STRATEGIES, run_rank, whole_step

from skysense_nb.models import load
from skysense_nb.pretraining.tiles import write_tiles
from skysense_nb.training.checkpoints import read_rows

pytestmark = pytest.mark.slow

ROUNDING = {"loss": 1e-5, "gradient": 2e-5, "weight": 1e-3, "buffer": 1e-5, "report": 0}
"""Largest difference of a tensor as a share of its largest value."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Steps of two processes with two tiles each."""
    folder = tmp_path_factory.mktemp("steps")
    spawn(run_rank, args=(str(folder),), nprocs=2)
    return folder


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def joined(case):
    """The step of one process with all four tiles."""
    return whole_step(CASES[case])


def ranks(folder, case, strategy):
    return [torch.load(folder / f"{case}-{strategy}-{rank}.pt") for rank in range(2)]


def differing(one, other, kind):
    """Names of a kind of tensor that differ by more than rounding."""
    found = []
    for name in (name for name in one if name.startswith(kind)):
        allowed = ROUNDING[kind] * float(one[name].abs().max())
        if name.endswith("usage"):
            allowed = 1 / 3  # a cell of the few in these tiles may lie between two prototypes
        if not torch.allclose(one[name].double(), other[name].double(), rtol=0, atol=allowed):
            found.append(name)
    return found


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ROUNDING)
def test_two_processes_do_what_one_does_with_the_joined_batch(folder, case, joined, strategy, kind):
    for rank in ranks(folder, case, strategy):
        assert rank.keys() == joined.keys()
        assert differing(joined, rank, kind) == []


def test_the_comparison_sees_what_one_process_alone_would_do(case, joined):
    alone = whole_step(CASES[case], slice(0, 2))
    for kind in ("loss", "gradient", "weight student", "weight teacher", "buffer contrasts", "buffer bank"):
        names = [name for name in joined if name.startswith(kind)]
        kind = kind.split()[0]
        assert len(differing({name: joined[name] for name in names}, alone, kind)) > 0.5 * len(names)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_both_processes_end_with_the_same_bits(folder, case, strategy):
    one, other = ranks(folder, case, strategy)
    names = [name for name in one if name.split()[0] in ("weight", "buffer", "gradient")]
    assert [name for name in names if not torch.equal(one[name], other[name])] == []


def test_sharding_halves_what_a_process_holds(folder, case, joined):
    for kind in ("weights", "gradients", "moments"):
        all_of_it = joined[f"bytes {kind}"]
        assert [rank[f"bytes {kind}"] for rank in ranks(folder, case, "ddp")] == [all_of_it] * 2
        parts = [rank[f"bytes {kind}"] for rank in ranks(folder, case, "fsdp")]
        assert sum(parts) == all_of_it
        assert max(parts) < 0.52 * all_of_it


class Patchy:
    """The places of the tests, the first of which Sentinel-1 has never seen."""

    cells, labels = PLACES.cells, False

    def scene(self, index):
        scene = PLACES.scene(index)
        return scene if index else scene.sky.only(("hr", "s2"))


def launch(folder, strategy, *batch):
    """A run of two processes, as torchrun starts them on one machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = Path(__file__).with_name("run_of_two.py")
    told = [*command, str(script), str(folder), strategy, *map(str, batch)]
    return subprocess.run(told, capture_output=True, text=True, timeout=600)


def ends(folder):
    return [torch.load(folder / f"end-{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """The folder of the tiles that all runs train on."""
    return write_tiles(tmp_path_factory.mktemp("runs") / "tiles", Patchy(), 9)


@pytest.fixture(scope="module", params=STRATEGIES)
def whole(tiles, request):
    """A run from its beginning to its end."""
    folder = tiles.parent / request.param
    done = launch(folder, request.param)
    assert done.returncode == 0, done.stderr
    return folder


def test_both_processes_of_a_run_end_with_the_same_weights_centres_and_prototypes(whole):
    one, other = (end["state"] for end in ends(whole))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert int(one["networks.bank.region_ids"].max()) >= 0
    assert all(one[f"networks.contrasts.{source}.centres"].any() for source in ("hr", "s2", "s1", "fused"))


def test_no_two_processes_see_the_same_tile(whole):
    one, other = (end["tiles"] for end in ends(whole))
    assert len(one) == len(other) == 4
    assert len({*one, *other}) == 8


def test_a_sensor_that_one_process_lacks_is_left_out_on_both(whole):
    one, other = (end["sensors"] for end in ends(whole))
    assert one == other
    assert sorted(one) == [["hr", "s2"], *[["hr", "s2", "s1"]] * 3]


def test_the_history_is_written_once(whole):
    rows = read_rows(whole / "history.csv")
    assert len({(row["step"], row["name"]) for row in rows}) == len(rows)
    assert len(losses(whole)) == 2


def losses(folder):
    return [float(row["value"]) for row in read_rows(folder / "history.csv") if row["name"] == "loss"]


def test_a_killed_run_goes_on_bit_for_bit(whole):
    folder, strategy = whole.with_name(f"resumed-{whole.name}"), whole.name
    assert launch(folder, strategy, 3).returncode != 0
    assert (folder / "last.ckpt").is_file() and not (folder / "model.safetensors").exists()
    done = launch(folder, strategy)
    assert done.returncode == 0, done.stderr
    one, again = ends(whole)[0]["state"], ends(folder)[0]["state"]
    assert [name for name in one if not torch.equal(one[name], again[name])] == []
    assert losses(whole) == losses(folder)


def test_a_run_leaves_the_teacher_whole_whether_it_was_sharded_or_not(whole):
    model, receipt = load(weights=whole / "model.safetensors")
    assert "0 missing, 0 unexpected" in str(receipt)
    end = ends(whole)[1]["state"]
    for name in (name for name in model.state_dict() if not name.startswith("context")):
        assert torch.equal(model.state_dict()[name], end[f"networks.teacher.{name}"])


def test_runs_have_the_same_losses_whether_they_are_sharded_or_not(whole):
    assert losses(whole) == pytest.approx(losses(whole.with_name("ddp")), rel=1e-4)
