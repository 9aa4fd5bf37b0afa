"""Models as they are best run, once they are trained: objects beside the modules, made of a copy of their weights.

The same numbers as the modules to rounding, in half the time or less: products in the order the machine likes, blocks
over a few windows, dates or cells at a time, heads folded into one product, equal dates computed once. `form.py` puts
them together; `choice.py` measures the machine. Made by `model.for_inference()`.
"""

from skysense_nb.models.inference.choice import Choice, choose
from skysense_nb.models.inference.encoders import SwinInference, UnifiedInference, ViTInference
from skysense_nb.models.inference.form import InferenceModel
from skysense_nb.models.inference.fusion import FoldedHead, FusionInference
from skysense_nb.models.inference.linear import KINDS, Maker, PreparedLinear

__all__ = [
    "KINDS",
    "Choice",
    "FoldedHead",
    "FusionInference",
    "InferenceModel",
    "Maker",
    "PreparedLinear",
    "SwinInference",
    "UnifiedInference",
    "ViTInference",
    "choose",
]
