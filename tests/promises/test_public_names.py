"""What is offered is there: names in `__all__`, links in prose; and nothing is left for later."""

import ast
import importlib
import re

import pytest
from repository import NOTEBOOKS, PACKAGE, ROOT, files, texts

PACKAGES = sorted(
    ".".join(("skysense_nb", *path.parent.relative_to(PACKAGE).parts)) for path in PACKAGE.rglob("__init__.py")
)
PROSE = [path for path in files() if path.suffix == ".md"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_offered_name_is_there(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    missing = [offered for offered in module.__all__ if not hasattr(module, offered)]
    assert missing == []
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("path", [*PROSE, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_resolve(path):
    links = re.findall(r"\]\((?!https?:|#|mailto:|attachment:|data:)([^)\s\\\"]+)\)", path.read_text())
    assert [link for link in links if not (path.parent / link.split("#")[0]).exists()] == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_public_function_and_class_says_what_it_does(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    silent = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_nothing_is_left_for_later():
    later = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    assert [str(path.relative_to(ROOT)) for path in texts() if later.search(path.read_text())] == []
