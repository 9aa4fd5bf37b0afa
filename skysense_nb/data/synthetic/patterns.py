"""What lies inside a polygon of the aerial image: crop rows, panels, vines, roofs, and the parts of things.

Every function works on the listed pixels of one kind only, in the coordinates of the row they belong to.
"""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic import classes
from skysense_nb.data.synthetic.hashing import hashed, unit

Local = tuple[np.ndarray, np.ndarray]


def local(records: np.ndarray, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> Local:
    """Metres along and across the axis of the record each pixel belongs to.

    Args:
        records: Facts or slots with `x`, `y`, `angle`.
        which: Record number per pixel (P,).
        x: Easting of the pixels (P,).
        y: Northing of the pixels (P,).
    """
    cos, sin = np.cos(records["angle"].astype(float)), np.sin(records["angle"].astype(float))
    east, north = x - records["x"][which], y - records["y"][which]
    return east * cos[which] + north * sin[which], north * cos[which] - east * sin[which]


def crop_rows(place: Local, green: np.ndarray, row_m: np.ndarray, wobble: np.ndarray) -> np.ndarray:
    """Brightness factor: drill passes, plant rows while the soil still shows between them, wheel tracks.

    Args:
        place: Metres along and across the parcel.
        green: Green cover 0–1 per pixel.
        row_m: Distance of plant rows, 0 for crops sown broadly.
        wobble: Smooth noise per pixel that bends the rows a little.
    """
    across = place[1] + 0.5 * wobble
    passes = unit(hashed("pass", np.floor(across / 3.0).astype(np.int64))) - 0.5
    factor = 1 + 0.05 * passes
    period = np.maximum(2 * row_m, 1.25)
    factor += np.where(row_m > 0, 0.3 * green * (1.05 - green), 0.03) * np.sin(2 * np.pi * across / period)
    track = np.abs(np.mod(across, 21.0) - 10.5)
    return factor * np.where((track > 0.65) & (track < 1.15), 0.86, 1.0)


def panel_rows(place: Local) -> tuple[np.ndarray, np.ndarray]:
    """Solar farm: True on a panel, and the brightness of its glass with the frames between modules."""
    along, across = place
    row = np.mod(across, 6.4)
    panel = (row < 3.7) & (np.mod(along, 46.0) > 3.0)
    frame = (np.mod(along, 2.0) < 0.32) | (np.abs(row - 1.85) < 0.16)
    return panel, np.where(frame, 1.35, 1.0)


def vine_rows(place: Local) -> np.ndarray:
    """Vineyard: True on a row of vines."""
    return np.mod(place[1], 2.5) < 1.15


def roof(place: Local, records: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Roofs: height above the eaves in metres, and a brightness factor.

    Pitched roofs fall to both sides of the ridge; flat ones carry a parapet and, if large, boxes and skylights.
    """
    along, across = place
    half_long, half_wide = records["length"][which] / 2, records["width"][which] / 2
    pitch = records["pitch"][which]
    rise = pitch * np.maximum(half_wide - np.abs(across), 0)
    ridge = (np.abs(across) < 0.3) & (pitch > 0)
    factor = np.where(ridge, 1.12, 1.0) * (1 + 0.05 * np.where(np.mod(across, 0.9) < 0.45, 1, -1) * (pitch > 0.2))
    level = pitch == 0
    edge = np.minimum(half_long - np.abs(along), half_wide - np.abs(across))
    factor = np.where(level & (edge < 0.6), 1.3, factor)
    column, row = np.floor(along / 5.5), np.floor(across / 5.5)
    bits = hashed(records["key"][which], column.astype(np.int64), row.astype(np.int64))
    box = level & (edge > 3) & (unit(bits) < 0.16)
    box &= (np.mod(along, 5.5) < 2.6) & (np.mod(across, 5.5) < 1.8)
    light = level & (edge > 4) & (half_wide > 14) & (np.mod(along, 13.0) < 1.4) & (np.abs(across) < 0.75 * half_wide)
    factor = np.where(light, 0.72, np.where(box, 1.25, factor))
    chimney = (pitch > 0.3) & (np.abs(along - 0.3 * half_long) < 0.5) & (np.abs(across - 0.8) < 0.5)
    return rise + 0.9 * box + 1.4 * chimney, np.where(chimney, 0.7, factor)


def tank(place: Local, records: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Storage tanks: domes, or open ones with a roof that floats lower; height and brightness."""
    radius = records["length"][which] / 2
    share = np.hypot(*place) / radius
    floating = unit(hashed(records["key"][which], "floating")) < 0.35
    rise = np.where(floating, np.where(share < 0.93, -4.0, 0.0), 2.2 * (1 - share**2))
    spokes = np.abs(np.sin(4 * np.arctan2(place[1], place[0]))) < 0.06
    return rise, np.where(floating & (share < 0.93), 0.7, np.where(spokes & (share > 0.2), 0.9, 1.0))


def court(place: Local, records: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sports fields: True on a white line, and the stripes of the mower."""
    along, across = np.abs(place[0]), np.abs(place[1])
    half_long, half_wide = records["length"][which] / 2, records["width"][which] / 2
    inner_long, inner_wide = half_long - 2.5, half_wide - 2.5
    inside = (along < inner_long) & (across < inner_wide)
    line = inside & ((along > inner_long - 0.4) | (across > inner_wide - 0.4) | (along < 0.2))
    line |= np.abs(np.hypot(along, across) - 9.15) < 0.2
    line |= inside & (np.abs(along - (inner_long - 16.5)) < 0.2) & (across < 20)
    line |= inside & (np.abs(across - 20) < 0.2) & (along > inner_long - 16.5)
    small = half_long < 30
    line = np.where(small, inside & ((along > inner_long - 0.4) | (across > inner_wide - 0.4) | (along < 0.2)), line)
    return line, np.where(np.mod(place[0], 11.0) < 5.5, 1.06, 0.94)


CAR_PAINT = np.array(
    [[0.36, 0.36, 0.36], [0.05, 0.05, 0.055], [0.16, 0.165, 0.17], [0.26, 0.27, 0.28], [0.28, 0.04, 0.035],
     [0.04, 0.07, 0.2], [0.4, 0.4, 0.39], [0.1, 0.1, 0.105]]
)  # fmt: skip
DECK_PAINT = np.array([[0.22, 0.1, 0.07], [0.16, 0.2, 0.19], [0.1, 0.13, 0.2], [0.3, 0.29, 0.27], [0.14, 0.16, 0.15]])


def thing_colors(place: Local, records: np.ndarray, tint: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Reflectance R G B of vehicles, ships and aircraft, (P, 3)."""
    along, across = place[0] / records["length"][which], place[1] / records["width"][which]
    kind, hue, long = records["object"][which], tint[which], records["length"][which]
    car = CAR_PAINT[(hue * len(CAR_PAINT)).astype(int)]
    glass = ((along > 0.1) & (along < 0.22)) | ((along > -0.4) & (along < -0.3))
    truck = long > 7.0
    box = np.where((along < 0.3)[:, None], np.array([0.38, 0.38, 0.37]) * (0.7 + 0.5 * hue)[:, None], car)
    car = np.where(truck[:, None], np.where(((along > 0.28) & (along < 0.32))[:, None], 0.05, box),
                   np.where((glass & (np.abs(across) < 0.42))[:, None], 0.045, car))  # fmt: skip
    return np.select(
        [(kind == classes.VEHICLE)[:, None], (kind == classes.SHIP)[:, None]],
        [car, ship_colors(along, across, hue, long)],
        aircraft_colors(along, across, hue),
    )


def ship_colors(along: np.ndarray, across: np.ndarray, hue: np.ndarray, long: np.ndarray) -> np.ndarray:
    """Deck, hatches or containers, and the white house at the stern; small boats are white with a cockpit."""
    deck = DECK_PAINT[(hue * len(DECK_PAINT)).astype(int)]
    cell = hashed(
        (hue * 1e6).astype(np.int64),
        np.floor(along * long / 6.2).astype(np.int64),
        np.floor(across * 4).astype(np.int64),
    )
    cargo = DECK_PAINT[(unit(cell) * len(DECK_PAINT)).astype(int)] * 1.25
    hatch = (np.abs(across) < 0.34) & (along > -0.24) & (along < 0.3)
    gap = np.mod(along * long, 12.4) < 0.8
    loaded = (hue * 7 % 1) < 0.55
    hold = np.where(loaded[:, None], cargo, deck * 0.6)
    colors = np.where((hatch & ~gap)[:, None], hold, deck)
    house = (along < -0.28) & (along > -0.42) & (np.abs(across) < 0.4)
    colors = np.where(house[:, None], 0.44, colors)
    colors = np.where((np.abs(across) > 0.42)[:, None], deck * 0.7, colors)
    boat = np.where(
        ((along < 0.1) & (along > -0.35) & (np.abs(across) < 0.3))[:, None], 0.14 + 0.2 * hue[:, None], 0.43
    )
    return np.where((long < 16)[:, None], boat, colors)


def aircraft_colors(along: np.ndarray, across: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """White with grey wings, dark cockpit, engines and a coloured tail."""
    body = np.abs(across) < 0.055
    shade = np.where(body, 0.44, 0.33 + 0.05 * hue)
    colors = np.repeat(shade[:, None], 3, axis=1)
    cockpit = body & (along > 0.43) & (along < 0.465)
    engine = (np.abs(np.abs(across) - 0.2) < 0.022) & (along > 0.0) & (along < 0.12)
    colors[cockpit | engine] = 0.07
    tail = (along < -0.4) & (np.abs(across) < 0.03)
    colors[tail] = CAR_PAINT[(hue[tail] * len(CAR_PAINT)).astype(int)]
    return colors
