"""A short name for the weights a model holds, whichever file they came from."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def weights_digest(model: nn.Module) -> str:
    """64 hexadecimal digits that change with the name, shape, dtype or any value of a tensor.

    Example:
        >>> weights_digest(torch.nn.Identity()) == weights_digest(torch.nn.Dropout())     # no tensors
        True
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
