"""Counts against the papers' tables and against arithmetic by hand."""

import pytest

from skysense_nb.models import preset
from skysense_nb.models.counts import (
    count,
    expert_backbone_in_millions,
    on_meta,
    parts_in_millions,
    published_table,
    published_table_v2,
)


def test_encoders_reproduce_the_published_total_exactly():
    rows = {row.part: row for row in published_table()}
    assert round(rows["encoders without tokenisers"].ours, 2) == 1260.31
    assert rows["fusion, heads and dates"].gap == pytest.approx(0.39, abs=0.01)
    assert rows["prototypes"].ours == pytest.approx(4096 * 100 * 512 / 1e6)
    assert rows["fusion transformer"].gap is None


def test_parts_by_hand():
    parts = parts_in_millions(preset("skysense"))
    layer = 4 * 1024**2 + 4 * 1024 + 8 * 1024**2 + 5 * 1024 + 4 * 1024  # attention, feed-forward, two norms
    parts = {name: round(millions * 1e6) for name, millions in parts.items()}
    assert parts["fusion"] == 24 * layer + 2816 * 1024 + 1024 + 1024
    assert parts["head_s2"] == (1024 + 1) * 2816 * 16
    assert parts["dates"] == 365 * 2816


def test_eight_experts_add_exactly_what_the_paper_adds():
    dense, mixture = (count(on_meta(preset(name))) for name in ("skysense-v2", "skysense-v2-moe"))
    assert mixture - dense == 1_332_700_160
    assert round(1994.10 - 661.40, 2) == round((mixture - dense) / 1e6, 2)


def test_other_numbers_of_experts_match_as_far_as_they_are_printed():
    assert round(expert_backbone_in_millions(4) / 1000, 2) == 1.23
    assert round(expert_backbone_in_millions(16) / 1000, 2) == 3.52


def test_v2_table_names_every_gap():
    rows = {row.part: row for row in published_table_v2()}
    assert rows["backbone, what is published of it"].gap == pytest.approx(-6.69, abs=0.005)
    assert round(rows["backbone with our choices"].ours, 2) == 661.40
    assert round(rows["backbone, 8 experts"].ours, 2) == 1994.10
    assert round(rows["tokenisers"].ours, 2) == 0.09
    assert rows["modality prompts"].ours * 1e6 == 3 * 4 * (1408 + 2816)
    assert rows["modality prompts"].gap == pytest.approx(-9.89, abs=0.005)
    assert all(row.gap is not None and row.note for row in rows.values())


def test_v2_core_by_hand():
    """Swin V2 and plain blocks, merging, and stored position buffers, from the widths alone."""
    total = 0
    for stage, (depth, width) in enumerate(zip((2, 2, 18, 2), (352, 704, 1408, 2816), strict=True)):
        feed_forward = 8 * width**2 + 5 * width
        if stage < 2:
            heads = width // 32
            position_network = 2 * 512 + 512 + 512 * heads
            attention = 3 * width**2 + 2 * width + heads + width**2 + width + position_network
            buffers = 15 * 15 * 2 + 64 * 64
        else:
            attention, buffers = 4 * width**2 + 4 * width, 0
        total += depth * (attention + feed_forward + 4 * width + buffers)
        total += (2 * width * width + 2 * width) if stage else 0  # 4C → 2C without bias, norm of 2C
    published = next(row for row in published_table_v2() if row.part == "backbone, what is published of it")
    assert round(published.ours * 1e6) == total
    assert round(total / 1e6, 2) == 654.71
