"""How long to wait before the next attempt: the first at once, then growing, with jitter."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracedrpc.options import Options

GROWTH: Final = 1.6
"""The factor of gRPC's connection back-off (grpc/doc/connection-backoff.md)."""

LEAST_S: Final = 0.1
"""The first delay where the options ask for none: without any, a dead broker would cost a whole core."""


class Backoff:
    """Delays in seconds: 0 (unless not `at_once`), up to `first_s`, growing to `most_s`; jittered.

    Args:
        step_s: how much each is longer than the one before, besides growing by a factor.
        splay_s: up to so much more at random, the first included.
    """

    __slots__ = ("_first_s", "_most_s", "_next_limit_s", "_splay_s", "_step_s")

    def __init__(
        self, first_s: float, most_s: float, *,
        at_once: bool = True, step_s: float = 0.0, splay_s: float = 0.0,
    ) -> None:
        self._first_s = min(first_s, most_s)
        self._most_s = most_s
        self._step_s = step_s
        self._splay_s = splay_s
        self._next_limit_s = 0.0 if at_once else self._first_s

    def next_s(self) -> float:
        """Return the seconds to wait before the next attempt."""
        limit_s = self._next_limit_s
        grown_s = limit_s * GROWTH + self._step_s if limit_s else self._first_s
        self._next_limit_s = min(self._most_s, grown_s)
        splay_s = random.uniform(0, self._splay_s) if self._splay_s else 0.0  # noqa: S311
        return random.uniform(limit_s / 2, limit_s) + splay_s  # noqa: S311 - spreads, hides nothing

    def reset(self) -> None:
        """Begin again: the last attempt succeeded."""
        self._next_limit_s = 0.0


def reconnect_backoff(options: Options) -> Backoff:
    """Return the delays between attempts to reach a broker; never none at all."""
    return Backoff(
        options.kombu_reconnect_delay + options.rabbit_retry_interval or LEAST_S, options.rabbit_interval_max,
        step_s=options.rabbit_retry_backoff, splay_s=options.kombu_reconnect_splay,
    )
