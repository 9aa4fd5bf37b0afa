"""ISPRS Potsdam: aerial tiles at 5 cm with six land covers."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

import torch

from skysense_nb.data.benchmarks.color_masks import ids_of_colors
from skysense_nb.data.benchmarks.files import natural, open_raster, read_raster
from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Reader, Record
from skysense_nb.errors import DatasetError, ParameterError

TILES = {
    "train": (
        "2_10", "2_11", "2_12", "3_10", "3_11", "3_12", "4_10", "4_11", "4_12", "5_10", "5_11", "5_12",
        "6_7", "6_8", "6_9", "6_10", "6_11", "6_12", "7_7", "7_8", "7_9", "7_10", "7_11", "7_12",
    ),
    "test": (
        "2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13",
    ),
}  # fmt: skip
"""Row and column of the tiles of the ISPRS challenge. Some leave out 7_10 for faults in its labels (not verified)."""

IMAGES = {"RGB": "2_Ortho_RGB", "RGBIR": "4_Ortho_RGBIR"}
LABELS = {"with": ("5_Labels_all", "label"), "without": ("5_Labels_all_noBoundary", "label_noBoundary")}
CHANNELS = {"RGB": 3, "RGBIR": 4}
BLACK = (0, 0, 0)


class Potsdam(Reader):
    """Potsdam: `2_Ortho_RGB/top_potsdam_2_10_RGB.tif` with `5_Labels_all/top_potsdam_2_10_label.tif`.

    Rows and columns in names may be padded with zeros; a record's `id` is `top_potsdam_2_10` in any case. Where the
    files of a folder lie in a second one of the same name, or labels in the root, they are found too. Tiles are
    6000 × 6000 pixels and given whole. `crs` and `transform` are those of the image, as far as it has them: some have
    a world file instead of a CRS (not verified). Tiles that are not there are no error; `verify` counts them.

    Args:
        root: The folder that holds `2_Ortho_RGB`.
        split: train or test; see `TILES`. That SkySense used this one is not verified.
        bands: `RGB`, or `RGBIR` for four channels from `4_Ortho_RGBIR`, uint8 as well.
        boundary: `with`: labels of all pixels. `without`: labels whose edges between objects are black, which become
            255; scores are higher with these, so say which were used.
        clutter: `ignored`: it becomes 255 and five classes are scored, as in most papers; `scored`: it is class 5.
        other_colors: `refused`, or `ignored`: pixels of colours that are no class become 255, as in mmsegmentation.
    """

    name = "potsdam"
    splits = ("train", "test")

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        bands: str = "RGB",
        boundary: str = "with",
        clutter: str = "ignored",
        other_colors: str = "refused",
    ) -> None:
        choices = {
            "bands": (bands, tuple(IMAGES)),
            "boundary": (boundary, tuple(LABELS)),
            "clutter": (clutter, ("ignored", "scored")),
            "other_colors": (other_colors, ("refused", "ignored")),
        }
        for option, (value, known) in choices.items():
            if value not in known:
                raise ParameterError.of(f"{option} among {', '.join(known)}", repr(value), "Choose one of these.")
        self.bands, self.boundary, self.clutter, self.other_colors = bands, boundary, clutter, other_colors
        super().__init__(root, split)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of ids; with clutter, where it is scored, as the last."""
        clutter = (self.entry.ignored[0].name,) if self.clutter == "scored" else ()
        return (*self.entry.class_names, *clutter)

    def index(self) -> list[str]:
        images, (labels, ending) = IMAGES[self.bands], LABELS[self.boundary]
        self.images = self.tiles(self.root.first(f"{images}/{images}", images), self.bands)
        self.labels = self.tiles(self.root.first(f"{labels}/{labels}", labels, "."), ending)
        found = [tile for tile in TILES[self.split] if tile in self.images or tile in self.labels]
        for tile in found:
            for files, what in ((self.images, f"top_potsdam_{tile}_{self.bands}"), (self.labels, f"…_{tile}_{ending}")):
                if tile not in files:
                    raise DatasetError.of(f"an image and labels of {tile}", f"no {what}.tif", self.root.advice)
        return found

    def tiles(self, folder: Path, ending: str) -> dict[str, Path]:
        """Files of a folder by the tile in their name."""
        found, known = {}, set().union(*TILES.values())
        for path in sorted(folder.glob(f"top_potsdam_*_{ending}.tif"), key=natural):
            numbers = re.fullmatch(rf"top_potsdam_0*(\d+)_0*(\d+)_{ending}\.tif", path.name)
            tile = "_".join(numbers.groups()) if numbers else ""
            if tile not in known or tile in found:
                got = "two of that tile" if tile in found else "none such"
                raise DatasetError.of(f"one of the 38 tiles in the name of {path}", got, "Move the file away.")
            found[tile] = path
        return found

    def read(self, item: str) -> Record:
        image_path, label_path = self.files(item)
        (image, _, place), colors = open_raster(image_path), read_raster(label_path)
        for path, values, channels in ((image_path, image, CHANNELS[self.bands]), (label_path, colors, 3)):
            if values.dtype != "uint8" or values.shape != (channels, *image.shape[1:]):
                wanted = f"{channels} × {image.shape[1]} × {image.shape[2]} uint8 in {path}"
                got = f"{' × '.join(map(str, values.shape))} {values.dtype}"
                raise DatasetError.of(wanted, got, "Get the official file.")
        others = IGNORED if self.other_colors == "ignored" else None
        return {
            "id": f"top_potsdam_{item}",
            "hr": torch.from_numpy(image)[None],
            "hr_date": UNKNOWN_DATE.reshape(1),
            "mask": ids_of_colors(colors, self.ids(), label_path, others),
            **place,
        }

    def ids(self) -> dict[tuple[int, int, int], int]:
        """Class id per colour in the files."""
        clutter = self.entry.ignored[0].code
        ids = {one.code: one.id for one in self.entry.classes}
        ids[clutter] = len(ids) if self.clutter == "scored" else IGNORED
        return ids if self.boundary == "with" else {**ids, BLACK: IGNORED}

    def files(self, item: str) -> list[Path]:
        return [self.root.file(path[item]) for path in (self.images, self.labels)]
