"""Compares our modules with golden numbers: `python tests/parity/run.py FILE…` (see tests/data/parity/README.md).

Each module is built on the meta device from the file's own configuration and filled by the library's strict loader.
Encoders and fusion are compared once more in their inference form. Prints the largest relative error per case; exits
1 if one exceeds the tolerance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from skysense_nb.layers import PixelShuffleLift
from skysense_nb.models.fusion import FusionConfig, FusionTransformer
from skysense_nb.models.inference import FusionInference, Maker, SwinInference, ViTInference, choose
from skysense_nb.models.matching import match
from skysense_nb.models.swin import SwinConfig, SwinEncoder
from skysense_nb.models.vit import ViTConfig, ViTEncoder

TOLERANCE = 2e-5  # of the largest absolute value of the output


def build(config: dict) -> nn.Module:
    """The module a golden file describes, on the meta device."""
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    with torch.device("meta"):
        if "arch" in config:
            arch = {
                key: tuple(value) if isinstance(value, list) else value for key, value in config.pop("arch").items()
            }
            config.pop("img_size", None)  # Swin V2 has no position table: any size will do
            return SwinEncoder(SwinConfig(**arch, **config))
        if "img_size" in config:
            return ViTEncoder(ViTConfig(**config))
        if "input_dims" in config:
            return FusionTransformer(FusionConfig(**config))
        return PixelShuffleLift(config["in_dim"], config["out_dim"], config["up_scale"])


def errors(path: Path) -> dict[str, float]:
    """Largest error of each case of a golden file, relative to its largest output."""
    with safe_open(path, framework="pt") as file:
        keys = list(file.keys())
        module = build(json.loads(file.metadata()["config"]))
        match(module, {key.removeprefix("weight/"): file.get_tensor(key) for key in keys if key.startswith("weight/")})
        module.eval()
        found = {}
        for case in sorted({key.split("/")[1] for key in keys if key.startswith("case/")}):
            given = file.get_tensor(f"case/{case}/input")
            for form, call in forms(module).items():
                with torch.no_grad():
                    outputs = call(given)
                outputs = outputs if isinstance(outputs, list) else [outputs]
                if isinstance(module, SwinEncoder):  # ours returns every stage
                    outputs = [outputs[stage] for stage in module.config.out_indices]
                golden = [file.get_tensor(f"case/{case}/output{index}") for index in range(len(outputs))]
                assert f"case/{case}/output{len(outputs)}" not in keys, "more golden outputs than ours"
                found[case + form] = max(map(error, outputs, golden))
    return found


def forms(module: nn.Module) -> dict[str, Callable[[Tensor], Tensor | list[Tensor]]]:
    """The module and its inference form, a few tokens at a time; a head has none of its own."""
    kinds = {SwinEncoder: SwinInference, ViTEncoder: ViTInference, FusionTransformer: FusionInference}
    if type(module) not in kinds:
        return {"": module}
    make = Maker(torch.float32, torch.device("cpu"), choose(torch.device("cpu"), torch.float32).kind)
    return {"": module, " inference": kinds[type(module)](module, make, 128)}


def error(ours: Tensor, theirs: Tensor) -> float:
    """Largest error relative to the largest output."""
    return float((ours - theirs).abs().max() / theirs.abs().max()) if ours.shape == theirs.shape else float("inf")


def main(paths: list[str]) -> int:
    """Prints one line per case; 1 if any is off."""
    worst = 0.0
    for path in map(Path, paths):
        for case, off in errors(path).items():
            print(f"{path.name:32} {case:22} {off:.2e}  {'ok' if off <= TOLERANCE else 'OFF'}")
            worst = max(worst, off)
    return int(not paths or worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
