"""The evaluation scores what it is given, on the places it is told."""

import torch
from small_runs import PLACES

from skysense_nb.models import load
from skysense_nb.pretraining.alignment_loss import Alignment
from skysense_nb.pretraining.evaluation import (
    Recall,
    collect,
    evaluate,
    fused_cells,
    raw_pixels,
    recall_of,
    retrieval,
)
from skysense_nb.pretraining.tiles import collate_tiles

KINDS, COVERS = 14, 18


class Tiles(torch.utils.data.Dataset):
    """Places whose labels are known; `noise` decides whether the features tell them."""

    def __init__(self, first, count):
        generator = torch.Generator().manual_seed(first)
        self.kinds = torch.randint(0, 3, (count,), generator=generator)
        self.covers = torch.randint(0, 4, (count, 2, 2), generator=generator)

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, index):
        return {
            "s1": torch.zeros(1, 1, 2, 2, 2),
            "scene_class": self.kinds[index : index + 1],
            "land_cover": self.covers[index : index + 1],
        }


def tell(sample):
    kind = torch.nn.functional.one_hot(sample["scene_class"], KINDS)[:, :, None, None].expand(-1, -1, 2, 2)
    cover = torch.nn.functional.one_hot(sample["land_cover"], COVERS).movedim(-1, 1)
    return torch.cat((10 * kind, cover), dim=1).float()


def test_features_that_tell_everything_score_one():
    score = evaluate(tell, Tiles(0, 60), Tiles(1, 40), neighbours=5)
    assert (score.scene_accuracy, score.land_cover_miou) == (1.0, 1.0)
    assert str(score) == "scene k-NN 100.0%, land-cover mIoU 100.0%"


def test_features_that_tell_nothing_score_about_chance():
    generator = torch.Generator().manual_seed(3)
    score = evaluate(lambda s: torch.randn(len(s["s1"]), 8, 2, 2, generator=generator), Tiles(0, 90), Tiles(1, 90))
    assert 0.15 < score.scene_accuracy < 0.55
    assert score.land_cover_miou < 0.3


def test_cells_and_labels_stay_together():
    pooled, kinds, cells, covers = collect(tell, Tiles(0, 10), batch=4)
    assert torch.equal(cells[:, KINDS:].argmax(1), covers)
    assert torch.equal(pooled[:, :KINDS].argmax(1), kinds)


def test_models_and_raw_pixels_describe_the_same_cells():
    batch = collate_tiles([PLACES[0], PLACES[1]])
    model, _ = load("skysense-tiny")
    with torch.no_grad():
        assert fused_cells(model.train())(batch).shape == (2, 128, 4, 4)
    assert not model.training
    pixels = raw_pixels(batch)
    assert pixels.shape == (2, 3 * 32 * 32 + 3 * 10 + 2 * 2, 4, 4)
    cell = batch["hr"][1, 0, :, 32:64, 96:128].flatten()
    assert torch.equal(pixels[1, : 3 * 32 * 32, 1, 3], cell)
    assert torch.equal(pixels[0, -1, 2, 1], batch["s1"][0, 1, 1, 2, 1])


class Places(torch.utils.data.Dataset):
    """Tiles of which two sensors hold the same number, for a model that gives it back."""

    def __init__(self, count, shuffled):
        self.numbers = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
        self.order = torch.arange(count).roll(1) if shuffled else torch.arange(count)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        one, other = self.numbers[index], self.numbers[self.order[index]]
        sample = {"s2": one.view(1, 1, 6, 1, 1), "s1": other.view(1, 1, 6, 1, 1)}
        return sample | {f"{name}_valid": torch.ones(1, 1, dtype=torch.bool) for name in ("s2", "s1")}


class Echo(torch.nn.Module):
    """Features that are the pixels."""

    device = torch.device("cpu")

    def features(self, sample, cells):
        return type("Made", (), {"cells": {name: sample[name] for name in ("s2", "s1")}})()


def test_retrieval_finds_places_whose_sensors_agree_and_no_others():
    alignment = Alignment(6, common_width=6)
    for projection in alignment.projections.values():
        torch.nn.init.eye_(projection.weight)
    assert retrieval(Echo(), alignment, Places(9, shuffled=False), batch=4) == {"s2-s1": Recall(1.0, 1.0)}
    assert retrieval(Echo(), alignment, Places(9, shuffled=True), batch=4) == {"s2-s1": Recall(0.0, 0.0)}


def test_cells_tell_apart_what_their_mean_does_not():
    one, other = torch.eye(4)[:2]
    places = torch.stack([torch.stack([one, other]), torch.stack([other, one])])
    assert recall_of(places, places) == Recall(by_cells=1.0, by_mean=0.0)
    assert recall_of(places, places.flip(1)) == Recall(by_cells=0.0, by_mean=0.0)
