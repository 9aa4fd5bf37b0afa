"""Maps on one scale: measured over all cells of some samples, and kept with the head."""

import pytest
import torch
from box_cases import CLASSES, SIDE, WIDTHS, random_features

from skysense_nb.errors import SampleError
from skysense_nb.tasks.heads import BoxHead, OrientedBoxHead, measured_scaling
from skysense_nb.tasks.heads.levels import levels


def skewed(seed):
    """Features whose channels have other means and spreads, are alike, and one that never changes."""
    features = random_features(seed=seed)
    for level in features.maps["hr"]:
        level.mul_(torch.arange(1, 9)[:, None, None]).add_(torch.arange(8)[:, None, None])
        level[:, :, 6] += level[:, :, 5]
        level[:, :, 7] = 4.0
    return features


def test_channels_of_all_samples_together_are_uncorrelated_and_of_spread_1():
    seen = [skewed(seed) for seed in range(2)]
    scaling = measured_scaling([{"features": one} for one in seen], WIDTHS)
    for level in list(zip(*[scaling(levels(one, WIDTHS)) for one in seen], strict=True))[:2]:
        values = torch.cat(level).transpose(0, 1).flatten(1)
        torch.testing.assert_close(values.mean(1), torch.zeros(8), atol=1e-4, rtol=0)
        shared = values @ values.T / values.shape[1]
        assert (shared - torch.eye(8))[1:7, 1:7].abs().max() < 0.12  # a little less than 1 where there is little
        assert shared[7].abs().max() < 1e-3  # what never changes is not blown up


@pytest.mark.parametrize("kind", [BoxHead, OrientedBoxHead])
def test_a_head_sees_no_scale_any_more_and_keeps_the_numbers(kind):
    plain, batch = random_features(), {"size": (SIDE, SIDE)}
    loud = random_features()
    loud.maps["hr"] = [100 * level + 5 for level in loud.maps["hr"]]
    heads = []
    for features in (plain, loud):
        torch.manual_seed(0)
        scaling = measured_scaling([{"features": features}], WIDTHS)
        heads.append(kind(WIDTHS, CLASSES, channels=16, scaling=scaling).eval())
    one, other = (outputs_of(head(features, batch)) for head, features in zip(heads, (plain, loud), strict=True))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    copy = kind(WIDTHS, CLASSES, channels=16).eval()
    assert not torch.allclose(outputs_of(copy(loud, batch)), other)
    copy.load_state_dict(heads[1].state_dict())
    torch.testing.assert_close(outputs_of(copy(loud, batch)), other)


def outputs_of(outputs):
    return outputs["0"] if isinstance(outputs, dict) else outputs.logits


def test_without_samples_nothing_is_measured():
    with pytest.raises(SampleError, match="samples to measure"):
        measured_scaling([], WIDTHS)
