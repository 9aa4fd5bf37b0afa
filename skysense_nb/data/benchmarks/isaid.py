"""iSAID: masks of 15 kinds of object, in whole aerial images or in the patches they are usually cut into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skysense_nb.data.benchmarks.color_masks import ids_of_colors, packed
from skysense_nb.data.benchmarks.files import natural, read_image, read_indices
from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Reader, Record
from skysense_nb.errors import DatasetError, ParameterError

COLOR, INSTANCE = "_instance_color_RGB", "_instance_id_RGB"
FIRST_INSTANCE = 1000
"""Smaller numbers are no objects."""


class ISAID(Reader):
    """iSAID: `{train,val,test}/images/P0002.png` with `P0002_instance_color_RGB.png`, or patches of these.

    Masks lie beside the images, or, as their archives unpack, in `<split>/Semantic_masks/images` and
    `<split>/Instance_masks/images`; test has none. Patches, as mmsegmentation cuts them, lie as
    `img_dir/<split>/P0002_y0_y1_x0_x1.png` and `ann_dir/<split>/P0002_y0_y1_x0_x1_instance_color_RGB.png`; their masks
    hold ids, and 255 in what was added on the right and below. See `crop_windows`.

    Masks name a class by its exact colour; a colour that is no class is an error. Beware: some published converters
    swap the colours of storage tank and roundabout.

    Args:
        root: The folder that holds the splits, or one above it called `iSAID`.
        split: train, val or test.
        background: `scored`: background is class 0, one of 16, as SkySense scores it; `ignored`: it becomes 255, as
            other papers do, and the ids of the other classes stay.
        instances: Whole images only: also `instance`, H W int64, the number of each object, 0 where there is none.
        patches: Folder inside the root that holds `img_dir` and `ann_dir`; None: whole images where they are there,
            else patches in the root itself.
    """

    name = "isaid"

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        background: str = "scored",
        instances: bool = False,
        patches: str | None = None,
    ) -> None:
        if background not in ("scored", "ignored"):
            raise ParameterError.of("background scored or ignored", repr(background), "Choose one of these.")
        self.background, self.instances, self.given = background, instances, patches
        super().__init__(root, split)

    def index(self) -> list[str]:
        self.lay_out()
        names = {path.name.removesuffix(".png") for path in self.root.folder(self.images).glob("*.png")}
        images = {name for name in names if not name.endswith((COLOR, INSTANCE))}
        if self.split != "test":
            folder = self.root.folder(self.masks)
            masks = {path.name.removesuffix(f"{COLOR}.png") for path in folder.glob(f"*{COLOR}.png")}
            for alone, of, kind in ((images - masks, self.masks, COLOR), (masks - images, self.images, "")):
                if alone:
                    missing = f"{of}/{min(alone)}{kind}.png"
                    raise DatasetError.of(f"an image and a mask of each, and so {missing}", "none", self.root.advice)
        return sorted(images, key=natural)

    def lay_out(self) -> None:
        """Finds out which of the layouts this is."""
        top = self.root.name(self.root.first("iSAID", "."))
        whole = f"{top}/{self.split}/images"
        flat = self.root.inside(top, "img_dir").exists() and not self.root.inside(whole).exists()
        self.cut = self.given is not None or flat
        if self.cut and self.instances:
            raise ParameterError.of("instances of whole images", "patches, which have none", "Leave one of them out.")
        if self.cut:
            top = self.given or top
            self.images, self.masks = f"{top}/img_dir/{self.split}", f"{top}/ann_dir/{self.split}"
            return
        self.images = whole
        self.masks, self.numbers = (
            self.root.name(self.root.first(f"{top}/{self.split}/{kind}_masks/images", whole))
            for kind in ("Semantic", "Instance")
        )

    def read(self, item: str) -> Record:
        image = read_image(self.root.file(self.images, f"{item}.png"))
        record: Record = {"id": item, "hr": image[None], "hr_date": UNKNOWN_DATE.reshape(1)}
        if self.split == "test":
            return record
        path = self.root.file(self.masks, f"{item}{COLOR}.png")
        record["mask"] = fitting(self.read_ids(path) if self.cut else self.read_colors(path), image, path)
        if self.background == "ignored":
            record["mask"][record["mask"] == 0] = IGNORED
        if self.instances:
            path = self.root.file(self.numbers, f"{item}{INSTANCE}.png")
            record["instance"] = fitting(read_instances(path), image, path)
        return record

    def read_colors(self, path: Path) -> Tensor:
        """Ids of a mask in colours."""
        ids = {one.code: one.id for one in self.entry.classes}
        return ids_of_colors(read_image(path).numpy(), ids, path)

    def read_ids(self, path: Path) -> Tensor:
        """Ids of a mask that holds them as numbers of a palette."""
        values = read_indices(path)
        if (wrong := values[(values >= len(self.class_names)) & (values != IGNORED)]).size:
            got = f"{wrong[0]}"
            raise DatasetError.of(f"ids 0–15 or {IGNORED} in {path}", got, "Cut the patches again.")
        return torch.from_numpy(values.astype(np.int64))

    def files(self, item: str) -> list[Path]:
        labelled = self.split != "test"
        masks = [self.root.file(self.masks, f"{item}{COLOR}.png")] if labelled else []
        numbers = [self.root.file(self.numbers, f"{item}{INSTANCE}.png")] if labelled and self.instances else []
        return [self.root.file(self.images, f"{item}.png"), *masks, *numbers]


def read_instances(path: Path) -> Tensor:
    """Numbers of objects, H W int64."""
    numbers = packed(read_image(path).numpy())
    numbers[numbers < FIRST_INSTANCE] = 0
    return torch.from_numpy(numbers.astype(np.int64))


def fitting(mask: Tensor, image: Tensor, path: Path) -> Tensor:
    """The mask, if it has the size of the image."""
    if mask.shape != image.shape[1:]:
        wanted, got = (" × ".join(map(str, shape)) for shape in (image.shape[1:], mask.shape))
        raise DatasetError.of(f"{wanted} pixels in {path}, as in its image", got, "Unpack both again.")
    return mask


def crop_windows(height: int, width: int, side: int = 896, overlap: int = 384) -> list[tuple[int, int, int, int]]:
    """Windows that images are cut into as in the converter of mmsegmentation, which SkySense's configuration uses.

    Windows step by `side - overlap`; one that would leave the image is moved back into it. An image smaller than a
    window is filled up on the right and below, by 0 and its mask by 255; here this is also so where only one side is
    smaller and the other is exactly `side`, which the converter leaves out.

    Args:
        height: Of the image in pixels.
        width: Of the image in pixels.
        side: Of a window in pixels.
        overlap: Of neighbouring windows in pixels.

    Returns:
        (y0, y1, x0, x1), as in the names of patches, each once, from left to right and then from top to bottom.

    Raises:
        ParameterError: An overlap that is not smaller than a window.

    Example:
        >>> crop_windows(800, 1000)
        [(0, 896, 0, 896), (0, 896, 104, 1000)]
    """
    if not 0 <= overlap < side:
        raise ParameterError.of(f"an overlap of 0 to {side - 1} pixels", f"{overlap}", "The usual one is 384 of 896.")
    tops, lefts = (
        sorted({min(start, max(size - side, 0)) for start in range(0, max(size, side), side - overlap)})
        for size in (height, width)
    )
    return [(top, top + side, left, left + side) for top in tops for left in lefts]
