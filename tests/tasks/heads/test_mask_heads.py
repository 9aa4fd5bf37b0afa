"""Heads that fill a mask: shapes, losses by hand, what is ignored, and that both dates of a change are alike."""

import pytest
import torch

from skysense_nb.errors import SampleError
from skysense_nb.models import load
from skysense_nb.tasks.heads.levels import widths_of
from skysense_nb.tasks.heads.masks import CellHead, ChangeHead, UPerHead, mask_loss

CLASSES = ["water", "forest", "road"]
MODEL = load("skysense-tiny", weights="random")[0].eval()


def batch_of(count=2, cells=2, dates=1, **truth):
    generator = torch.Generator().manual_seed(1)
    hr = torch.randn(count, dates, 3, 32 * cells, 32 * cells, generator=generator)
    return {"hr": hr, "hr_day": torch.zeros(count, dates).long(), **truth}


def features_of(batch):
    with torch.no_grad():
        return MODEL.features(batch)


def uper(**options):
    torch.manual_seed(0)
    return UPerHead(widths_of(MODEL, ("hr",)), CLASSES, channels=8, auxiliary=8, **options)


def test_loss_is_the_mean_over_known_pixels_of_both_decoders():
    mask = torch.randint(0, 3, (2, 64, 64))
    mask[:, :20] = 255
    batch = batch_of(mask=mask)
    head = uper().train()
    outputs = head(features_of(batch), batch)
    assert [tuple(logits.shape) for logits in outputs] == [(2, 3, 16, 16), (2, 3, 4, 4)]
    terms = head.loss(outputs, batch)
    for logits, value in zip(outputs, (terms["mask"], terms["auxiliary"] / 0.4), strict=True):
        grown = torch.nn.functional.interpolate(logits, (64, 64), mode="bilinear")
        chosen = grown.log_softmax(1).gather(1, mask.clamp(max=2)[:, None])[:, 0]
        assert torch.allclose(value, -chosen[mask != 255].mean(), atol=1e-5)


def test_predictions_have_the_size_of_the_mask_and_without_one_of_the_image():
    head, batch = uper().eval(), batch_of()
    outputs = head(features_of(batch), batch)
    assert len(outputs) == 1
    assert head.predict(outputs, batch)["mask"].shape == (2, 64, 64)
    assert head.predict(outputs, batch | {"mask": torch.zeros(2, 50, 40).long()})["mask"].shape == (2, 50, 40)
    predicted = head.predict(outputs, batch)
    assert (predicted["mask_score"] >= 1 / 3).all()


def test_a_mask_in_which_nothing_is_known_trains_nothing_and_breaks_nothing():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = mask_loss(logits, torch.full((1, 4, 4), 255))
    loss.backward()
    assert loss == 0
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("kind", ["uper", "cells"])
def test_a_class_that_the_head_does_not_know_is_named(kind):
    batch = batch_of(mask=torch.full((2, 64, 64), 3))
    head = uper() if kind == "uper" else CellHead(MODEL.width, CLASSES)
    with pytest.raises(SampleError, match=r"Expected class ids from 0 to 2, got \[3\]"):
        head.loss(head(features_of(batch), batch), batch)


@pytest.mark.parametrize("kind", ["uper", "cells"])
def test_a_prediction_does_not_depend_on_the_other_images(kind):
    batch = batch_of(count=3)
    head = (uper() if kind == "uper" else CellHead(MODEL.width, CLASSES)).eval()
    features, alone = features_of(batch), features_of({name: value[1:2] for name, value in batch.items()})
    together = head.predict(head(features, batch), batch)["mask_score"][1]
    single = head.predict(head(alone, batch), batch)["mask_score"][0]
    assert torch.allclose(together, single, atol=1e-5)


def test_every_parameter_of_a_head_learns():
    batch = batch_of(mask=torch.randint(0, 3, (2, 64, 64)))
    for head in (uper(dropout=0.0), CellHead(MODEL.width, CLASSES)):
        terms = head.train().loss(head(features_of(batch), batch), batch)
        sum(terms.values()).backward()
        still = [name for name, one in head.named_parameters() if one.grad is None or not one.grad.abs().max() > 0]
        assert still == []


def change_head():
    torch.manual_seed(0)
    return ChangeHead(widths_of(MODEL, ("hr",)), ["unchanged", "changed"], channels=8, auxiliary=0).eval()


def test_swapping_the_dates_of_a_change_changes_nothing():
    batch, head = batch_of(dates=2), change_head()
    swapped = batch | {"hr": batch["hr"].flip(1)}
    one, other = (head(features_of(pair), pair)[0] for pair in (batch, swapped))
    assert torch.allclose(one, other, atol=1e-5)
    assert one.std() > 0


def test_where_both_dates_are_equal_a_change_head_sees_the_same_whatever_is_there():
    head = change_head()
    outputs = []
    for seed in (1, 2):
        image = torch.randn(1, 1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
        pair = {"hr": image.repeat(1, 2, 1, 1, 1), "hr_day": torch.zeros(1, 2).long()}
        outputs.append(head(features_of(pair), pair)[0])
    assert torch.allclose(*outputs, atol=1e-6)


def test_a_pair_needs_two_dates():
    batch = batch_of(dates=1)
    with pytest.raises(SampleError, match="Expected at least 2 dates of hr, got 1"):
        change_head()(features_of(batch), batch)
