"""Writes land.geojson: the land of Natural Earth 1:110m (public domain), dissolved and simplified to 0.1 degree.

Run it with `python -m skysense_nb.views.make_land SHAPEFILE`; any Natural Earth country file will do, for
instance the one among pyogrio's test fixtures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyogrio
import shapely

TARGET = Path(__file__).with_name("land.geojson")


def main(countries: str) -> None:
    """Dissolves the countries of a file and writes the land as one GeoJSON feature."""
    land = shapely.union_all(shapely.make_valid(pyogrio.read_dataframe(countries).geometry.values))
    land = shapely.set_precision(land.simplify(0.1), 0.01)
    feature = {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(land))}
    collection = {"type": "FeatureCollection", "features": [feature]}
    TARGET.write_text(json.dumps(collection, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
