"""Maps for dense heads: right sizes and widths, dates averaged by hand, absent sensors zero."""

import pytest
import torch

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.models import load
from skysense_nb.tasks.heads.levels import levels, total, widths_of


@pytest.fixture(scope="module", params=["skysense-tiny", "skysense-v2-tiny"])
def model(request):
    return load(request.param, weights="random")[0].eval()


def sample(cells=4, **dates):
    generator = torch.Generator().manual_seed(0)
    bands, side = {"hr": 3, "s2": 10, "s1": 2}, {"hr": 32 * cells, "s2": cells, "s1": cells}
    batch = {}
    for name, count in dates.items():
        batch[name] = torch.randn(2, count, bands[name], side[name], side[name], generator=generator)
        batch[f"{name}_day"] = torch.randint(0, 365, (2, count), generator=generator)
    return batch


@torch.no_grad()
@pytest.mark.parametrize("sources", [("hr",), ("s2",), ("fused",), ("hr", "fused"), ("s2", "s1", "fused")])
def test_maps_have_the_widths_that_heads_are_built_for(model, sources):
    found = levels(model.features(sample(hr=1, s2=2, s1=2)), widths := widths_of(model, sources))
    assert [level.shape[1] for level in found] == total(widths)
    scale = 8 if "hr" in sources else 1
    assert [level.shape[-1] for level in found] == [max(1, int(4 * scale / 2**step)) for step in range(4)]


@torch.no_grad()
def test_maps_of_a_sensor_are_the_mean_over_its_valid_dates(model):
    batch = sample(hr=1, s2=3) | {"s2_valid": torch.tensor([[True, False, True], [True, True, True]])}
    features = model.features(batch)
    found = levels(features, widths_of(model, ("s2",)))
    for level, maps in zip(found, features.pyramid("s2"), strict=True):
        assert torch.allclose(level[0], (maps[0, 0] + maps[0, 2]) / 2, atol=1e-6)
        assert torch.allclose(level[1], maps[1].mean(0), atol=1e-6)


@torch.no_grad()
def test_one_date_can_be_taken(model):
    features = model.features(sample(hr=2))
    one = levels(features, widths_of(model, ("hr",)), date=1)
    assert torch.equal(one[0], features.maps["hr"][0][:, 1])
    with pytest.raises(SampleError, match="Expected at least 3 dates of hr, got 2"):
        levels(features, widths_of(model, ("hr",)), date=2)


@torch.no_grad()
def test_a_sensor_that_is_not_there_gives_zeros(model):
    found = levels(model.features(sample(s2=2)), widths_of(model, ("hr", "s2")))
    widths = model.widths("hr")
    assert [float(level[:, :width].abs().max()) for level, width in zip(found, widths, strict=True)] == [0.0] * 4
    assert found[0][:, widths[0] :].abs().max() > 0
    with pytest.raises(SampleError, match="Expected features of hr, got s2"):
        levels(model.features(sample(s2=2)), widths_of(model, ("hr",)))


def test_unknown_sources_are_refused(model):
    for wrong in ("hr", (), ("hr", "radar")):
        with pytest.raises(ParameterError, match="Expected sources among hr, s2, s1, fused"):
            widths_of(model, wrong)
