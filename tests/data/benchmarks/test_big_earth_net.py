"""BEN-S2 and BEN-MM: bands of three sizes, names that become classes, pairs, shares, and two versions."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from records import assert_round_trip, assert_same

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.errors import DatasetError, EnvironmentProblem, ParameterError
from skysense_nb.sensors import S2

SPLITS = ("train", "val", "test")


def lines(root, split="train"):
    return (root / f"bigearthnet-{split}.csv").read_text().split()


def write_lines(root, *names, split="train"):
    (root / f"bigearthnet-{split}.csv").write_text("\n".join(names))


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("name", ["ben_s2", "ben_mm"])
def test_what_was_written_is_read(miniature, name):
    root, truth = miniature(name)
    assert_round_trip([open_benchmark(name, root, split) for split in SPLITS], truth)


@pytest.mark.parametrize("name", ["ben_s2", "ben_mm"])
def test_without_lists_every_patch_with_a_label_is_read_and_the_others_are_counted(miniature, name):
    root, truth = miniature(name)
    with pytest.warns(UserWarning, match="left out 1 patches without any of the 19 classes"):
        reader = open_benchmark(name, root, "all", lists=False)
    assert_round_trip([reader], truth)


def test_bands_come_in_model_order_and_those_of_20_m_are_repeated_exactly(miniature):
    root, _ = miniature("ben_s2")
    record = open_benchmark("ben_s2", root)[0]
    for number, band in enumerate(S2.bands):
        digits = band[1:].rjust(2, "0")
        folder = root / "BigEarthNet-v1.0" / record["id"]
        with rasterio.open(folder / f"{record['id']}_B{digits}.tif") as file:
            stored = file.read(1).astype(np.float32)
        step = 120 // len(stored)
        assert step == (1 if band in ("B2", "B3", "B4", "B8") else 2)
        found = record["s2"][0, number].numpy()
        for row in range(step):
            for column in range(step):
                np.testing.assert_array_equal(found[row::step, column::step], stored)


def test_backscatter_is_not_rounded_and_vv_comes_before_vh(miniature):
    root, _ = miniature("ben_mm")
    reader = open_benchmark("ben_mm", root)
    backscatter, name = reader[0]["s1"], reader.items[0].s1
    assert (backscatter != backscatter.round()).float().mean() > 0.99
    with rasterio.open(root / "BigEarthNet-S1-v1.0" / name / f"{name}_VV.tif") as file:
        np.testing.assert_array_equal(backscatter[0, 0], file.read(1))
    assert backscatter[0, 0].mean() > backscatter[0, 1].mean()


def test_dates_come_from_names_whose_times_lack_zeros(miniature):
    root, _ = miniature("ben_mm")
    dates = {
        record["id"].split("_")[2]: (str(record["s2_date"][0]), str(record["s1_date"][0]))
        for split in ("train", "val")
        for record in open_benchmark("ben_mm", root, split)
    }
    assert dates["20170924T93020"] == ("2017-09-24", "2017-09-25")
    assert dates["20180204T94161"] == ("2018-02-04", "2018-02-04")


def test_names_on_disk_are_joined_respelt_or_dropped(miniature):
    root, _ = miniature("ben_s2")
    reader = open_benchmark("ben_s2", root)
    record = next(one for one in reader if "T93020" in one["id"])
    on_disk = json.loads(next((root / "BigEarthNet-v1.0" / record["id"]).glob("*.json")).read_text())["labels"]
    assert "Transitional woodland/shrub" in on_disk and "Construction sites" in on_disk
    assert record["names"] == ("Coniferous forest", "Transitional woodland, shrub", "Inland wetlands")
    assert record["label"].nonzero().flatten().tolist() == [9, 13, 15]
    (rice_and_fields,) = open_benchmark("ben_s2", root, "val")
    assert rice_and_fields["label"].dtype == torch.bool and rice_and_fields["label"].sum() == 1


def test_only_the_list_is_opened_before_the_first_sample(own_copy):
    root = own_copy("ben_mm")
    write_lines(root, "S2A_MSIL2A_20170613T101031_9_9,S1A_IW_GRDH_1SDV_20170613T165043_33UUP_9_9")
    reader = open_benchmark("ben_mm", root)
    with pytest.raises(DatasetError, match=r"the file BigEarthNet-v1.0/S2A.*_9_9/.*_9_9_B02.tif"):
        reader[0]


def test_a_listed_patch_without_any_class_is_an_error_that_names_it(own_copy):
    root = own_copy("ben_s2")
    change_json(next((root / "BigEarthNet-v1.0").glob("*T93020*/*.json")), labels=["Airports"])
    with pytest.raises(DatasetError, match="one of the 19 classes for S2B_MSIL2A_20170924T93020_"):
        list(open_benchmark("ben_s2", root))


def test_one_sensor_needs_only_its_own_files(own_copy):
    root = own_copy("ben_mm")
    both = open_benchmark("ben_mm", root)[0]
    shutil.move(root / "BigEarthNet-v1.0", root / "away")
    radar = open_benchmark("ben_mm", root, sensors=("s1",))[0]
    assert_same(radar, {key: value for key, value in both.items() if not key.startswith("s2")})
    shutil.move(root / "away", root / "BigEarthNet-v1.0")
    shutil.rmtree(root / "BigEarthNet-S1-v1.0")
    with pytest.raises(DatasetError, match="the folder BigEarthNet-S1-v1.0"):
        open_benchmark("ben_mm", root)
    write_lines(root, *(line.split(",")[0] for line in lines(root)))  # lists of the optical part alone
    optical = open_benchmark("ben_mm", root, sensors=("s2",))[0]
    assert_same(optical, {key: value for key, value in both.items() if not key.startswith("s1")})


def test_without_lists_pairs_are_those_the_radar_names_and_single_ones_are_counted(own_copy):
    root = own_copy("ben_mm")
    optical, radar = lines(root)[0].split(",")
    other_optical, other_radar = lines(root)[1].split(",")
    shutil.rmtree(root / "BigEarthNet-S1-v1.0" / radar)
    shutil.rmtree(root / "BigEarthNet-v1.0" / other_optical)
    with pytest.warns(UserWarning) as warned:
        reader = open_benchmark("ben_mm", root, "all", lists=False)
    told = str(warned[0].message)
    assert "1 Sentinel-1 patches without their Sentinel-2 patch" in told
    assert "1 Sentinel-2 patches without their Sentinel-1 patch" in told
    assert len(reader) == 2
    copied = shutil.copytree(root / "BigEarthNet-S1-v1.0" / other_radar, root / "BigEarthNet-S1-v1.0" / "another")
    (copied / f"{other_radar}_labels_metadata.json").rename(copied / "another_labels_metadata.json")
    with pytest.raises(DatasetError, match=f"one Sentinel-1 patch for {other_optical}, got .* and another"):
        open_benchmark("ben_mm", root, "all", lists=False)


def test_a_share_is_of_training_only_without_repeats_and_kept(own_copy):
    root = own_copy("ben_s2")
    write_lines(root, *(f"S2A_MSIL2A_20170613T101031_{row}_0,x" for row in range(100)))
    reader = open_benchmark("ben_s2", root, share=0.1)
    drawn = [item.s2 for item in reader.items]
    assert len(drawn) == len(set(drawn)) == 10 and reader.counted() == 100
    stored = json.loads((root / ".skysense_nb" / "ben_s2-0.1-seed0.json").read_text())
    assert set(stored["train"]) == set(drawn)
    assert [item.s2 for item in open_benchmark("ben_s2", root, share=0.1).items] == drawn
    assert [item.s2 for item in open_benchmark("ben_s2", root, share=0.1, seed=1).items] != drawn
    assert len(open_benchmark("ben_s2", root, "val", share=0.1)) == len(lines(root, "val"))


def test_names_that_lead_out_of_the_root_are_refused(own_copy):
    root = own_copy("ben_s2")
    write_lines(root, "../../S2_20170613T1")
    with pytest.raises(DatasetError, match="files inside"):
        open_benchmark("ben_s2", root)[0]


def test_damage_is_named(own_copy):
    root = own_copy("ben_s2")
    name = lines(root)[0].split(",")[0]
    folder = root / "BigEarthNet-v1.0" / name
    table, coarse, fine = (folder / f"{name}_{end}" for end in ("labels_metadata.json", "B05.tif", "B02.tif"))
    change_json(table, labels=["Pastures", "Volcano"])
    with pytest.raises(DatasetError, match=f"names of classes in .*{name}.*, got 'Volcano'"):
        open_benchmark("ben_s2", root)[0]
    change_json(table, labels="Pastures")
    with pytest.raises(DatasetError, match="labels in .*_labels_metadata.json, got none"):
        open_benchmark("ben_s2", root)[0]
    shutil.copy(coarse, fine)
    with pytest.raises(DatasetError, match=r"1 × 120 × 120 pixels in .*_B02.tif, got 1 × 60 × 60"):
        open_benchmark("ben_s2", root)[0]
    coarse.unlink()
    with pytest.raises(DatasetError, match="_B05.tif"):
        open_benchmark("ben_s2", root).files(open_benchmark("ben_s2", root).items[0])
    for wrong in ("S2A_MSIL2A_20170631T101031_1_1", "S2A_MSIL2A_1_1"):
        write_lines(root, wrong)
        with pytest.raises(DatasetError, match=f"a patch name with a date YYYYMMDDT…, got '{wrong}'"):
            open_benchmark("ben_s2", root)[0]


def test_lists_of_one_column_are_refused_where_pairs_are_needed(own_copy):
    root = own_copy("ben_mm")
    write_lines(root, *(line.split(",")[0] for line in lines(root)))
    with pytest.raises(DatasetError, match="lines s2_patch,s1_patch in"):
        open_benchmark("ben_mm", root)


@pytest.mark.parametrize(
    ("split", "options"),
    [
        ("all", {}),
        ("train", {"lists": False}),
        ("all", {"lists": False, "version": "v2"}),
        ("train", {"version": "v3"}),
        ("train", {"share": 10}),
        ("train", {"sensors": "s1"}),
        ("train", {"sensors": ("s1", "hr")}),
        ("train", {"sensors": ()}),
    ],
)
def test_options_that_cannot_be_are_refused(miniature, split, options):
    with pytest.raises(ParameterError):
        open_benchmark("ben_mm", miniature("ben_mm")[0], split, **options)


@pytest.fixture
def second_version(miniature, tmp_path, monkeypatch):
    """Patches of the first version under names of the second, with their table in place of a parquet file."""
    root, truth = miniature("ben_mm")
    rows = []
    for split in SPLITS:
        for optical, radar in (line.split(",") for line in lines(root, split)):
            renamed = optical.replace("MSIL2A_", "").split("_")
            new = f"{renamed[0]}_MSIL2A_{renamed[1]}_N9999_R022_T33UUP_{renamed[2]}_{renamed[3]}"
            places = (("v1.0", "S2", optical, new, 2), ("S1-v1.0", "S1", radar, radar, 3))
            for old_folder, folder, old, name, dropped in places:
                target = tmp_path / f"BigEarthNet-{folder}" / "_".join(name.split("_")[:-dropped]) / name
                target.mkdir(parents=True)
                for path in (root / f"BigEarthNet-{old_folder}" / old).glob("*.tif"):
                    shutil.copy(path, target / path.name.replace(old, name))
            labels = np.array(truth[optical]["names"][::-1], object)
            of = {"val": "validation"}.get(split, split)
            rows.append({"patch_id": new, "s1_name": radar, "split": of, "labels": labels})
            truth = truth | {new: truth[optical] | {"id": new}}
            del truth[optical]
    (tmp_path / "metadata.parquet").touch()
    monkeypatch.setattr(pd, "read_parquet", lambda path, columns: pd.DataFrame(rows)[columns])
    return tmp_path, truth


def test_the_second_version_is_read_from_its_own_folders_and_table(second_version):
    root, truth = second_version
    readers = [open_benchmark("ben_mm", root, split, version="v2") for split in SPLITS]
    assert_round_trip(readers, truth)
    assert readers[0].verify().ok  # counts of version 1 do not apply
    with pytest.raises(DatasetError, match="the folder BigEarthNet-v1.0"):
        open_benchmark("ben_mm", root)


def test_a_share_of_the_second_version_is_kept_apart(second_version):
    root, _ = second_version
    assert len(open_benchmark("ben_mm", root, version="v2", share=0.5)) == 1
    assert (root / ".skysense_nb" / "ben_mm-v2-0.5-seed0.json").exists()


def test_a_missing_parquet_reader_is_said_to_be_missing(second_version, monkeypatch):
    def none(path, columns):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", none)
    with pytest.raises(EnvironmentProblem, match="Expected pyarrow to read metadata.parquet, .* pip install pyarrow"):
        open_benchmark("ben_mm", second_version[0], version="v2")
