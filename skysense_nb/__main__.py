"""The command line `skysense-nb`; its commands lie in `commands/`."""

from __future__ import annotations

import sys

from skysense_nb.commands import app
from skysense_nb.errors import SkySenseError


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except SkySenseError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
