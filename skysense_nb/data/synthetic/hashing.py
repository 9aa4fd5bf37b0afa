"""Chance without state: every random choice of the world is a hash of where and what it is.

The mixer is the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014). A value depends on its keys alone, never on what was drawn before, so a
window of the world does not know which other windows were looked at.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

GOLDEN = 0x9E3779B97F4A7C15
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
SHIFTS = 30, 27, 31
WORD = 2**64 - 1
"""Numbers of Python have no end, so single words are cut to 64 bits; those of arrays end there by themselves."""

Key = int | str | np.ndarray


def mix(bits: np.ndarray) -> np.ndarray:
    """Scrambles 64-bit integers so that neighbours have nothing in common."""
    bits = (bits ^ (bits >> np.uint64(SHIFTS[0]))) * np.uint64(FACTORS[0])
    bits = (bits ^ (bits >> np.uint64(SHIFTS[1]))) * np.uint64(FACTORS[1])
    return bits ^ (bits >> np.uint64(SHIFTS[2]))


def mix_one(bits: int) -> int:
    """`mix` of a single word; most throws are single, and arrays of one number are slow."""
    bits = ((bits ^ (bits >> SHIFTS[0])) * FACTORS[0]) & WORD
    bits = ((bits ^ (bits >> SHIFTS[1])) * FACTORS[1]) & WORD
    return bits ^ (bits >> SHIFTS[2])


@lru_cache(maxsize=4096)
def word_of_name(name: str) -> int:
    """The word of a name."""
    return zlib.crc32(name.encode())


def single(key: Key) -> int | None:
    """The word of a name, an integer or an array of one; None for other arrays."""
    if isinstance(key, str):
        return word_of_name(key)
    if isinstance(key, np.ndarray):
        return int(key.item()) & WORD if key.shape in ((), (1,)) else None
    return int(key) & WORD


def as_bits(key: Key) -> np.ndarray:
    """Reads a name, an integer (negative too) or an array of integers as 64-bit words."""
    word = single(key)
    if word is not None:
        return np.array([word], np.uint64)
    return key if key.dtype == np.uint64 else key.astype(np.int64).view(np.uint64)


def hashed(*keys: Key) -> np.ndarray:
    """One 64-bit word per broadcast combination of keys; the order of the keys matters.

    Example:
        >>> hashed(7, "road", np.arange(3)).shape
        (3,)
    """
    words = [single(key) for key in keys]
    alone = words.index(None) if None in words else len(words)
    word = 0
    for one in words[:alone]:
        word = mix_one(((word ^ one) + GOLDEN) & WORD)
    bits = np.array([word], np.uint64)
    for key in keys[alone:]:
        bits = mix((bits ^ as_bits(key)) + np.uint64(GOLDEN))
    return bits


def unit(bits: np.ndarray) -> np.ndarray:
    """Floats in [0, 1) from the upper 24 bits of each word."""
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


@dataclass(frozen=True)
class Dice:
    """Named throws that belong to one thing (a cell, a parcel, a date).

    Attributes:
        bits: One word, or an array of words for many things at once.
    """

    bits: np.ndarray

    @classmethod
    def of(cls, *keys: Key) -> Dice:
        """The dice of the thing that `keys` identify."""
        return cls(hashed(*keys))

    def keys(self, name: str, count: int = 1) -> np.ndarray:
        """`count` words for the throw `name`: identities of things that belong to this one."""
        return hashed(self.bits, name, np.arange(count)) if count > 1 else hashed(self.bits, name)

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0, count: int = 1) -> np.ndarray:
        """Evenly distributed floats in [low, high), shape (count,) or that of `bits`."""
        return low + (high - low) * unit(self.keys(name, count)).astype(np.float64)

    def normal(self, name: str, spread: float = 1.0, count: int = 1) -> np.ndarray:
        """Normally distributed floats around 0 with standard deviation `spread`."""
        return spread * ndtri(np.clip(self.uniform(name, count=count), 1e-6, 1 - 1e-6))

    def choice(self, name: str, weights: Sequence[float], count: int = 1) -> np.ndarray:
        """Indices drawn in proportion to `weights`."""
        steps = np.cumsum(np.asarray(weights, float))
        return np.searchsorted(steps / steps[-1], self.uniform(name, count=count), side="right").clip(0, len(steps) - 1)

    def number(self, name: str, low: float = 0.0, high: float = 1.0) -> float:
        """One float in [low, high)."""
        return float(self.uniform(name, low, high)[0])

    def chance(self, name: str, probability: float) -> bool:
        """True with the given probability."""
        return self.number(name) < probability
