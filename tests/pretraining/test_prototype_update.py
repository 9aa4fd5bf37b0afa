"""Prototypes follow the cells of their own region, without gradient, until the bank is full."""

import pytest
import torch

from skysense_nb.models.geo_context import GeoContext, GeoContextConfig, region_of
from skysense_nb.pretraining.assignment import sinkhorn
from skysense_nb.pretraining.prototype_update import open_slot, start_usage, update_prototypes

MUNICH, LAGOS, QUITO = (11.6, 48.1), (3.4, 6.5), (-78.5, -0.2)


def make_bank(regions=3, prototypes=4, width=6, cells=6):
    torch.manual_seed(0)
    return GeoContext(GeoContextConfig(regions, prototypes, width), width=cells)


def make_cells(*places, width=6, count=8, seed=0):
    """Cells B N D at places given in degrees."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(len(places), count, width, generator=g), torch.tensor(places)


def known_bank(*places, **sizes):
    """A bank of random prototypes that already knows some places."""
    bank = make_bank(**sizes)
    bank.bank.normal_()
    bank.region_ids[: len(places)] = region_of(torch.tensor(places))
    return bank


def test_equals_the_printed_steps_divided_by_the_column_sums():
    bank, (cells, lonlat) = known_bank(LAGOS, MUNICH), make_cells(MUNICH, LAGOS, MUNICH)
    before = bank.bank.clone()
    update_prototypes(bank, cells, lonlat, momentum=0.7)
    for slot, samples in ((0, [1]), (1, [0, 2])):
        own = torch.cat([cells[sample] for sample in samples])
        cosine = torch.stack([torch.cosine_similarity(cell[None], before[slot], dim=1) for cell in own])
        share = sinkhorn(cosine)
        for k in range(4):
            mean = sum(share[n, k] * own[n] for n in range(len(own))) / share[:, k].sum()
            assert torch.allclose(bank.bank[slot, k], 0.7 * before[slot, k] + 0.3 * mean, atol=1e-5)
    assert torch.equal(bank.bank[2], before[2])


def test_momentum_one_keeps_and_momentum_zero_replaces():
    bank, (cells, lonlat) = known_bank(MUNICH), make_cells(MUNICH)
    before = bank.bank.clone()
    update_prototypes(bank, cells, lonlat, momentum=1.0)
    assert torch.allclose(bank.bank, before)
    bank.bank[0] = 100 * before[0]
    update_prototypes(bank, cells, lonlat, momentum=0.0)
    assert bank.bank[0].abs().max() <= cells.abs().max()


def test_a_new_region_takes_a_slot_and_starts_among_its_own_cells():
    bank, (cells, lonlat) = known_bank(LAGOS), make_cells(MUNICH)
    report = update_prototypes(bank, cells, lonlat)
    assert (report.known, report.new, report.refused) == (2, 1, 0)
    assert bank.slots(lonlat).tolist() == [1]
    assert (bank.bank[1] <= cells[0].amax(0) + 1e-6).all() and (bank.bank[1] >= cells[0].amin(0) - 1e-6).all()
    assert update_prototypes(bank, cells, lonlat).new == 0


def test_prototypes_of_a_new_region_differ_even_where_cells_are_few():
    bank = make_bank(prototypes=10)
    update_prototypes(bank, *make_cells(MUNICH, count=3))
    assert torch.pdist(bank.bank[0]).min() > 1e-3


def test_a_full_bank_ignores_new_regions_and_counts_them():
    bank, (cells, lonlat) = known_bank(LAGOS, MUNICH, regions=2), make_cells(QUITO, LAGOS)
    before = bank.bank.clone()
    report = update_prototypes(bank, cells, lonlat)
    assert (report.known, report.new, report.refused) == (2, 0, 1)
    assert "1 refused (the bank is full)" in str(report)
    assert torch.equal(bank.bank[1], before[1]) and not torch.equal(bank.bank[0], before[0])
    assert open_slot(bank, 5, cells[0]) == -1


def test_the_order_of_samples_and_cells_does_not_matter():
    one, other = known_bank(LAGOS, MUNICH), known_bank(LAGOS, MUNICH)
    cells, lonlat = make_cells(MUNICH, LAGOS, MUNICH)
    update_prototypes(one, cells, lonlat)
    update_prototypes(other, cells.flip(0, 1), lonlat.flip(0))
    assert torch.allclose(one.bank, other.bank, atol=1e-6)


def test_wider_cells_pass_the_banks_query():
    bank, (cells, lonlat) = known_bank(MUNICH, cells=9), make_cells(MUNICH, width=9)
    same = known_bank(MUNICH)
    same.bank.copy_(bank.bank)
    update_prototypes(bank, cells, lonlat)
    update_prototypes(same, (cells @ bank.query.weight.T).detach(), lonlat)
    assert torch.allclose(bank.bank, same.bank, atol=1e-6)


def test_repeated_updates_find_the_kinds_of_cells():
    bank, kinds = make_bank(prototypes=3), torch.eye(3, 6)
    g = torch.Generator().manual_seed(0)
    for _ in range(60):
        cells = kinds.repeat(5, 1)[None] + 0.05 * torch.randn(1, 15, 6, generator=g)
        update_prototypes(bank, cells, torch.tensor([MUNICH]), momentum=0.8)
    cosine = torch.cosine_similarity(bank.bank[0][:, None], kinds[None], dim=2)
    assert sorted(cosine.argmax(1).tolist()) == [0, 1, 2] and cosine.amax(1).min() > 0.98


def test_used_and_dead_prototypes_are_counted_over_visits():
    bank, usage = known_bank(MUNICH, prototypes=6), start_usage(make_bank(prototypes=6))
    bank.bank[0] = torch.eye(6)
    here = torch.tensor([MUNICH])
    first = update_prototypes(bank, torch.eye(6)[None, [0, 1]], here, momentum=1.0, usage=usage)
    assert (first.used, first.dead) == (2, 4)
    second = update_prototypes(bank, torch.eye(6)[None, [2, 3]], here, momentum=1.0, usage=usage)
    assert (second.used, second.dead) == (4, 2)
    assert torch.allclose(usage[0], torch.tensor([0.45, 0.45, 0.05, 0.05, 0.0, 0.0]))
    for _ in range(40):
        last = update_prototypes(bank, torch.eye(6)[None, [2, 3]], here, momentum=1.0, usage=usage)
    assert (last.used, last.dead) == (2, 4)
    assert update_prototypes(bank, torch.eye(6)[None], here, momentum=1.0).used == 6


def test_nothing_gets_a_gradient():
    bank, (cells, lonlat) = make_bank(cells=9), make_cells(MUNICH, width=9)
    cells.requires_grad_()
    update_prototypes(bank, cells, lonlat)
    assert not bank.bank.requires_grad and bank.query.weight.grad is None and cells.grad is None


@pytest.mark.parametrize("cells_dtype", [torch.bfloat16, torch.float32])
def test_autocast_does_not_change_the_arithmetic(cells_dtype):
    one, other = known_bank(MUNICH, cells=9), known_bank(MUNICH, cells=9)
    cells, lonlat = make_cells(MUNICH, width=9)
    cells = cells.to(cells_dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        update_prototypes(one, cells, lonlat)
    update_prototypes(other, cells, lonlat)
    assert torch.equal(one.bank, other.bank)
