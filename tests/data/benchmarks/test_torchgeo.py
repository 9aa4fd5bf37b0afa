"""Samples in the form that torchgeo 0.8.1 was seen to give become records, by the names of bands and classes."""

import numpy as np
import pytest
import torch

from skysense_nb.data.benchmarks.torchgeo import FromTorchgeo
from skysense_nb.errors import ParameterError

SENTINEL = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]


def test_bands_are_found_by_name():
    values = torch.arange(13.0).view(1, 13, 1, 1).expand(2, 13, 4, 4)
    bands = [name.replace("B0", "B") for name in SENTINEL]
    record = FromTorchgeo([{"image": values, "mask": torch.ones(1, 4, 4)}], "oscd", bands)[0]
    assert record["s2"][1, :, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]
    assert record["mask"].shape == (4, 4) and record["mask"].dtype == torch.int64
    assert np.isnat(record["s2_date"]).tolist() == [True, True]


def test_class_ids_are_found_by_name_and_ignored_classes_become_255():
    names = ["Clutter/background", "Impervious surface", "Building", "Low Vegetation", "Tree", "Car"]
    sample = {"image": torch.zeros(4, 2, 3), "mask": torch.tensor([[0, 1, 2], [3, 4, 5]])}
    record = FromTorchgeo([sample], "potsdam", ["R", "G", "B", "NIR"], names)[0]
    assert record["mask"].tolist() == [[255, 0, 1], [2, 3, 4]]
    assert record["hr"].shape == (1, 3, 2, 3) and record["hr"].dtype == torch.uint8


def test_boxes_keep_their_places_and_get_our_ids():
    names = ["dam", "Expressway-Service-area", "airplane"]
    sample = {"image": torch.zeros(3, 8, 8), "bbox_xyxy": torch.tensor([[1, 2, 3, 4]]), "label": torch.tensor([1])}
    record = FromTorchgeo([sample], "dior", "RGB", names)[0]
    assert record["bbox_label"].tolist() == [6] and record["names"] == ("expressway-service-area",)
    assert record["bbox_xyxy"].tolist() == [[1.0, 2, 3, 4]]


def test_what_does_not_fit_is_named():
    with pytest.raises(ParameterError, match="Expected bands R, G, B, got no B"):
        FromTorchgeo([], "aid", ["R", "G"])
    with pytest.raises(ParameterError, match="got 'volcano'"):
        FromTorchgeo([], "aid", "RGB", ["volcano"])
    with pytest.raises(ParameterError, match="Expected one of the sensors hr, s2, s1, got none"):
        FromTorchgeo([], "pastis", ["VV", "VH"])
    with pytest.raises(ParameterError, match="Expected a sensor among hr, got 's1'"):
        FromTorchgeo([], "aid", "RGB", sensor="s1")
