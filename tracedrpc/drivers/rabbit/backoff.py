"""How long to wait before the next attempt: the first at once, then growing, with jitter."""

from __future__ import annotations

import random
from typing import Final

GROWTH: Final = 1.6
"""The factor of gRPC's connection back-off (grpc/doc/connection-backoff.md)."""


class Backoff:
    """Delays in seconds: 0 (unless not `at_once`), up to `first_s`, growing to `most_s`; jittered."""

    __slots__ = ("_first_s", "_most_s", "_next_limit_s")

    def __init__(self, first_s: float, most_s: float, *, at_once: bool = True) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_limit_s = 0.0 if at_once else first_s

    def next_s(self) -> float:
        """Return the seconds to wait before the next attempt."""
        limit_s = self._next_limit_s
        self._next_limit_s = min(self._most_s, limit_s * GROWTH or self._first_s)
        return random.uniform(limit_s / 2, limit_s)  # noqa: S311 - spreads reconnects, hides nothing

    def reset(self) -> None:
        """Begin again: the last attempt succeeded."""
        self._next_limit_s = 0.0
