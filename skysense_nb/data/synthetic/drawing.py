"""From a kind of cell to its drawing, and from the drawings around a window to one plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely

from skysense_nb.data.synthetic.cells import Cell, cells_near
from skysense_nb.data.synthetic.countryside import (
    draw_fields,
    draw_forest,
    draw_meadow,
    draw_orchard,
    draw_quarry,
    draw_solar,
)
from skysense_nb.data.synthetic.industry import draw_industry
from skysense_nb.data.synthetic.roads import draw_roads
from skysense_nb.data.synthetic.settlements import draw_city, draw_village
from skysense_nb.data.synthetic.sheet import ANYWHERE, DRY, FACTS, SLOT, Sheet
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.transport import draw_airfield, draw_coast, draw_harbour, draw_sea
from skysense_nb.data.synthetic.window import Window

DRAW = {
    "sea": draw_sea, "coast": draw_coast, "harbour": draw_harbour, "fields": draw_fields, "orchard": draw_orchard,
    "forest": draw_forest, "meadow": draw_meadow, "village": draw_village, "city": draw_city,
    "industry": draw_industry, "airfield": draw_airfield, "solar farm": draw_solar, "quarry": draw_quarry,
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Everything drawn in some cells.

    Attributes:
        facts: Rows of all polygons, in the order that all windows share.
        polygons: Shapely polygons in painting order.
        rows: Row that each polygon paints.
        marks: Polygons that only the aerial image shows.
        codes: Mark code of each.
        slots: Where vehicles, ships and aircraft may be.
    """

    facts: np.ndarray
    polygons: np.ndarray
    rows: np.ndarray
    marks: np.ndarray
    codes: np.ndarray
    slots: np.ndarray

    @property
    def layers(self) -> np.ndarray:
        """Painting order of each polygon."""
        return self.facts["layer"][self.rows]

    def near(self, window: Window) -> Plan:
        """The plan with only those polygons that reach into a window; rows keep their numbers."""
        seen, marked = touching(self.polygons, window), touching(self.marks, window)
        x, y = self.slots["x"], self.slots["y"]
        reach = 60 + self.slots["length"] * 3
        slots = (abs(x - window.center[0]) < (window.right - window.left) / 2 + reach) & (
            abs(y - window.center[1]) < (window.top - window.bottom) / 2 + reach
        )
        return Plan(
            self.facts, self.polygons[seen], self.rows[seen], self.marks[marked], self.codes[marked], self.slots[slots]
        )


def touching(polygons: np.ndarray, window: Window) -> np.ndarray:
    """True for polygons whose bounding box meets the window."""
    left, bottom, right, top = shapely.bounds(polygons).T
    return (left < window.right) & (right > window.left) & (bottom < window.top) & (top > window.bottom)


@lru_cache(maxsize=64)
def plan_of_cell(cell: Cell) -> Plan:
    """The drawing of one cell, kept because neighbouring windows ask for it again."""
    page = Sheet(cell)
    DRAW[cell.kind](page)
    draw_roads(page)
    facts = np.concatenate(page.facts, dtype=FACTS)
    polygons = np.concatenate([shapes for shapes, _ in page.shapes])
    rows = np.concatenate([rows for _, rows in page.shapes])
    dry = on_dry_ground(facts[rows], cell.terrain)
    marks = [shapes for shapes, _ in page.marks] or [np.array([], object)]
    codes = [np.full(len(shapes), code) for shapes, code in page.marks] or [np.array([], int)]
    slots = np.concatenate([np.zeros(0, SLOT), *page.slots], dtype=SLOT)
    slots = slots[on_dry_ground(slots, cell.terrain)]
    return Plan(facts, polygons[dry], rows[dry], np.concatenate(marks), np.concatenate(codes), slots)


def on_dry_ground(records: np.ndarray, terrain: Terrain) -> np.ndarray:
    """True for facts or slots that do not come too near to the water they shy away from."""
    shy = records["shy"] > ANYWHERE
    x, y = records["x"][shy], records["y"][shy]
    margin = 0.5 * np.hypot(records["length"][shy], records["width"][shy])
    off_river = terrain.river(x, y) > terrain.river_half_width(x, y) + margin + 6
    dry = np.ones(len(records), bool)
    dry[shy] = (off_river | (records["shy"][shy] < DRY)) & (terrain.height(x, y) > 0.6 + 0.05 * margin)
    return dry


def plan_of(terrain: Terrain, window: Window) -> Plan:
    """All drawings that may reach into a window, painted in one order that does not depend on the window."""
    plans = [plan_of_cell(cell) for cell in cells_near(terrain, window.left, window.bottom, window.right, window.top)]
    starts = np.cumsum([0, *(len(plan.facts) for plan in plans)])
    facts = np.concatenate([np.zeros(0, FACTS), *(plan.facts for plan in plans)], dtype=FACTS)
    own = np.repeat(starts[:-1], [len(plan.facts) for plan in plans])
    facts["parent"] = np.where(facts["parent"] >= 0, facts["parent"] + own, -1)
    rows = np.concatenate([plan.rows + start for plan, start in zip(plans, starts[:-1], strict=True)])
    polygons = np.concatenate([plan.polygons for plan in plans])
    order = np.argsort(facts["layer"][rows], kind="stable")
    marks, codes, slots = (
        np.concatenate([getattr(plan, name) for plan in plans]) for name in ("marks", "codes", "slots")
    )
    return Plan(facts, polygons[order], rows[order], marks, codes, slots).near(window)
