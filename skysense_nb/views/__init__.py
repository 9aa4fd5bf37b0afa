"""Looking: composites, figures and map layers.

This room sees arrays and scenes, never models: whatever it draws can be drawn from a file on disk. Start
with `scene_figure(scene)` and `series_figure(scene)`; `features_figure` and `similarity_figure` show what
a model made of the place; `quiet_map` and `add_overlay` put a picture on a map without any network, and
`cell_at` finds the cell below a click. Every figure carries its own alternative text: `describe(figure)`.
"""

from skysense_nb.views.annotation_figures import Annotated, annotated_figure, picture_of
from skysense_nb.views.cells import cell_at, cell_bounds, check_cell
from skysense_nb.views.change_figures import change_figure
from skysense_nb.views.charts import bars_figure, curves_figure, dots_figure, share_figure
from skysense_nb.views.click_figures import clicks_figure, confidence_colours, marks_picture
from skysense_nb.views.composites import cloud_overlay, composite, stretch_limits
from skysense_nb.views.crop_figures import crops_figure
from skysense_nb.views.detection_figures import detection_figure
from skysense_nb.views.doctor_figures import doctor_figure
from skysense_nb.views.features import pca_rgb, similarity
from skysense_nb.views.furniture import describe
from skysense_nb.views.map_figures import features_figure, label_figure, similarity_figure
from skysense_nb.views.maps import add_footprint, add_overlay, quiet_map
from skysense_nb.views.model_figures import attention_figure, spread_figure, stages_figure
from skysense_nb.views.picture_figures import pictures_figure, quantity_maps_figure
from skysense_nb.views.pixel_figures import PixelSeries, pixel_figure
from skysense_nb.views.prediction_figures import PredictedBoxes, PredictedMask, boxes_figure, masks_figure
from skysense_nb.views.region_figures import regions_figure
from skysense_nb.views.scene_figures import scene_figure, series_figure, spectra_figure
from skysense_nb.views.sweep_figures import sweep_figure
from skysense_nb.views.switch_figures import answers_figure
from skysense_nb.views.tiling_figures import tiling_figure
from skysense_nb.views.token_figures import choices_figure, token_grids_figure
from skysense_nb.views.training_figures import Chart, training_figure

__all__ = [
    "Annotated",
    "Chart",
    "PixelSeries",
    "PredictedBoxes",
    "PredictedMask",
    "add_footprint",
    "add_overlay",
    "annotated_figure",
    "answers_figure",
    "attention_figure",
    "bars_figure",
    "boxes_figure",
    "cell_at",
    "cell_bounds",
    "check_cell",
    "change_figure",
    "choices_figure",
    "clicks_figure",
    "cloud_overlay",
    "composite",
    "confidence_colours",
    "crops_figure",
    "curves_figure",
    "describe",
    "detection_figure",
    "doctor_figure",
    "dots_figure",
    "features_figure",
    "label_figure",
    "marks_picture",
    "masks_figure",
    "pca_rgb",
    "picture_of",
    "pictures_figure",
    "pixel_figure",
    "quantity_maps_figure",
    "quiet_map",
    "regions_figure",
    "scene_figure",
    "series_figure",
    "share_figure",
    "similarity",
    "similarity_figure",
    "spectra_figure",
    "spread_figure",
    "stages_figure",
    "stretch_limits",
    "sweep_figure",
    "tiling_figure",
    "token_grids_figure",
    "training_figure",
]
