"""The models there are: from a configuration to a model, and configurations in and out of a file."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any, get_args, get_type_hints

from skysense_nb.errors import CheckpointError
from skysense_nb.models.multimodal import PARTS, MultiModalModel
from skysense_nb.models.skysense import SkySense, SkySenseConfig
from skysense_nb.models.skysense_v2 import SkySenseV2, SkySenseV2Config

Config = SkySenseConfig | SkySenseV2Config

MODELS: dict[type, type[MultiModalModel]] = {SkySenseConfig: SkySense, SkySenseV2Config: SkySenseV2}


def build(config: Config, parts: tuple[str, ...] = PARTS, recompute: bool = False) -> MultiModalModel:
    """The model of a configuration, with fresh weights; arguments as in `MultiModalModel`."""
    return MODELS[type(config)](config, parts, recompute)


def config_to_json(config: Config) -> dict[str, str]:
    """A configuration as the metadata of a weights file."""
    return {"model": MODELS[type(config)].__name__, "config": json.dumps(asdict(config))}


def config_from_json(metadata: dict[str, str]) -> Config | None:
    """The configuration in the metadata of a weights file, None if it holds none.

    Raises:
        CheckpointError: A configuration that this version does not know.

    Example:
        >>> config_from_json(config_to_json(SkySenseConfig())) == SkySenseConfig()
        True
    """
    if "config" not in metadata:
        return None
    kinds = {model.__name__: kind for kind, model in MODELS.items()}
    try:
        return rebuild(kinds[metadata.get("model", "SkySense")], json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError.of(
            "a configuration that this version knows", f"another ({error})", "Use the version that wrote the file."
        ) from error


def rebuild(kind: type, values: dict[str, Any]) -> Any:
    """A frozen configuration from plain values: dictionaries become configurations, lists tuples."""
    hints, made = get_type_hints(kind), {}
    for name, value in values.items():
        if isinstance(value, dict):
            inner = next(hint for hint in (hints[name], *get_args(hints[name])) if is_dataclass(hint))
            made[name] = rebuild(inner, value)
        else:
            made[name] = tuple(value) if isinstance(value, list) else value
    return kind(**made)
