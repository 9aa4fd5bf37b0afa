"""Regions, places and prototypes by click, by list and as plain calls."""

import numpy as np
import pytest
import rioxarray  # noqa: F401  (registers the .rio accessor)
import torch
import xarray as xr

from skysense_nb.errors import SceneError
from skysense_nb.explorers import PrototypeExplorer
from skysense_nb.explorers.region_map import label
from skysense_nb.models.geo_context import GeoContext, GeoContextConfig, region_of
from skysense_nb.pretraining.prototype_maps import region_likeness
from skysense_nb.views import describe

PLACES = {"munich": (11.6, 48.1), "near munich": (11.7, 48.15), "lagos": (3.4, 6.5)}


def embedding_at(lon, lat, seed) -> xr.DataArray:
    """Cells of 0.001°, every one a direction of its own."""
    coords = {"y": lat - 0.001 * (np.arange(4) - 1.5), "x": lon + 0.001 * (np.arange(6) - 2.5)}
    values = np.random.default_rng(seed).normal(size=(8, 4, 6)).astype("float32")
    return xr.DataArray(values, dims=("feature", "y", "x"), coords=coords).rio.write_crs("EPSG:4326")


@pytest.fixture
def bank():
    torch.manual_seed(0)
    made = GeoContext(GeoContextConfig(regions=4, prototypes=3, width=8), width=8)
    made.bank.normal_()
    made.region_ids[2], made.region_ids[0] = region_of(torch.tensor([PLACES["munich"], PLACES["lagos"]]))
    return made


@pytest.fixture
def explorer(bank):
    maps = {name: embedding_at(*place, seed) for seed, (name, place) in enumerate(PLACES.items())}
    images = {"munich": np.random.default_rng(0).random((40, 60, 3))}
    return PrototypeExplorer(bank, maps, images, history=[bank.bank * 0.5, bank.bank.clone()])


def test_it_opens_on_the_first_region_and_lists_its_places(explorer):
    assert explorer.region == int(region_of(torch.tensor(PLACES["munich"])))
    assert explorer.places.options == ("munich", "near munich") and explorer.place == "munich"
    assert len(explorer.map.marks) == 2
    assert "munich: nearest prototype" in describe(explorer.figure())


def test_cells_go_to_the_nearest_prototype_of_their_own_region(explorer, bank):
    groups = explorer.choose_place("near munich")
    cells = explorer.embeddings["near munich"].values
    for row, column in np.ndindex(4, 6):
        cell = torch.from_numpy(cells[:, row, column])
        cosines = [float(torch.cosine_similarity(cell, one, dim=0)) for one in bank.bank[2]]
        assert groups[row, column] == int(np.argmax(cosines))
    counts = np.bincount(groups.ravel(), minlength=3)
    assert f"the most frequent is {counts.argmax()} with {counts.max() / 24:.0%}" in explorer.message.value


def test_a_click_on_a_mark_chooses_its_region(explorer, bank):
    explorer.map.map._interaction_callbacks(type="click", coordinates=PLACES["lagos"][::-1])
    assert explorer.region == int(region_of(torch.tensor(PLACES["lagos"]))) and explorer.place == "lagos"
    here, there = explorer.map.marks[explorer.region], explorer.map.marks[int(bank.region_ids[2])]
    assert here.color == "#000000" != there.color and here.fill_opacity > there.fill_opacity
    explorer.map.map._interaction_callbacks(type="click", coordinates=(-60.0, -120.0))
    assert "Expected a click on a marked region" in explorer.message.value and explorer.place == "lagos"


def test_lists_and_slider_do_the_same_as_calls(explorer):
    explorer.places.value = "near munich"
    assert explorer.message.value.split(">")[1].startswith("near munich:")
    before = explorer.tiles.value
    explorer.prototype.value = 2
    assert explorer.tiles.value != before
    explorer.regions.value = int(region_of(torch.tensor(PLACES["lagos"])))
    assert explorer.place == "lagos"


def test_nearest_cells_are_looked_for_in_all_places(explorer, bank):
    found = explorer.choose_prototype(1)
    every = []
    for name, one in explorer.embeddings.items():
        for row, column in np.ndindex(4, 6):
            cell = torch.from_numpy(one.values[:, row, column])
            every.append((-float(torch.cosine_similarity(cell, bank.bank[2, 1], dim=0)), name, row, column))
    assert found == [tuple(one[1:]) for one in sorted(every)[:6]]


def test_likeness_and_drift_are_those_of_the_bank(explorer, bank):
    expected = region_likeness(bank.bank[[2, 0]])[0, 1]
    assert explorer.likeness[int(bank.region_ids[2])][int(bank.region_ids[0])] == pytest.approx(float(expected))
    assert describe(explorer.map_figure()).startswith("likeness of regions on a map. to region")
    assert "prototype 0: 1 to 1" in describe(explorer.drift_figure())


def test_a_bank_narrower_than_the_cells_is_asked_through_its_query():
    torch.manual_seed(0)
    bank = GeoContext(GeoContextConfig(regions=1, prototypes=2, width=4), width=8)
    bank.bank.normal_()
    bank.region_ids[0] = region_of(torch.tensor(PLACES["lagos"]))
    explorer = PrototypeExplorer(bank, {"lagos": embedding_at(*PLACES["lagos"], 0)})
    assert explorer.choose_place("lagos").shape == (4, 6)


def test_places_elsewhere_are_refused(bank):
    with pytest.raises(SceneError, match="^Expected places in regions that the bank knows, got 1 places elsewhere"):
        PrototypeExplorer(bank, {"quito": embedding_at(-78.5, -0.2, 0)})
    with pytest.raises(SceneError, match=r"^Expected embeddings \(feature, y, x\) with a CRS, got ndarray"):
        PrototypeExplorer(bank, {"quito": np.zeros((8, 4, 6))})


def test_closing_ends_every_widget(explorer):
    held = [explorer.box, explorer.map.map, *explorer.map.marks.values(), explorer.assigned, explorer.places]
    explorer.close()
    assert all(widget.comm is None for widget in held) and vars(explorer) == {}


def test_regions_are_named_by_their_middle():
    santiago = label(int(region_of(torch.tensor([-70.0, -33.0]))))
    assert santiago.endswith("W") and "S " in santiago and santiago.startswith("33.")
