"""Potsdam: tiles in two splits, six exact colours, labels with and without boundaries."""

import shutil

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine
from records import assert_round_trip

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.potsdam import TILES
from skysense_nb.errors import DatasetError, ParameterError

COLORS = {
    "impervious surface": (255, 255, 255),
    "building": (0, 0, 255),
    "low vegetation": (0, 255, 255),
    "tree": (0, 255, 0),
    "car": (255, 255, 0),
    "clutter/background": (255, 0, 0),
}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def stored(path):
    with rasterio.open(path) as file:
        return file.read()


def change(path, values, **profile):
    with rasterio.open(path) as file:
        kept = file.profile
    with rasterio.open(path, "w", **kept | {"count": len(values), "dtype": values.dtype} | profile) as file:
        file.write(values)


def test_what_was_written_is_read(miniature):
    root, truth = miniature("potsdam")
    assert_round_trip([open_benchmark("potsdam", root, split) for split in ("train", "test")], truth)


def test_the_splits_are_24_and_14_tiles_and_verify_counts_them(miniature):
    train, test = (set(TILES[split]) for split in ("train", "test"))
    assert len(train) == 24 and len(test) == 14 and not train & test
    root, _ = miniature("potsdam")
    reader = open_benchmark("potsdam", root)
    assert [record["id"] for record in reader] == ["top_potsdam_2_10", "top_potsdam_6_7"]
    assert "2 of 24 tiles of train" in reader.verify(1).problems


@pytest.mark.parametrize("clutter", ["ignored", "scored"])
def test_every_color_becomes_its_class_and_clutter_what_is_asked(miniature, clutter):
    root, _ = miniature("potsdam")
    reader = open_benchmark("potsdam", root, clutter=clutter)
    colors, mask = stored(root / "5_Labels_all/top_potsdam_2_10_label.tif"), reader[0]["mask"]
    assert mask.dtype == torch.int64
    for name, color in COLORS.items():
        where = (colors == np.array(color)[:, None, None]).all(axis=0)
        (number,) = mask[where].unique().tolist()
        if name == "clutter/background" and clutter == "ignored":
            assert number == 255 and name not in reader.class_names
        else:
            assert reader.class_names[number] == name
    assert len(reader.class_names) == (6 if clutter == "scored" else 5)


def test_boundaries_are_ignored_where_they_are_black_and_nothing_else_changes(miniature):
    root, _ = miniature("potsdam")
    full, eroded = (
        open_benchmark("potsdam", root, boundary=boundary, clutter="scored")[0]["mask"]
        for boundary in ("with", "without")
    )
    black = (stored(root / "5_Labels_all_noBoundary/top_potsdam_2_10_label_noBoundary.tif") == 0).all(axis=0)
    assert 0.02 < black.mean() < 0.5 and not (full == 255).any()
    torch.testing.assert_close(eroded, torch.where(torch.from_numpy(black), 255, full))


def test_black_is_no_class_in_labels_with_boundaries(own_copy):
    root = own_copy("potsdam")
    shutil.copy(
        root / "5_Labels_all_noBoundary/top_potsdam_2_10_label_noBoundary.tif",
        root / "5_Labels_all/top_potsdam_2_10_label.tif",
    )
    with pytest.raises(DatasetError, match=r"in .*top_potsdam_2_10_label.tif, got \(0, 0, 0\)"):
        open_benchmark("potsdam", root)[0]


def test_stray_colors_are_refused_or_ignored(own_copy):
    root = own_copy("potsdam")
    path = root / "5_Labels_all/top_potsdam_2_10_label.tif"
    before, colors = open_benchmark("potsdam", root)[0]["mask"], stored(path)
    colors[:, 100, 90] = (252, 255, 0)
    change(path, colors)
    with pytest.raises(DatasetError, match=r"got \(252, 255, 0\) in 1 of 36864 pixels"):
        open_benchmark("potsdam", root)[0]
    mask = open_benchmark("potsdam", root, other_colors="ignored")[0]["mask"]
    before[100, 90] = 255
    torch.testing.assert_close(mask, before)


def test_infrared_is_the_fourth_channel(miniature):
    root, truth = miniature("potsdam")
    image = open_benchmark("potsdam", root, bands="RGBIR")[0]["hr"]
    assert image.shape == (1, 4, 192, 192) and image.dtype == torch.uint8
    torch.testing.assert_close(image[:, :3], truth["top_potsdam_2_10"]["hr"])
    np.testing.assert_array_equal(image[0], stored(root / "4_Ortho_RGBIR/top_potsdam_2_10_RGBIR.tif"))


def test_a_world_file_tells_where_a_tile_without_crs_lies(own_copy):
    root = own_copy("potsdam")
    plain = open_benchmark("potsdam", root)[1]
    assert "crs" not in plain and plain["transform"].a == 0.3125 and plain["transform"].e == -0.3125
    (root / "2_Ortho_RGB/top_potsdam_6_7_RGB.tfw").write_text("0.05\n0\n0\n-0.05\n366000.025\n5808999.975\n")
    found = open_benchmark("potsdam", root)[1]["transform"]
    assert found.almost_equals(Affine(0.05, 0, 366000, 0, -0.05, 5809000), 1e-6)
    (root / "2_Ortho_RGB/top_potsdam_6_7_RGB.tfw").unlink()
    assert not {"crs", "transform"} & open_benchmark("potsdam", root)[1].keys()


def test_names_may_be_padded_folders_doubled_and_labels_in_the_root(own_copy):
    root = own_copy("potsdam")
    wanted = list(open_benchmark("potsdam", root))
    path = root / "2_Ortho_RGB/top_potsdam_2_10_RGB.tif"
    path.rename(path.with_name("top_potsdam_02_10_RGB.tif"))
    (root / "2_Ortho_RGB").rename(root / "inner")
    (root / "2_Ortho_RGB").mkdir()
    (root / "inner").rename(root / "2_Ortho_RGB" / "2_Ortho_RGB")
    for label in (root / "5_Labels_all").iterdir():
        shutil.move(label, root)
    (root / "5_Labels_all").rmdir()
    found = list(open_benchmark("potsdam", root))
    assert [one["id"] for one in found] == [one["id"] for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one["mask"], other["mask"]) and torch.equal(one["hr"], other["hr"])


def test_tiles_without_labels_or_image_and_tiles_that_are_none_are_named(own_copy):
    root = own_copy("potsdam")
    label, image = root / "5_Labels_all/top_potsdam_6_7_label.tif", root / "2_Ortho_RGB/top_potsdam_6_7_RGB.tif"
    label.rename(root / "away.tif")
    with pytest.raises(DatasetError, match="an image and labels of 6_7, got no …_6_7_label.tif"):
        open_benchmark("potsdam", root)
    (root / "away.tif").rename(label)
    image.rename(root / "away.tif")
    with pytest.raises(DatasetError, match="an image and labels of 6_7, got no top_potsdam_6_7_RGB.tif"):
        open_benchmark("potsdam", root)
    for name, got in (("top_potsdam_9_9_RGB.tif", "none such"), ("top_potsdam_02_10_RGB.tif", "two of that tile")):
        shutil.copy(root / "2_Ortho_RGB/top_potsdam_2_10_RGB.tif", root / "2_Ortho_RGB" / name)
        with pytest.raises(DatasetError, match=f"one of the 38 tiles in the name of .*, got {got}"):
            open_benchmark("potsdam", root)
        (root / "2_Ortho_RGB" / name).unlink()


def test_other_channels_sizes_and_types_are_refused(own_copy):
    root = own_copy("potsdam")
    label, image = root / "5_Labels_all/top_potsdam_2_10_label.tif", root / "2_Ortho_RGB/top_potsdam_2_10_RGB.tif"
    colors, pixels = stored(label), stored(image)
    change(label, colors[:, :96], height=96)
    with pytest.raises(DatasetError, match="3 × 192 × 192 uint8 in .*_label.tif, got 3 × 96 × 192 uint8"):
        open_benchmark("potsdam", root)[0]
    change(label, colors[:1], height=192)
    with pytest.raises(DatasetError, match="3 × 192 × 192 uint8 in .*_label.tif, got 1 × 192 × 192 uint8"):
        open_benchmark("potsdam", root)[0]
    change(image, pixels.astype(np.uint16))
    with pytest.raises(DatasetError, match="3 × 192 × 192 uint8 in .*_RGB.tif, got 3 × 192 × 192 uint16"):
        open_benchmark("potsdam", root)[0]


def test_links_out_of_the_root_are_refused(own_copy, tmp_path):
    root = own_copy("potsdam")
    image = root / "2_Ortho_RGB/top_potsdam_2_10_RGB.tif"
    image.rename(tmp_path / "elsewhere.tif")
    image.symlink_to(tmp_path / "elsewhere.tif")
    with pytest.raises(DatasetError, match="files inside"):
        open_benchmark("potsdam", root)[0]


@pytest.mark.parametrize(
    "options", [{"bands": "IRRG"}, {"boundary": "none"}, {"clutter": "kept"}, {"other_colors": "kept"}]
)
def test_options_that_do_not_exist_are_refused(miniature, options):
    with pytest.raises(ParameterError, match="among"):
        open_benchmark("potsdam", miniature("potsdam")[0], **options)
