"""Heads for whole places against their formulas."""

import pytest
import torch

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.models import Features
from skysense_nb.tasks.heads.labels import AttentivePooling, LabelHead, MultiLabelHead

CLASSES = ["forest", "harbour", "village"]


def features(batch=4, width=8, side=3, seed=0):
    cells = torch.randn(batch, width, side, side, generator=torch.Generator().manual_seed(seed))
    return Features(maps={}, fused=cells, pooled=cells.mean((2, 3)), valid=torch.ones(batch, 1).bool())


def test_loss_and_prediction_of_one_class_by_hand():
    head, batch = LabelHead(8, CLASSES), {"label": torch.tensor([0, 2, 1, 1])}
    logits = head(features(), batch)
    by_hand = -torch.stack([logits[row].log_softmax(0)[label] for row, label in enumerate(batch["label"])]).mean()
    assert torch.allclose(head.loss(logits, batch)["label"], by_hand)
    predicted = head.predict(logits, batch)
    assert torch.equal(predicted["label"], logits.argmax(1))
    assert torch.allclose(predicted["label_score"].sum(1), torch.ones(4))


def test_loss_and_prediction_of_several_classes_by_hand():
    head = MultiLabelHead(8, CLASSES)
    truth = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]).bool()
    logits = head(features(), {})
    share = torch.where(truth, logits.sigmoid(), 1 - logits.sigmoid())
    assert torch.allclose(head.loss(logits, {"label": truth})["label"], -share.log().mean())
    assert torch.equal(head.predict(logits, {})["label"], logits > 0)


@pytest.mark.parametrize("kind", [LabelHead, MultiLabelHead])
@pytest.mark.parametrize("pooling", ["mean", "attentive"])
def test_what_is_said_of_a_place_does_not_depend_on_the_others(kind, pooling):
    head, batch = kind(8, CLASSES, pooling).eval(), features()
    alone = Features(maps={}, fused=batch.fused[2:3], pooled=batch.pooled[2:3], valid=batch.valid[2:3])
    assert torch.allclose(head(batch, {})[2:3], head(alone, {}), atol=1e-6)


def test_attentive_pooling_is_the_mean_where_all_cells_attract_alike_and_finds_the_one_that_attracts():
    pooling = AttentivePooling(8)
    with torch.no_grad():
        pooling.query.zero_()
        projected = torch.nn.functional.linear
        cells = features().fused
        tokens = pooling.norm(cells.flatten(2).transpose(1, 2))
        weight, bias = pooling.attention.in_proj_weight[16:], pooling.attention.in_proj_bias[16:]
        mean = pooling.attention.out_proj(projected(tokens, weight, bias).mean(1))
        pooling.attention.in_proj_bias[:8] = 0
        assert torch.allclose(pooling(cells), mean, atol=1e-6)
        assert not torch.allclose(AttentivePooling(8)(cells), mean, atol=1e-3)


def test_order_of_cells_does_not_matter_to_attentive_pooling():
    pooling, cells = AttentivePooling(8), features().fused
    assert torch.allclose(pooling(cells), pooling(cells.flip(2).transpose(2, 3)), atol=1e-6)


def test_a_class_that_the_head_does_not_know_is_named():
    head = LabelHead(8, CLASSES)
    with pytest.raises(SampleError, match=r"Expected class ids from 0 to 2, got \[3\]"):
        head.loss(head(features(), {}), {"label": torch.tensor([0, 3, 1, 1])})
    several = MultiLabelHead(8, CLASSES)
    with pytest.raises(SampleError, match=r"Expected labels of \(4, 3\), got \(4, 19\)"):
        several.loss(several(features(), {}), {"label": torch.zeros(4, 19).bool()})


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ParameterError, match="Expected a pooling among mean, attentive, got 'max'"):
        LabelHead(8, CLASSES, "max")


def test_one_class_in_a_batch_and_a_batch_of_one_train():
    head = LabelHead(8, CLASSES)
    loss = head.loss(head(features(1), {}), {"label": torch.tensor([1])})["label"]
    loss.backward()
    assert loss.isfinite()
    assert all(one.grad.isfinite().all() for one in head.parameters())
