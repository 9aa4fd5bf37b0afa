"""Saved predictions are those that were made, and lie where the data lie."""

import csv
import json

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasterio.crs import CRS

from skysense_nb.errors import DatasetError
from skysense_nb.tasks.saving import save_predictions

CLASSES = ("water", "road", "forest")
PLACE = {
    "crs": [CRS.from_epsg(32632), None],
    "transform": [Affine(10, 0, 500_000, 0, -10, 4_000_000), None],
    "grid": [(8, 16), (8, 16)],
}


def test_masks_lie_on_the_ground_of_their_record(tmp_path):
    mask = torch.randint(0, 3, (2, 16, 32))
    files = save_predictions([({"mask": mask}, {"id": ["a/1", "b"], **PLACE})], CLASSES, tmp_path / "answers")
    assert [path.name for path in files] == ["a_1.tif", "b.tif"]
    with rasterio.open(files[0]) as file:
        assert np.array_equal(file.read(1), mask[0].numpy())
        assert file.bounds == (500_000, 4_000_000 - 80, 500_000 + 160, 4_000_000)
        assert file.crs.to_epsg() == 32632
        assert file.tags(1)["class_1"] == "road"
    with rasterio.open(files[1]) as file:
        assert np.array_equal(file.read(1), mask[1].numpy())
        assert file.crs is None


def test_labels_become_a_table(tmp_path):
    one = {"label": torch.tensor([2, 0]), "label_score": torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])}
    (path,) = save_predictions([(one, {"id": ["x", "y"]})], CLASSES, tmp_path / "one")
    with path.open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "predicted", *CLASSES]
    assert rows[1] == ["x", "forest", "0.1000", "0.2000", "0.7000"]
    several = {"label": torch.tensor([[True, False, True]]), "label_score": torch.tensor([[0.9, 0.2, 0.7]])}
    (path,) = save_predictions([(several, {"id": ["x"]})], CLASSES, tmp_path / "several")
    assert path.read_text().splitlines()[1] == "x,water; forest,0.9000,0.2000,0.7000"


def test_boxes_become_results_as_coco_has_them(tmp_path):
    upright = {
        "bbox_xyxy": [torch.tensor([[10.0, 20, 15, 40]]), torch.zeros(0, 4)],
        "bbox_label": [torch.tensor([1]), torch.zeros(0).long()],
        "bbox_score": [torch.tensor([0.75]), torch.zeros(0)],
    }
    (path,) = save_predictions([(upright, {"id": ["x", "empty"]})], CLASSES, tmp_path / "upright")
    (row,) = json.loads(path.read_text())
    assert (row["image_id"], row["category"], row["score"]) == ("x", "road", 0.75)
    assert row["bbox"] == [10, 20, 5, 20]
    turned = {
        "bbox_corners": [torch.tensor([[[5.0, 0], [10, 5], [5, 10], [0, 5]]])],
        "bbox_label": [torch.tensor([2])],
        "bbox_score": [torch.tensor([0.5])],
    }
    (path,) = save_predictions([(turned, {"id": ["x"]})], CLASSES, tmp_path / "turned")
    (row,) = json.loads(path.read_text())
    assert row["bbox"] == [0, 0, 10, 10]
    assert row["segmentation"] == [[5, 0, 10, 5, 5, 10, 0, 5]]


def test_nothing_is_left_where_a_prediction_fails_and_nothing_is_overwritten(tmp_path):
    def failing():
        yield {"mask": torch.zeros(1, 4, 4).long()}, {"id": ["a"]}
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        save_predictions(failing(), CLASSES, tmp_path / "answers")
    assert list(tmp_path.iterdir()) == []
    save_predictions([], CLASSES, tmp_path / "answers")
    with pytest.raises(DatasetError, match="Expected a new folder"):
        save_predictions([], CLASSES, tmp_path / "answers")
