"""Counts of what happens, in plain integers; readers of metrics look at them when they collect.

Counting so costs a fraction of a measurement, and loses nothing that happened before a meter
provider was set.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation

from tracedrpc_otel.attributes import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.records import Value

    Key = tuple[tuple[str, Value], ...]

TALLY_LIMIT: Final = 200
"""Series of one counter, before all further ones are counted as `_OTHER`."""
NOTHING: Final[Mapping[str, Value]] = {}

LOCK: Final = threading.RLock()
"""Held for nanoseconds. Reentrant, because a signal handler may make a call. A process that forks
takes it first, so that the child does not inherit it from a thread it does not have."""

os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)


class Tally:
    """The counts of one counter by its attributes; any thread."""

    __slots__ = ("_allowed", "_counts", "_limit", "instrument")

    def __init__(self, instrument: Instrument, limit: int = TALLY_LIMIT) -> None:
        self.instrument = instrument
        self._allowed = instrument.attributes
        self._limit = limit
        self._counts: dict[Key, int] = {}
        self.restart()

    def add(self, attributes: Mapping[str, Value] = NOTHING) -> None:
        """Count one."""
        key = tuple((name, attributes[name]) for name in self._allowed if name in attributes)
        with LOCK:
            counts = self._counts
            if key not in counts and len(counts) >= self._limit:
                key = tuple((name, OTHER) for name, value in key if isinstance(value, str))
            counts[key] = counts.get(key, 0) + 1

    def observe(self) -> list[Observation]:
        """Return the counts so far."""
        with LOCK:
            counts = list(self._counts.items())
        return [Observation(count, dict(key)) for key, count in counts]

    def restart(self) -> None:
        """Begin anew; a counter without attributes has its one series at once, at zero."""
        with LOCK:
            self._counts = {} if self._allowed else {(): 0}

