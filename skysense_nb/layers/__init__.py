"""Bricks that never heard of SkySense: attention, patches, feed-forward, dates. torch only.

Attribute names follow the published state dicts (`in_proj_weight`, `layers.0.0`, `w_msa`, …), so that a
checkpoint loads key for key and no renaming table can be wrong.
"""

from skysense_nb.layers.attention import Attention
from skysense_nb.layers.dates import DateEncoding
from skysense_nb.layers.experts import Experts, Gate, Routing, balance_loss
from skysense_nb.layers.feed_forward import FeedForward
from skysense_nb.layers.initialise import start_small
from skysense_nb.layers.lift import PixelShuffleLift
from skysense_nb.layers.patches import AdaptivePatchMerging, PatchEmbed, PatchMerging
from skysense_nb.layers.positions import PositionTable, resize_positions
from skysense_nb.layers.regularise import DropPath, drop_path_rates, run_block
from skysense_nb.layers.window_attention import ShiftedWindowAttention, WindowAttention

__all__ = [
    "AdaptivePatchMerging",
    "Attention",
    "DateEncoding",
    "DropPath",
    "Experts",
    "FeedForward",
    "Gate",
    "PatchEmbed",
    "PatchMerging",
    "PixelShuffleLift",
    "PositionTable",
    "Routing",
    "ShiftedWindowAttention",
    "WindowAttention",
    "balance_loss",
    "drop_path_rates",
    "resize_positions",
    "run_block",
    "start_small",
]
