"""Vectors of class names: spelled, without any model and without a network, or from a text encoder you bring."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.errors import EnvironmentProblem, SampleError

TextEncoder = Callable[[Sequence[str]], Tensor]
"""Names to K D."""

PIECES = (3, 4, 5)
"""Lengths of the letter groups of a name, as in fastText (Bojanowski et al. 2017)."""


def text_table(names: Sequence[str], width: int = 512, encoder: TextEncoder | None = None) -> Tensor:
    """One unit vector per class name, the same on every machine and in every run.

    Without an encoder the vectors are made of the names' words and letter groups, hashed into `width` channels. This
    is not a language model: "residential building" is near "building" because it is spelled alike, and "wood" is no
    nearer to "forest" than to "quay". SkySense V2 takes a CLIP text encoder: see `clip_text_encoder`.

    Args:
        names: Class names or tags, such as "building" or "natural=water".
        width: D of hashed vectors (CLIP's for ViT-B); an encoder has its own.
        encoder: Names to K D.

    Returns:
        K D fp32.

    Raises:
        SampleError: A name without a letter or digit, or an encoder that does not return one finite vector per name.

    Example:
        >>> table = text_table(["building", "residential building", "water"])
        >>> bool(table[0] @ table[1] > 0.5 > 0.2 > table[0] @ table[2])
        True
    """
    if nameless := [name for name in names if not words(name)]:
        raise SampleError.of("names with letters or digits", repr(nameless[0]), "Name every class.")
    if encoder is None:
        return F.normalize(torch.stack([spell(name, width) for name in names]), dim=1)
    table = encoder(names).detach().float().cpu()
    if table.ndim != 2 or len(table) != len(names) or not bool(table.isfinite().all()):
        expected, got = f"{len(names)} finite vectors, one per name", f"shape {tuple(table.shape)}"
        raise SampleError.of(expected, got, "Let the encoder return a tensor K D.")
    return F.normalize(table, dim=1)


def words(name: str) -> list[str]:
    """The words of a name in lower case: runs of letters and digits.

    Example:
        >>> words("landuse=Farm_land")
        ['landuse', 'farm', 'land']
    """
    return re.findall(r"[^\W_]+", name.lower())


def spell(name: str, width: int) -> Tensor:
    """Sum over the words of a name of their letter groups and of the word itself, each hashed to a channel and a sign.

    A word weighs the same whatever its length. CRC-32 is the same everywhere, unlike Python's own `hash`.

    Example:
        >>> torch.equal(spell("Car park", 64), spell("car_park", 64))
        True
    """
    vector = torch.zeros(width)
    for word in words(name):
        marked = f"<{word}>"
        pieces = [marked[i : i + length] for length in PIECES for i in range(len(marked) - length + 1)]
        for piece in (*pieces, marked):
            number = zlib.crc32(piece.encode())
            sign = 1.0 if number >> 31 else -1.0
            vector[number % width] += sign / math.sqrt(len(pieces) + 1)
    return vector


def clip_text_encoder(name: str, template: str = "a satellite image of {}") -> TextEncoder:
    """The text side of a CLIP model, as SkySense V2 uses (which one is not published).

    Args:
        name: A folder, or a model's name on the Hugging Face hub, which `transformers` would download.
        template: Sentence around each name, our choice.

    Returns:
        An encoder for `text_table`.

    Raises:
        EnvironmentProblem: The package `transformers` is not installed.

    Example:
        >>> encoder = clip_text_encoder("openai/clip-vit-base-patch32")  # doctest: +SKIP
        >>> table = text_table(["building", "water"], encoder=encoder)  # doctest: +SKIP
    """
    try:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection
    except ImportError as error:
        fix = "Install transformers, or leave the encoder out for spelled vectors."
        raise EnvironmentProblem.of("the package transformers", "a machine without it", fix) from error
    tokenizer, model = AutoTokenizer.from_pretrained(name), CLIPTextModelWithProjection.from_pretrained(name).eval()

    @torch.no_grad()
    def encode(names: Sequence[str]) -> Tensor:
        tokens = tokenizer([template.format(each) for each in names], padding=True, return_tensors="pt")
        return model(**tokens).text_embeds

    return encode
