"""Imports point downwards: a file uses its own room and lower floors, never a neighbour's room."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from repository import PACKAGE

FLOORS = {
    "sensors": 0,
    "errors": 0,
    "runtime": 0,
    "layers": 1,
    "models": 2,
    "data": 2,
    "views": 2,
    "training": 2,
    "pretraining": 3,
    "tasks": 3,
    "mapping": 3,
    "explorers": 4,
    "runs": 4,
    "__init__": 5,
    "commands": 5,
    "__main__": 6,
}
TORCH_ONLY = ("sensors", "errors", "runtime", "layers", "models")
BARE = {"torch", "numpy", "safetensors", "skysense_nb", *sys.stdlib_module_names}
MAY_WAIT = {"huggingface_hub", "xarray"}

FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """First folder below the package, or the file's own name on the ground floor and on top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def inside(tree: ast.Module, wanted: Callable[[ast.AST], bool]) -> set[int]:
    """Identities of all nodes below the nodes that `wanted` picks."""
    return {id(node) for outer in ast.walk(tree) if wanted(outer) for node in ast.walk(outer)}


def for_types_only(node: ast.AST) -> bool:
    """Whether this is an `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Dotted names a file imports, and whether that waits: inside a function, or for type checkers only."""
    tree = ast.parse(path.read_text())
    deferred = inside(
        tree, lambda node: isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or for_types_only(node)
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in deferred) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "skysense_nb":
                yield from ((f"skysense_nb.{alias.name}", id(node) in deferred) for alias in node.names)
            else:
                yield node.module, id(node) in deferred


def broken(importer: str, target: str) -> bool:
    """Whether a file of room `importer` may not import from room `target`."""
    if importer == target:
        return False
    if FLOORS[importer] == FLOORS[target] == 0:
        return False
    return FLOORS[target] >= FLOORS[importer]


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    targets = {name.split(".")[1] for name, _ in imports(path) if name.startswith("skysense_nb.")}
    assert [target for target in sorted(targets) if broken(room(path), target)] == []


@pytest.mark.parametrize(
    ("importer", "target"), [("models", "data"), ("data", "views"), ("layers", "models"), ("data", "runs")]
)
def test_the_rule_refuses_neighbours_and_upper_floors(importer, target):
    assert broken(importer, target)


@pytest.mark.parametrize(
    "path", [path for path in FILES if room(path) in TORCH_ONLY], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_models_and_below_need_torch_only(path):
    foreign = [
        name
        for name, deferred in imports(path)
        if name.split(".")[0] not in BARE and not (deferred and name.split(".")[0] in MAY_WAIT)
    ]
    assert foreign == []


def test_models_import_on_a_machine_with_torch_and_nothing_else():
    missing = (
        "xarray",
        "pandas",
        "matplotlib",
        "rasterio",
        "scipy",
        "sklearn",
        "pydantic",
        "kornia",
        "huggingface_hub",
    )
    program = f"import sys; sys.modules.update(dict.fromkeys({missing})); import skysense_nb.models"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
