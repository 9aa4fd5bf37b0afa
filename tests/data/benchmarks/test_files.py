"""Nothing outside the root is read or written, and a broken file is named."""

import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from skysense_nb.data.benchmarks.files import (
    Root,
    as_float,
    read_array,
    read_image,
    read_indices,
    read_json,
    read_lines,
    read_raster,
    read_xml,
    unpack,
)
from skysense_nb.errors import DatasetError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "data" / "images" / "a.txt").write_text("a")
    return Root(tmp_path / "data", where="the publisher")


def test_files_inside_are_found_and_missing_ones_are_named_with_where_to_get_them(root):
    assert root.file("images", "a.txt").read_text() == "a"
    with pytest.raises(DatasetError, match=r"the file images/b.txt in .*, got none. .* from the publisher"):
        root.file("images/b.txt")
    with pytest.raises(DatasetError, match=r"the folder labels in"):
        root.folder("labels")
    assert root.first("no", "images") == root.folder("images")
    with pytest.raises(DatasetError, match=r"no or nor in .*, got none of them"):
        root.first("no", "nor")


@pytest.mark.parametrize("way", ["../secret.txt", "images/../../secret.txt", "{outside}"])
def test_no_path_leads_out(root, tmp_path, way):
    with pytest.raises(DatasetError, match="Expected files inside"):
        root.file(way.format(outside=tmp_path / "secret.txt"))


def test_links_are_followed_inside_and_refused_when_they_lead_out_or_nowhere(root, tmp_path):
    (root.path / "inner.txt").symlink_to(root.path / "images" / "a.txt")
    assert root.file("inner.txt").read_text() == "a"
    (root.path / "outer.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(DatasetError, match="Expected files inside"):
        root.file("outer.txt")
    (root.path / "dangling.txt").symlink_to(root.path / "gone.txt")
    with pytest.raises(DatasetError, match="a link to nothing"):
        root.file("dangling.txt")
    (root.path / "one").symlink_to(root.path / "two")
    (root.path / "two").symlink_to(root.path / "one")
    with pytest.raises(DatasetError, match="Expected a readable one/x.txt, got"):
        root.file("one", "x.txt")


def test_folders_that_are_links_are_followed_inside_and_refused_when_they_lead_out(root, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("secret")
    (root.path / "inner").symlink_to(root.path / "images")
    (root.path / "outer").symlink_to(tmp_path / "other")
    assert root.file("inner", "a.txt").read_text() == "a"
    for path in ("outer/a.txt", "outer/none.txt", "images/../outer/a.txt", "inner/../../secret.txt"):
        with pytest.raises(DatasetError, match="Expected files inside"):
            root.file(path)
    assert root.file("images", "..", "inner", "a.txt").read_text() == "a"


def test_a_folder_that_becomes_a_link_later_is_refused_too(root, tmp_path):
    assert root.file("images", "a.txt").read_text() == "a"
    (root.path / "images").rename(tmp_path / "moved")
    (root.path / "images").symlink_to(tmp_path / "moved")
    with pytest.raises(DatasetError, match="Expected files inside"):
        root.file("images", "a.txt")


def test_names_that_no_disk_can_hold_are_named(root):
    with pytest.raises(DatasetError, match="Expected a readable images/a+, got"):
        root.file("images", 1000 * "a")
    with pytest.raises(DatasetError, match="the file images/a.txt/b.txt in .*, got none"):
        root.file("images", "a.txt", "b.txt")


def test_a_root_may_itself_be_a_link(root, tmp_path):
    (tmp_path / "elsewhere").symlink_to(root.path)
    assert Root(tmp_path / "elsewhere").file("images/a.txt").read_text() == "a"


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_every_kind_of_broken_file_is_named(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
    np.save(tmp_path / "a.npy", np.arange(1000))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    (tmp_path / "a.json").write_text('{"a": [1, 2')
    (tmp_path / "a.xml").write_text("<a><b></a>")
    (tmp_path / "a.tif").write_bytes(b"II*\0 not a tif")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    Image.fromarray(np.random.default_rng(0).integers(0, 16, (64, 64), np.uint8)).save(tmp_path / "a.png")
    for name in ("a.jpg", "a.npy", "a.png"):
        cut_short(tmp_path / name)
    readers = {
        "a.jpg": read_image, "a.npy": read_array, "objects.npy": read_array, "a.json": read_json, "a.xml": read_xml,
        "a.tif": read_raster, "latin.txt": read_lines, "a.png": read_indices,
    }  # fmt: skip
    for name, read in readers.items():
        with pytest.raises(DatasetError, match=f"{name}, got .+\\. .*again"):
            read(tmp_path / name)


def test_xml_that_defines_entities_is_refused(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    (tmp_path / "a.xml").write_text(bomb)
    with pytest.raises(DatasetError, match="got entity definitions"):
        read_xml(tmp_path / "a.xml")


def test_images_are_read_as_colours_whatever_they_are_stored_as(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for mode in ("L", "RGB", "RGBA", "P"):
        Image.fromarray(grey).convert(mode).save(tmp_path / f"{mode}.png")
        assert read_image(tmp_path / f"{mode}.png").tolist() == [grey.tolist()] * 3


def test_an_image_stored_otherwise_than_it_must_be_is_named(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).convert("RGBA").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", stored="RGBA").shape == (3, 4, 4)
    with pytest.raises(DatasetError, match=r"Expected an image of mode RGB at .*a\.png, got RGBA"):
        read_image(tmp_path / "a.png", stored="RGB")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float16, np.float32, np.float64])
def test_rasters_become_floats_with_gaps_where_they_have_no_data_and_stay_as_they_were(dtype):
    values = np.array([[0, 1, 100], [101, 0, 127]], dtype)
    kept = values.copy()
    assert as_float(values).tolist() == [[0, 1, 100], [101, 0, 127]]
    found = as_float(values, nodata=0)
    assert found.dtype == torch.float32
    assert found.isnan().tolist() == [[True, False, False], [False, True, False]]
    assert found.nan_to_num(-1).tolist() == [[-1, 1, 100], [101, -1, 127]]
    np.testing.assert_array_equal(values, kept)


def test_a_palette_is_read_as_its_indices_and_colours_are_refused(tmp_path):
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8) % 16
    image = Image.fromarray(indices)
    image.putpalette([255 - value for value in range(48)])
    image.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_indices(tmp_path / "p.png"), indices)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(DatasetError, match="Expected one band of bytes"):
        read_indices(tmp_path / "rgb.png")


def archive_with(path, name, link=False):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("good.txt", "good")
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if link else 0o100644) << 16
            file.writestr(info, "/etc/passwd" if link else "bad")
    else:
        with tarfile.open(path, "w:gz") as file:
            for each in ("good.txt", name):
                info = tarfile.TarInfo(each)
                if link and each == name:
                    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                    file.addfile(info)
                else:
                    info.size = 3
                    file.addfile(info, io.BytesIO(b"abc"))
    return path


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name, link", [("../evil", False), ("/tmp/evil", False), ("a/../../evil", False), ("l", True)])
def test_an_archive_that_would_write_elsewhere_writes_nothing(tmp_path, ending, name, link):
    archive = archive_with(tmp_path / f"a{ending}", name, link)
    with pytest.raises(DatasetError, match="Expected plain files inside a.* Do not trust"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_a_good_archive_is_unpacked_and_half_of_it_refused(tmp_path, ending):
    archive = archive_with(tmp_path / f"a{ending}", "folder/b.txt")
    assert (unpack(archive, tmp_path / "out") / "folder" / "b.txt").is_file()
    cut_short(archive)
    with pytest.raises(DatasetError, match=r"got .*Download it again"):
        unpack(archive, tmp_path / "again")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(DatasetError, match="got something else"):
        unpack(tmp_path / "text.zip", tmp_path / "again")


def test_an_unreadable_root_is_named(tmp_path):
    with pytest.raises(DatasetError, match="Expected a folder at"):
        Root(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="Expected a folder at"):
        Root(tmp_path / "pipe")
