"""The terminal that the commands write to."""

from __future__ import annotations

import os
import sys
from typing import Final

from rich.console import Console

CI_WIDTH: Final = 100
"""Columns when the output goes to a file and nobody says how many there are."""


def make_console() -> Console:
    """Return a console for standard output; without colours when that is no terminal."""
    is_plain = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, width=CI_WIDTH if is_plain else None)


def is_watched() -> bool:
    """Tell whether a person sits at the terminal, and not a CI job that has one."""
    return sys.stdout.isatty() and sys.stdin.isatty() and not os.environ.get("CI")
