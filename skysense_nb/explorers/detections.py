"""What a detector found, missed and made up, at any score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skysense_nb.errors import SampleError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.picture import Picture
from skysense_nb.tasks.judged import Boxes, Judged, joined, judge
from skysense_nb.views import PredictedBoxes, detection_figure

NAMED = 12
"""Boxes in a picture up to which each carries the name of its class."""


class DetectionExplorer(Explorer):
    """Image by image the boxes of a detector beside the truth; a score decides which of them count.

    Boxes are pixels of the images, so no CRS is needed. All boxes are matched when the explorer is made, a few
    milliseconds per image; from then on every score is answered at once.

    Args:
        images: Colours (y, x, 3) per image, by title or in a sequence.
        predictions: `bbox_xyxy` or `bbox_corners`, `bbox_label` and `bbox_score` as lists with one tensor per image,
            as `head.predict` gives them; or a sequence of such batches.
        truths: The same without scores.
        classes: Names in the order of ids.

    Attributes:
        judged: The matched boxes of each image.

    Raises:
        SampleError: No image, different numbers of images, boxes of different kinds, ids without a name.

    Example:
        >>> pairs = list(predictions(model, head, test))                       # doctest: +SKIP
        >>> DetectionExplorer(pictures, *zip(*pairs), head.classes)            # doctest: +SKIP
    """

    def __init__(
        self,
        images: Mapping[str, np.ndarray] | Sequence[np.ndarray],
        predictions: Boxes | Sequence[Boxes],
        truths: Boxes | Sequence[Boxes],
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        named = isinstance(images, Mapping)
        titles = list(images) if named else [f"image {number}" for number in range(len(images))]
        self.images, self.classes = list(images.values()) if named else images, tuple(classes)
        self.judged = judged_images(joined(predictions), joined(truths), len(titles), self.classes)
        self.hits: dict[float, list[np.ndarray]] = {}
        labels = [one for image in self.judged for one in (*image.told_label, *image.wanted_label)]
        present = [(self.classes[number], number) for number in np.unique(labels).astype(int).tolist()]

        wide = widgets.Layout(width="26em")
        self.image = widgets.Dropdown(options=[(title, n) for n, title in enumerate(titles)], description="Image")
        self.score = widgets.FloatSlider(
            0.5, min=0, max=1, step=0.01, description="Least score", continuous_update=False, layout=wide
        )
        self.overlap = widgets.Dropdown(options=[0.3, 0.5, 0.75], value=0.5, description="Least IoU")
        self.chosen = widgets.SelectMultiple(
            options=present, value=[number for _, number in present], description="Classes",
            rows=min(max(len(present), 2), 8), layout=wide,
        )  # fmt: skip
        self.picture, self.list = Picture(), widgets.HTML()
        for widget in (self.image, self.score, self.overlap, self.chosen):
            self.when_changed(widget, lambda _: self.draw())
        controls = widgets.VBox([self.image, self.score, self.overlap])
        self.lay_out(widgets.HBox([controls, self.chosen]), self.picture, self.list)
        self.draw()

    def outcome_of(self, image: int) -> dict[str, np.ndarray]:
        """Which boxes of an image count, and what became of them, as masks.

        Returns:
            `told` and `found` of its predictions, `wanted` and `taken` of its true boxes.
        """
        one, iou = self.judged[image], self.overlap.value
        if iou not in self.hits:
            self.hits[iou] = [each.hits(iou) for each in self.judged]
        told = (one.score >= self.score.value) & np.isin(one.told_label, self.chosen.value)
        hits, wanted = self.hits[iou][image], np.isin(one.wanted_label, self.chosen.value)
        taken = np.isin(np.arange(len(one.wanted)), hits[told])
        return {"told": told, "found": told & (hits >= 0), "wanted": wanted, "taken": taken}

    def boxes_of(self, image: int) -> PredictedBoxes:
        """The boxes of an image that count, found, missed and made up."""
        one, what = self.judged[image], self.outcome_of(image)
        missed, made_up = what["wanted"] & ~what["taken"], what["told"] & ~what["found"]
        labels = [*one.wanted_label[what["taken"]], *one.told_label[made_up]]
        names = [self.classes[label] for label in labels] if len(labels) <= NAMED else []
        return PredictedBoxes(
            checked_picture(self.images[image]), one.wanted[what["taken"]], one.wanted[missed], one.told[made_up], names
        )

    def table(self) -> pd.DataFrame:
        """Found, missed and made up per class over all images, with precision and recall (NaN where there is none)."""
        counts = {number: np.zeros(3, int) for number in sorted(self.chosen.value)}
        for image, one in enumerate(self.judged):
            what = self.outcome_of(image)
            parts = (
                one.wanted_label[what["taken"]],
                one.wanted_label[what["wanted"] & ~what["taken"]],
                one.told_label[what["told"] & ~what["found"]],
            )
            for place, labels in enumerate(parts):
                for label in labels:
                    counts[int(label)][place] += 1
        rows = np.array(list(counts.values()), int).reshape(-1, 3)
        table = pd.DataFrame(rows, [self.classes[number] for number in counts], ["found", "missed", "made up"])
        table["precision"] = table["found"] / (table["found"] + table["made up"])
        table["recall"] = table["found"] / (table["found"] + table["missed"])
        return table

    def draw(self) -> pd.DataFrame:
        """Brings picture and table to the state of the controls; returns the table."""
        if self.chosen.options and not self.chosen.value:
            raise SampleError.of("at least one class", "none", "Choose one; with Ctrl or Shift several.")
        table = self.table()
        self.picture.draw(self.figure())
        self.list.value = table.to_html(float_format="{:.2f}".format, na_rep="none")
        found, missed, made_up = table[["found", "missed", "made up"]].sum()
        self.say(
            f"All {len(self.judged)} images, score at least {self.score.value:.2f}, IoU at least "
            f"{self.overlap.value:g}: {found} found, {missed} missed, {made_up} made up."
        )
        return table

    def figure(self) -> Figure:
        """The chosen image with its boxes, and precision and recall of the chosen classes."""
        shares = {name: (row["precision"], row["recall"]) for name, row in self.table().iterrows()}
        return detection_figure(self.image.label, self.boxes_of(self.image.value), shares)


def judged_images(
    predictions: dict[str, list], truths: dict[str, list], count: int, classes: Sequence[str]
) -> list[Judged]:
    """The boxes of all images, matched; refuses what does not fit together."""
    numbers = [len(boxes.get("bbox_label", ())) for boxes in (predictions, truths)]
    if count == 0 or numbers != [count, count]:
        got = f"{count} images, {numbers[0]} predictions, {numbers[1]} truths"
        raise SampleError.of("as many predictions and truths as images", got, "Pass all of them in one order.")
    if "bbox_score" not in predictions:
        raise SampleError.of("predictions with bbox_score", "none", "Pass what head.predict gives.")
    ids = [int(one) for boxes in (predictions, truths) for labels in boxes["bbox_label"] for one in labels]
    highest = max(ids, default=0)
    if highest >= len(classes):
        raise SampleError.of(f"class ids below {len(classes)}", f"{highest}", "Pass the names of all classes.")
    return [judge(predictions, truths, image) for image in range(count)]


def checked_picture(image: np.ndarray) -> np.ndarray:
    """Colours (y, x, 3); refuses another shape."""
    picture = np.asarray(image)
    if picture.ndim != 3 or picture.shape[2] != 3:
        fix = "Put colours last: image.transpose(1, 2, 0)."
        raise SampleError.of("an image (y, x, 3)", f"shape {picture.shape}", fix)
    return picture
