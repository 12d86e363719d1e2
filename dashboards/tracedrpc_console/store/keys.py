"""Keys that are times: made unique, or clamped to what a column holds."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

LATEST_NS: Final = 2**62
"""In the year 2116. What claims to be later is refused at the edge."""
SLACK_NS: Final = 1 << 34
"""A key is later than its time by no more than this, unless millions of rows have the same time."""
_FIRST_STEP_BITS: Final = 4
_random = Random(0)  # noqa: S311 - it only spreads keys


def unique_keys(connection: sqlite3.Connection, table: str, times: list[int]) -> list[int]:
    """Return a key for each of `times`: itself, or the next free instant where it is taken.

    The order of different times is kept among themselves; `times` has to be in ascending order.
    """
    keys = _spread(times)
    step_bits = _FIRST_STEP_BITS
    while taken := _taken(connection, table, keys):
        keys = _spread([key + _random.randrange(1, 1 << step_bits) if key in taken else key for key in keys])
        step_bits = min(step_bits + 4, 40)
    return keys


def _spread(times: list[int]) -> list[int]:
    """Return ascending keys without doubles, each as near to its time as can be."""
    keys = list(times)
    if all(one < other for one, other in pairwise(keys)):
        return keys
    last = -1
    for place, key in enumerate(keys):
        keys[place] = last = max(key, last + 1)
    return keys


def _taken(connection: sqlite3.Connection, table: str, keys: list[int]) -> set[int]:
    found = connection.execute(
        f"SELECT key FROM {table} WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(keys),),  # noqa: S608
    )
    return {key for (key,) in found}
