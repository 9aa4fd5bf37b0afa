"""Parameters of a notebook: read from its tagged cell, checked before anything starts.

The cell is parsed, never executed. papermill's own reader works line by line with a pattern that
drops annotations such as `float | None` and cuts text values at a `#`, and papermill runs on when a
name is misspelt; hence this file.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import tokenize
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from skysense_nb.errors import ParameterError
from skysense_nb.runs.library import read_cells

TYPES = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict}


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell.

    Attributes:
        name: Its name.
        annotation: Its type as written (`int`, `list[str]`, `float | None`).
        default: The literal it stands for unless a run says otherwise.
        help: The comment behind it.
    """

    name: str
    annotation: str
    default: Any
    help: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.annotation} = {self.default!r}"

    def check(self, value: Any, *, strict: bool = True) -> Any:
        """Returns `value` if it has the declared type; `strict=False` also reads text as numbers.

        Raises:
            ParameterError: It has another type, or a record could not hold it.
        """
        value = self.as_declared(value, strict=strict)
        try:
            json.dumps(value, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ParameterError.of(
                f"{self.name} as texts, finite numbers, truth values, None, and lists and dicts of them",
                f"{value!r}, which a record cannot hold",
                "Put dates in quotes, use one kind of keys, and None for no limit.",
            ) from error
        return value

    def as_declared(self, value: Any, *, strict: bool) -> Any:
        """Returns `value` as the declared type, see `check`.

        Raises:
            ParameterError: It has another type.
        """
        adapter = TypeAdapter(to_type(ast.parse(self.annotation, mode="eval").body))
        try:
            return adapter.validate_python(value, strict=strict)
        except ValidationError as error:
            raise ParameterError.of(
                f"{self.name} as {self.annotation}",
                f"{value!r} ({type(value).__name__})",
                f"Its default is {self.default!r}.",
            ) from error

    def from_text(self, text: str) -> Any:
        """Reads a value typed on a command line, as the declared type wants it.

        Raises:
            ParameterError: The text cannot be read as the declared type, or a record could not hold what it says.
        """
        if self.annotation == "str":
            return text
        try:
            meant = yaml.safe_load("null" if text.lower() == "none" else text)
        except (yaml.YAMLError, ValueError):  # the latter: a date that does not exist
            meant = text
        typed = text
        for value in (text, meant):  # the latter wins where both are of the type
            with suppress(ParameterError):
                typed = self.as_declared(value, strict=True)
        return self.check(typed, strict=False)


def to_type(node: ast.expr) -> Any:
    """Turns the syntax of an annotation into a type, without evaluating it.

    Raises:
        ParameterError: Anything beyond the literal types, `[…]` and `|`.
    """
    match node:
        case ast.Constant(value=None):
            return type(None)
        case ast.Name(id=name) if name in TYPES:
            return TYPES[name]
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return list[to_type(inner)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return dict[to_type(key), to_type(value)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return to_type(left) | to_type(right)
    raise ParameterError.of(
        f"a type made of {', '.join(TYPES)}, None, [ ] and |", repr(ast.unparse(node)), "Simplify the annotation."
    )


def declared(notebook: Path) -> dict[str, Parameter]:
    """Parameters a notebook declares, in order; empty if no cell is tagged `parameters`.

    Raises:
        ParameterError: Not a notebook, or a parameters cell with more in it than annotated literals.

    Example:
        >>> print(declared(find_notebook("00"))["seed"])              # doctest: +SKIP
        seed: int = 0
    """
    source = next((cell["source"] for cell in read_cells(notebook) if "parameters" in cell["tags"]), "")
    try:
        statements = ast.parse(source).body
        comments = {
            token.start[0]: token.string.lstrip("# ").strip()
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
        found = [
            Parameter(
                statement.target.id,
                ast.unparse(statement.annotation),
                ast.literal_eval(statement.value),
                comments.get(statement.end_lineno, ""),
            )
            for statement in statements
        ]
    except (SyntaxError, AttributeError, TypeError, ValueError) as error:
        raise ParameterError.of(
            f"only lines like `seed: int = 0` in the parameters cell of {notebook.name}",
            str(error),
            "Rewrite the cell.",
        ) from error
    return {parameter.name: parameter for parameter in found}


def check_parameters(notebook: Path, values: dict[str, Any]) -> dict[str, Any]:
    """All parameters of a run: the defaults of `notebook` with `values` in their place.

    Raises:
        ParameterError: A name the notebook does not declare, or a value of another type.
    """
    known = declared(notebook)
    checked = {name: lookup(known, name, notebook).check(value) for name, value in values.items()}
    return {name: parameter.default for name, parameter in known.items()} | checked


def lookup(known: dict[str, Parameter], name: str, notebook: Path) -> Parameter:
    """The parameter called `name`.

    Raises:
        ParameterError: There is none; the message lists what exists.
    """
    if name in known:
        return known[name]
    listed = "; ".join(str(parameter) for parameter in known.values()) or "none at all"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "Use one of these names."
    raise ParameterError.of(f"a parameter of {notebook.stem} ({listed})", repr(name), hint)


def parse(notebook: Path, assignments: list[str], file: Path | None = None) -> dict[str, Any]:
    """Reads parameters from `name=value` texts and a YAML file; the texts win.

    Raises:
        ParameterError: A text without `=`, a file that is not a YAML mapping, an unknown name, a wrong type.

    Example:
        >>> parse(find_notebook("00"), ["seed=3"])                    # doctest: +SKIP
        {'seed': 3}
    """
    given = read_yaml(file) if file else {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ParameterError.of("a parameter as name=value", repr(assignment), "Write for example -p seed=1.")
        given[name.strip()] = text
    known = declared(notebook)
    values = {}
    for name, value in given.items():
        parameter = lookup(known, name, notebook)
        values[name] = parameter.from_text(value) if isinstance(value, str) else parameter.check(value)
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """Mapping stored in a YAML file.

    Raises:
        ParameterError: No such file, or something else in it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: a date that does not exist, or no text
        raise ParameterError.of(f"a YAML file at {path}", " ".join(str(error).split()), "Check the file.") from error
    if isinstance(content, dict) and (odd := [name for name in content if not isinstance(name, str)]):
        raise ParameterError.of(f"names of parameters in {path}", repr(odd[0]), "Name every value.")
    if not isinstance(content, dict):
        raise ParameterError.of(f"lines like `seed: 1` in {path}", type(content).__name__, "Name every value.")
    return content
