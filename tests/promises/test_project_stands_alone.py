"""The repository needs nothing beside it and says nothing of the place where it was written."""

import re

from repository import ROOT, files, texts

ELSEWHERE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/wo" + r"rk/",
            r"\.\./sha" + r"red",
            r"(?<![\w/])sha" + r"red/(facts|parity|data|DESIGN|STYLE)",
            r"(?<![\w.])/op" + r"t/",
            r"/ro" + r"ot/",
            r"(?<![\w.])/ho" + r"me/(?!sky)",
            r"pypi\.o" + r"rg|pythonhos" + r"ted",
            r"--(extra-)?index-u" + r"rl[ =]",
        ]
    )
)
LARGEST_MIB = 5
BUNDLED = ROOT / "skysense_nb/models/weights"


def test_no_file_points_elsewhere():
    found = {
        f"{path.relative_to(ROOT)}: {hit.group()}" for path in texts() if (hit := ELSEWHERE.search(path.read_text()))
    }
    assert found == set()


def test_no_file_is_a_link_out_of_the_repository():
    assert [path for path in files() if path.is_symlink() and not path.resolve().is_relative_to(ROOT)] == []


def test_files_are_small():
    """Bundled weights have a limit of their own: 16 MB each, see tests/models/test_bundled.py."""
    large = [path for path in files() if path.stat().st_size > LARGEST_MIB * 2**20]
    assert [path.name for path in large if path.parent != BUNDLED] == []


def test_the_top_level_is_the_agreed_one():
    agreed = {"README.md", "LICENSE", "environment.yml", "pyproject.toml", "env", "notebooks", "skysense_nb", "tests"}
    hidden = {".ci", ".gitignore", ".gitattributes", ".pre-commit-config.yaml"}
    found = {path.relative_to(ROOT).parts[0] for path in files()}
    assert found <= agreed | hidden | {"data_catalog"}
    assert agreed - {"notebooks"} <= found
