"""A made-up Earth: endless, offline, the same for everyone, with the truth about every pixel.

`World` draws a landscape from hashed coordinates (a lattice of curved roads, its cells used as village, fields,
harbour, …), rasters it once, and lets three sensors look at it. Read `world`, then `cells` and `drawing` for the
land, `spectra`, `radar`, `clouds` and `aerial` for the sensors, `labels` for the truth.
"""

from skysense_nb.data.synthetic.classes import CROPS, KINDS, LAND_COVER, OBJECTS, PLACES
from skysense_nb.data.synthetic.world import World

__all__ = ["CROPS", "KINDS", "LAND_COVER", "OBJECTS", "PLACES", "World"]
