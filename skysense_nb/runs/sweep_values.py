"""What to sweep over, as people write it: `seed=0..4` on a command line, lists in a YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from skysense_nb.errors import ParameterError
from skysense_nb.runs.library import find_notebook
from skysense_nb.runs.parameters import Parameter, declared, lookup, read_yaml

RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


class SweepFile(BaseModel):
    """What a YAML file asks for.

    Attributes:
        notebook: Name, number or path; None leaves it to the command.
        parameters: The same for all runs.
        sweep: Values by parameter: a list, or a text as on the command line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    notebook: str | int | None = None
    parameters: dict[str, Any] = {}
    sweep: dict[str, list[Any] | str]

    @property
    def name(self) -> str | None:
        """The notebook as text; YAML reads `00` as a number."""
        return f"{self.notebook:02d}" if isinstance(self.notebook, int) else self.notebook


def read_sweep_file(path: Path) -> SweepFile:
    """Reads a file with `notebook`, `parameters` and `sweep`.

    Raises:
        ParameterError: No such file, or something else in it.
    """
    try:
        return SweepFile.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        got = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ParameterError.of(f"notebook, parameters and sweep in {path}", got, "Mend the file.") from error


def parse_lists(notebook: str | Path, assignments: Iterable[str]) -> dict[str, list[Any]]:
    """Reads texts like `preset=skysense-tiny,skysense-v2-tiny` or `seed=0..4`.

    Raises:
        ParameterError: A text without `=`, a name given twice, an unknown name, a value of another type.

    Example:
        >>> parse_lists("00", ["seed=0..2"])                          # doctest: +SKIP
        {'seed': [0, 1, 2]}
    """
    texts = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ParameterError.of("values as name=a,b,c", repr(assignment), "Write for example --sweep seed=0..4.")
        if name.strip() in texts:
            raise ParameterError.of(f"values of {name.strip()} once", "them twice", "List all of them in one --sweep.")
        texts[name.strip()] = text
    return read_lists(notebook, texts)


def read_lists(notebook: str | Path, given: dict[str, list[Any] | str]) -> dict[str, list[Any]]:
    """Values by parameter, from lists or texts.

    Raises:
        ParameterError: An unknown name, a value of another type.
    """
    source = find_notebook(notebook)
    known = declared(source)
    parameters = {name: lookup(known, name, source) for name in given}
    return {
        name: [value for entry in entries(text) for value in values(parameters[name], *entry)]
        for name, text in given.items()
    }


def entries(given: list[Any] | str) -> list[tuple[str | None, Any]]:
    """Each entry as it is written (None where it is no text) and as YAML understands it.

    Raises:
        ParameterError: A text that YAML cannot read.
    """
    if isinstance(given, list):
        return [(entry if isinstance(entry, str) else None, entry) for entry in given]
    try:
        written = meant = yaml.load(f"[{given}]", yaml.BaseLoader)
        if not all(isinstance(one, str) for one in written):  # lists and mappings, by what is in them
            meant = yaml.load(f"[{given}]", yaml.SafeLoader)
    except (yaml.YAMLError, ValueError) as error:  # the latter: a date that does not exist
        raise ParameterError.of("values as a,b,c", repr(given), "Put odd ones in quotes.") from error
    return [(one if isinstance(one, str) else None, other) for one, other in zip(written, meant, strict=True)]


def values(parameter: Parameter, written: str | None, meant: Any) -> list[Any]:
    """What one entry stands for: `a..b` for whole numbers in a row, anything else for itself."""
    if written is None:
        return [parameter.check(meant)]
    whole = RANGE.fullmatch(written.strip())
    if whole is None or parameter.annotation == "str":
        return [parameter.from_text(written)]
    first, last = map(int, whole.groups())
    if first > last:
        raise ParameterError.of(f"{parameter.name} from low to high", repr(written), f"Write {last}..{first}.")
    return [parameter.check(number) for number in range(first, last + 1)]
