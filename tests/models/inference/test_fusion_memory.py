"""The fusion needs as much memory for a large map as for a small one, the result itself included."""

import torch

from skysense_nb.models.fusion import FusionConfig, FusionTransformer
from skysense_nb.models.inference import FusionInference, Maker
from skysense_nb.models.meter import Meter

WIDTH = 32


def peak(fusion: FusionTransformer, side: int) -> int:
    """Bytes that tensors hold at most while a map of so many cells a side is fused, inputs and weights apart."""
    form = FusionInference(fusion, Maker(torch.float32, torch.device("cpu"), "packed"), tokens_at_once=1024)
    tokens = torch.randn(side**2, 8, WIDTH)
    with torch.no_grad(), Meter(fusion) as meter:
        form(tokens)
    return meter.peak


def test_memory_does_not_grow_with_the_map():
    torch.manual_seed(0)
    fusion = FusionTransformer(FusionConfig(WIDTH, WIDTH, num_layers=2, num_heads=4)).eval()
    small, large = peak(fusion, 16), peak(fusion, 64)
    assert small > 1e6
    assert abs(large / small - 1) < 0.1
