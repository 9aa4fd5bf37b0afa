"""The models there are: from a configuration to a model, and configurations in and out of a file."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any, get_args, get_type_hints

from skysense_nb.errors import CheckpointError, PresetError
from skysense_nb.models.multimodal import PARTS, MultiModalModel
from skysense_nb.models.skysense import SkySense, SkySenseConfig
from skysense_nb.models.skysense_v2 import SkySenseV2, SkySenseV2Config

Config = SkySenseConfig | SkySenseV2Config

MODELS: dict[type, type[MultiModalModel]] = {SkySenseConfig: SkySense, SkySenseV2Config: SkySenseV2}


def build(config: Config, parts: tuple[str, ...] = PARTS, recompute: bool = False) -> MultiModalModel:
    """The model of a configuration, with fresh weights; arguments as in `MultiModalModel`."""
    if type(config) not in MODELS:
        kinds = " or ".join(kind.__name__ for kind in MODELS)
        raise PresetError.of(f"the name of a preset, a {kinds}", repr(config), "Pass 'skysense-tiny', for example.")
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
    except (KeyError, TypeError, ValueError, PresetError) as error:
        raise CheckpointError.of(
            "a configuration that this version knows", f"another ({error})", "Use the version that wrote the file."
        ) from error


def rebuild(kind: type, values: dict[str, Any]) -> Any:
    """A frozen configuration from plain values: dictionaries become configurations, lists tuples."""
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} is {values!r}")
    hints, made = get_type_hints(kind), {}
    for name, value in values.items():
        choices = get_args(hints[name]) or (hints[name],)
        inner = next((choice for choice in choices if is_dataclass(choice)), None)
        if inner is not None and not (value is None and type(None) in choices):
            made[name] = rebuild(inner, value)
        elif isinstance(value, dict):
            raise TypeError(f"{name} is {value!r}")
        else:
            made[name] = tuple(value) if isinstance(value, list) else value
    return kind(**made)
