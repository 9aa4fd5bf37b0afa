"""The evaluation scores what it is given, on the places it is told."""

import torch
from small_runs import PLACES

from skysense_nb.models import load
from skysense_nb.pretraining.evaluation import collect, evaluate, fused_cells, raw_pixels
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
