"""One step of the fused optimiser, under Lightning's clipping in bf16."""

import pytest
import torch
from lightning import LightningModule, Trainer

from skysense_nb.training.optimiser import adamw


class Line(LightningModule):
    """One weight of 3 whose loss is itself times a hundred."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0]))

    def train_dataloader(self):
        return [0]

    def training_step(self, batch, number):
        return 100 * self.weight.sum()

    def configure_optimizers(self):
        return adamw([{"params": [self.weight], "weight_decay": 0.5}], 0.1)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_clipped_step_is_that_of_the_formula(precision, tmp_path):
    module, options = Line(), {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options |= {"enable_model_summary": False, "default_root_dir": tmp_path, "accelerator": "cpu"}
    Trainer(max_steps=1, precision=precision, gradient_clip_val=1.0, **options).fit(module)
    assert module.weight.grad.item() == pytest.approx(1.0, rel=1e-4)
    assert module.weight.item() == pytest.approx(3.0 * (1 - 0.1 * 0.5) - 0.1, rel=1e-5)  # Loshchilov and Hutter, eq. 12
