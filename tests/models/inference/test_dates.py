"""Equal dates are found, and samples that have the same are computed together."""

import torch

from skysense_nb.models.inference.dates import distinct, grouped


def test_equal_sums_do_not_make_equal_images():
    images = torch.tensor([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    once, places = distinct(images)
    assert torch.equal(once, images[:3]) and places == [0, 1, 2, 1]


def test_groups_keep_every_valid_date_once_with_its_count():
    valid = {"s2": torch.tensor([[True, True, True], [False, True, True], [True, True, True]])}
    places = {"s2": [0, 0, 1, 2, 3, 4, 4, 5]}
    days = {"s2": torch.tensor([[9, 9, 20], [1, 30, 40], [50, 50, 60]])}
    groups = grouped(places, valid, days, torch.device("cpu"))
    assert [(group.samples, group.counts) for group in groups] == [([0, 2], (2, 1)), ([1], (1, 1))]
    assert groups[0].rows["s2"].tolist() == [[0, 1], [4, 5]] and groups[0].days["s2"].tolist() == [[9, 20], [50, 60]]
    assert groups[1].bias(torch.float32, torch.device("cpu")) is None
    bias = groups[0].bias(torch.float32, torch.device("cpu"))
    assert torch.allclose(bias.exp().flatten(), torch.tensor([1.0, 2.0, 1.0]))


def test_the_same_image_on_two_days_stays_two_dates_where_dates_are_told():
    valid, days = {"s1": torch.ones(1, 2, dtype=torch.bool)}, {"s1": torch.tensor([[3, 4]])}
    told = grouped({"s1": [0, 0]}, valid, days, torch.device("cpu"))
    untold = grouped({"s1": [0, 0]}, valid, {}, torch.device("cpu"))
    assert told[0].counts == (1, 1) and untold[0].counts == (2,)
