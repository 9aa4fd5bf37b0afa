"""Every task is measured with all of its model and head, and with the truth its loss wants."""

import pytest
import torch

from skysense_nb.models import load
from skysense_nb.runs.bench_tasks import JOBS, bench_tasks, random_batch
from skysense_nb.tasks.heads.head import summed


@pytest.mark.parametrize("task", JOBS)
def test_a_task_trains_on_its_random_batch(task):
    model, _ = load("skysense-tiny", weights=None)
    head = JOBS[task].head(model, 8)
    batch = random_batch(JOBS[task], cells=2, batch=2, device=torch.device("cpu"))
    loss = summed(head.loss(head(model.features(batch), batch), batch))
    loss.backward()
    assert loss.isfinite()
    assert any(one.grad is not None and one.grad.abs().max() > 0 for one in head.parameters())


def test_a_row_tells_rates_and_memory():
    (row,) = bench_tasks(tasks=["scene classification"], cells=2, batch=2, device="cpu", precision="fp32", rounds=1)
    assert row.inference_per_s > row.training_per_s > 0
    assert (row.size, row.precision, row.preset) == (2, "fp32", "skysense-tiny")
    assert row.task in str(row) and row.to_dict()["device"] == "cpu"
