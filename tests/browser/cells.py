"""Cells that build small explorers in a second, for the browser."""

EMBEDDING = """
import numpy as np
import rioxarray
import xarray as xr

rng = np.random.default_rng(0)
left, right = rng.normal(size=(2, 8))
values = np.where(np.arange(8) < 4, left[:, None], right[:, None])[:, None, :] + rng.normal(0, 0.05, (8, 6, 8))
coords = {"y": 5_300_000 - 20 * (np.arange(6) + 0.5), "x": 600_000 + 20 * (np.arange(8) + 0.5)}
embedding = xr.DataArray(values, dims=("feature", "y", "x"), coords=coords).rio.write_crs("EPSG:32633")
picture = rng.random((6, 8, 3))
"""

SIMILARITY = """
from skysense_nb.explorers import SimilarityExplorer

others = {f"place {number}": embedding + number for number in range(3)}
explorer = SimilarityExplorer(embedding, picture, others=others)
explorer
"""

FEW_CLICKS = """
from skysense_nb.explorers import FewClickMapper

mapper = FewClickMapper(embedding, picture, classes=("water", "field"))
mapper
"""

SCENE = """
import numpy as np
import pandas as pd
import rioxarray
import xarray as xr
from skysense_nb.data.scene import build
from skysense_nb.explorers import SceneExplorer
from skysense_nb.sensors import SENSORS

rng = np.random.default_rng(0)


def image(name, pixel, rows, dates, level, spread):
    coords = {"time": pd.date_range("2021-04-01", periods=dates, freq="20D"), "band": list(SENSORS[name].bands),
              "y": 5_300_000 - pixel * (np.arange(rows) + 0.5), "x": 600_000 + pixel * (np.arange(rows) + 0.5)}
    values = rng.normal(level, spread, (dates, len(coords["band"]), rows, rows))
    return xr.DataArray(values, coords, ("time", "band", "y", "x")).rio.write_crs("EPSG:32633")


s2 = image("s2", 10, 8, 4, 1500, 500)
clear = xr.ones_like(s2[:, 0], dtype=bool).drop_vars("band")
clear[1, :, :4] = False
scene = build(hr=image("hr", 1.25, 64, 1, 120, 40), s2=s2, s1=image("s1", 10, 8, 2, -14, 3), clear={"s2": clear})
explorer = SceneExplorer(scene)
explorer
"""

CHANGE = """
import numpy as np
import rioxarray
import xarray as xr
from skysense_nb.explorers import ChangeExplorer

values = np.full((12, 16), 0.1)
values[2:4, 3:6], values[8, 10:12], values[11, 0] = 0.9, 0.6, 0.95
coords = {"y": 5_300_000 - 10 * (np.arange(12) + 0.5), "x": 600_000 + 10 * (np.arange(16) + 0.5)}
score = xr.DataArray(values, coords, ("y", "x")).rio.write_crs("EPSG:32633")
truth = np.zeros((12, 16), int)
truth[2:4, 3:7] = 1
before, after = np.random.default_rng(0).random((2, 48, 64, 3)) * [[[[0.5]]], [[[1.0]]]]
explorer = ChangeExplorer(before, after, score, truth)
explorer
"""

DETECTIONS = """
import numpy as np
import torch
from skysense_nb.explorers import DetectionExplorer


def boxes(*corners):
    return torch.tensor([[left, top, left + 10.0, top + 10.0] for left, top in corners])


truths = {"bbox_xyxy": [boxes((0, 0), (20, 0), (40, 20)), boxes((5, 5))],
          "bbox_label": [torch.tensor([0, 0, 1]), torch.tensor([1])]}
predictions = {"bbox_xyxy": [boxes((21, 1), (0, 0), (30, 28)), boxes((6, 6))],
               "bbox_label": [torch.tensor([0, 0, 0]), torch.tensor([1])],
               "bbox_score": [torch.tensor([0.45, 0.9, 0.6]), torch.tensor([0.7])]}
images = {"harbour": np.full((40, 60, 3), 0.4), "airport": np.full((30, 30, 3), 0.7)}
explorer = DetectionExplorer(images, predictions, truths, ["ship", "plane"])
explorer
"""

SWITCHBOARD = """
import torch
from skysense_nb.explorers import ModalitySwitchboard
from skysense_nb.models import load
from skysense_nb.tasks.heads import CellHead

torch.manual_seed(0)
model, _ = load("skysense-tiny", weights="random")
head = CellHead(model.width, ["water", "field"], channels=8)
torch.nn.init.normal_(head.layers[-1].weight)
sample = {"s2": torch.randn(1, 3, 10, 8, 8), "s1": torch.randn(1, 2, 2, 8, 8),
          "s2_day": torch.tensor([[90, 150, 210]]), "s1_day": torch.tensor([[60, 120]])}
explorer = ModalitySwitchboard(model, sample, head)
explorer
"""

MONITOR = """
from pathlib import Path
from skysense_nb.explorers import TrainingMonitor

monitor = TrainingMonitor(Path("training run"), steps=4, every=0.5)
monitor
"""

PROTOTYPES = """
import numpy as np
import rioxarray
import torch
import xarray as xr
from skysense_nb.explorers import PrototypeExplorer
from skysense_nb.models.geo_context import GeoContext, GeoContextConfig, region_of


def at(lon, lat):
    coords = {"y": lat - 0.001 * np.arange(8), "x": lon + 0.001 * np.arange(8)}
    values = np.random.default_rng(0).normal(size=(8, 8, 8)).astype("float32")
    return xr.DataArray(values, dims=("feature", "y", "x"), coords=coords).rio.write_crs("EPSG:4326")


torch.manual_seed(0)
bank = GeoContext(GeoContextConfig(regions=2, prototypes=4, width=8), width=8)
bank.bank.normal_()
bank.region_ids[:] = region_of(torch.tensor([[11.6, 48.1], [3.4, 6.5]]))
explorer = PrototypeExplorer(bank, {"Munich": at(11.6, 48.1), "Lagos": at(3.4, 6.5)}, history=[bank.bank.clone()])
explorer
"""

FAILING = """
from skysense_nb.explorers import SimilarityExplorer


class Broken(SimilarityExplorer):
    def choose(self, row, column):
        raise ZeroDivisionError("on purpose")


Broken(embedding)
"""
