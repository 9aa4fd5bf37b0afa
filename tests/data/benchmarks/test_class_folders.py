"""AID and RESISC-45: folders name classes, shares are drawn once."""

import json
from collections import Counter

import pytest
from records import assert_round_trip

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError, ParameterError

NAMES = ["aid", "resisc45"]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_read(miniature, name):
    root, truth = miniature(name)
    assert_round_trip([open_benchmark(name, root, split) for split in ("train", "test")], truth)


def test_images_come_in_the_order_of_their_numbers(own_copy):
    root = own_copy("aid")
    port = root / "AID" / "Port"
    for number in (10, 11):
        (port / f"port_{number}.jpg").write_bytes((port / "port_2.jpg").read_bytes())
    found = [r["id"] for r in open_benchmark("aid", root, "test", share=0.1) if r["id"].startswith("port")]
    numbers = [int(name.split("_")[1]) for name in found]
    assert numbers == sorted(numbers) and {10, 11} & set(numbers)


def test_every_class_gives_its_share_and_the_rest_is_for_testing(miniature):
    root, truth = miniature("aid")
    for share, count in ((0.2, 1), (0.5, 3)):
        train, test = (open_benchmark("aid", root, split, share=share) for split in ("train", "test"))
        drawn = Counter(record["names"] for record in train)
        assert drawn == {record["names"]: count for record in truth.values()}
        assert len(train) == 3 * count and len(test) == 15 - 3 * count


def test_a_draw_is_kept_beside_the_data_and_another_seed_gives_another(own_copy):
    root = own_copy("aid")
    first = {r["id"] for r in open_benchmark("aid", root, share=0.5)}
    stored = json.loads((root / ".skysense_nb" / "aid-0.5-seed0.json").read_text())
    assert {name.removesuffix(".jpg") for name in stored["train"]} == first
    (root / ".skysense_nb" / "aid-0.5-seed0.json").unlink()
    assert {r["id"] for r in open_benchmark("aid", root, share=0.5)} == first
    assert {r["id"] for r in open_benchmark("aid", root, share=0.5, seed=1)} != first


def test_a_draw_of_other_files_is_refused(own_copy):
    root = own_copy("aid")
    open_benchmark("aid", root)
    (root / "AID" / "Port" / "port_1.jpg").unlink()
    with pytest.raises(DatasetError, match="Expected the 15 samples of .*, got 14 samples"):
        open_benchmark("aid", root)


def test_a_mirror_may_spell_classes_otherwise(own_copy):
    root = own_copy("aid")
    (root / "AID" / "BareLand").rename(root / "AID" / "bare_land")
    assert {r["names"] for r in open_benchmark("aid", root)} == {"Airport", "BareLand", "Port"}


def test_ids_do_not_shift_when_classes_are_missing(miniature):
    root, _ = miniature("resisc45")
    assert {r["names"]: int(r["label"]) for r in open_benchmark("resisc45", root)} == {
        "airport": 1,
        "dense_residential": 11,
        "forest": 13,
    }


def test_what_is_wrong_is_named(own_copy, tmp_path):
    root = own_copy("aid")
    (root / "AID" / "Volcano").mkdir()
    with pytest.raises(DatasetError, match="got a folder Volcano"):
        open_benchmark("aid", root)
    with pytest.raises(DatasetError, match=r"Expected a folder at .*nowhere, got none. Check the root, or get"):
        open_benchmark("aid", tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="Expected a split among train, test, got 'val'"):
        open_benchmark("aid", root, "val")
    with pytest.raises(ParameterError, match="Expected a share between 0 and 1, got 20"):
        open_benchmark("aid", root, share=20)
