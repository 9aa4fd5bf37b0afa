"""fMoW-Sentinel: Sentinel-2 composites of 62 kinds of building and land use, many dates of each place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skysense_nb.data.benchmarks.files import open_raster
from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.data.benchmarks.shares import class_share
from skysense_nb.errors import DatasetError, ParameterError

BANDS_ON_DISK = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
BANDS_READ = tuple(n for n, band in enumerate(BANDS_ON_DISK, start=1) if band not in ("B1", "B9", "B10"))
COLUMNS = ("category", "location_id", "image_id", "timestamp")


class FMoWS2(Reader):
    """fMoW-S2: `fmow-sentinel/<split>/<category>/<category>_<location>/<category>_<location>_<image>.tif`.

    The lists `train.csv`, `val.csv` and `test_gt.csv` lie beside or inside `fmow-sentinel`. They hold no path: it is
    made of category, location and image. Locations are counted anew in every category and every split, so a record's
    `id` begins with the split, as in `val/airport_0_12`. Of 13 bands ten are given, without B1, B9 and B10. Sizes
    differ from image to image and are left as they are. An image is a composite of 90 days around its date.

    Not verified on real files: whether values are stored as whole numbers, the tail of the timestamps (only the day is
    read), and whether the folder of the test split is called `test_gt`.

    Args:
        root: The folder that holds `fmow-sentinel`.
        split: train, val or test_gt.
        share: Of the training list, drawn once with `seed` and written beside the data: the same share of the
            locations of every category, with all their images, since images of one place resemble each other. Other
            splits are always whole.
        seed: Of the draw.
        series: One record per location, with all its dates in ascending order, instead of one per image. Images of a
            location differ by a few pixels; they are cut to what all have, from the upper left (our choice), and
            `crs` and `transform` are those of the first date.
    """

    name = "fmow_s2"
    splits = ("train", "val", "test_gt")

    def __init__(
        self, root: str | Path, split: str = "train", share: float = 1.0, seed: int = 0, series: bool = False
    ) -> None:
        if not 0 < share <= 1:
            raise ParameterError.of("a share above 0 and up to 1", f"{share}", "Use 1 for all of it.")
        self.share, self.seed, self.series = share, seed, series
        super().__init__(root, split)

    def index(self) -> range:
        """Reads the list and looks at no image: 700,000 rows stay in four arrays, and an item is a row, or a place."""
        self.root.folder("fmow-sentinel", self.split)
        path = self.root.first(f"{self.split}.csv", f"fmow-sentinel/{self.split}.csv")
        rows = self.read_list(path)
        self.listed = len(rows)
        places = rows.groupby(["label", "location_id"], sort=True)
        if self.share < 1 and self.split == "train":
            classes = {self.place(*key): key[0] for key in sorted(places.indices)}
            drawn = class_share(self.root, self.name, classes, self.share, self.seed)
            rows = rows[np.array([name in drawn for name in classes])[places.ngroup()]]
            places = rows.groupby(["label", "location_id"], sort=True)
        self.labels, self.locations, self.images = (rows[key].to_numpy() for key in ("label", *COLUMNS[1:3]))
        self.dates = rows["date"].to_numpy().astype("datetime64[D]")
        self.series_rows = [rows for _, rows in sorted(places.indices.items())] if self.series else []
        return range(len(self.series_rows) if self.series else len(rows))

    def read_list(self, path: Path) -> pd.DataFrame:
        """Rows as label, location_id, image_id and date."""
        try:
            kinds = {"category": str, "location_id": np.int64, "image_id": np.int64, "timestamp": str}
            rows = pd.read_csv(path, usecols=list(COLUMNS), dtype=kinds, keep_default_na=False)
        except (ValueError, OSError) as error:  # parser errors of pandas are ValueErrors
            wanted = f"{', '.join(COLUMNS)}, with whole numbers as ids, in {path}"
            raise DatasetError.of(wanted, str(error), "Get the official list.") from error
        ids = {name: number for number, name in enumerate(self.class_names)}
        rows["label"] = rows["category"].map(ids)
        rows["date"] = pd.to_datetime(rows["timestamp"].str[:10], format="%Y-%m-%d", errors="coerce")
        wanted = {"label": ("a category", "category"), "date": ("a timestamp that begins YYYY-MM-DD", "timestamp")}
        for key, (expected, column) in wanted.items():
            if (wrong := rows[key].isna()).any():
                row = int(wrong.argmax())
                got = f"{rows[column][row]!r} in row {row + 1}"
                raise DatasetError.of(f"{expected} in {path}", got, "Get the official list.")
        return rows[["label", "location_id", "image_id", "date"]].astype({"label": np.int64})

    def counted(self) -> int:
        return self.listed

    def place(self, label: int, location: int) -> str:
        """Name of a location's folder."""
        return f"{self.class_names[label]}_{location}"

    def path(self, row: int) -> Path:
        """The image of a row."""
        name = self.place(self.labels[row], self.locations[row])
        folder = Path("fmow-sentinel", self.split, self.class_names[self.labels[row]], name)
        return self.root.file(folder, f"{name}_{self.images[row]}.tif")

    def rows(self, item: int) -> np.ndarray:
        """Rows of a record, by date."""
        if not self.series:
            return np.array([item])
        rows = self.series_rows[item]
        return rows[np.lexsort((self.images[rows], self.dates[rows]))]

    def read(self, item: int) -> Record:
        rows = self.rows(item)
        paths = [self.path(row) for row in rows]
        rasters = [open_raster(path, BANDS_READ, len(BANDS_ON_DISK)) for path in paths]
        images = [raster.values for raster in rasters]
        height, width = (min(sizes) for sizes in zip(*(image.shape[1:] for image in images), strict=True))
        images = [image[:, :height, :width] for image in images]
        label = int(self.labels[rows[0]])
        name = self.place(label, self.locations[rows[0]]) if self.series else paths[0].stem
        return {
            "id": f"{self.split}/{name}",
            "s2": torch.from_numpy(np.stack(images, dtype=np.float32, casting="unsafe")),  # T C H W
            "s2_date": self.dates[rows],
            "label": torch.tensor(label),
            "names": self.class_names[label],
            **rasters[0].place,
        }

    def files(self, item: int) -> list[Path]:
        return [self.path(row) for row in self.rows(item)]
