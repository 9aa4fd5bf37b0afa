"""What only the factorised encoder promises."""

import torch
from small_models import make_sample, shaken, subset


@torch.no_grad()
def test_pyramid_strides():
    features = shaken("skysense-tiny", seed=3).features(make_sample(cells=16))
    assert [level.shape[-1] for level in features.pyramid("hr")] == [128, 64, 32, 16]
    assert [level.shape[-1] for level in features.pyramid("s2")] == [16, 8, 4, 2]
    assert torch.equal(features.pyramid("s2")[2], features.maps["s2"][2])


@torch.no_grad()
def test_attention_belongs_to_its_cell():
    model = shaken("skysense-tiny", seed=3)
    sample = subset(make_sample(batch=1), ("s1", "s2"))
    other = sample | {"s1": sample["s1"].clone()}
    other["s1"][:, :, :, :4, 4:] += 3.0  # one patch of the Sentinel encoder covers 4 × 4 cells
    weak = model.features(sample, attention=True).attention
    moved = (model.features(other, attention=True).attention - weak).abs().amax((0, 1, 2))
    inside = moved[:4, 4:].mean()
    assert inside > 2 * moved[4:].mean()
    assert inside > 2 * moved[:, :4].mean()
