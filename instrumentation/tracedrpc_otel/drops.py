"""How much telemetry of this process got lost on its way out, for whoever asks: a metric, a test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_lock: Final = threading.Lock()
_counters: Final[dict[str, Callable[[], int]]] = {}


def watch(signal: str, counter: Callable[[], int]) -> None:
    """Let `dropped` ask this counter for a signal: "traces", "metrics" or "logs"."""
    with _lock:
        _counters[signal] = counter


def dropped() -> Mapping[str, int]:
    """Return how many spans, metric points and log records did not arrive; any thread.

    By signal; those that `configure` did not set up are not in it. For the observable counter
    `tracedrpc.telemetry.dropped`.
    """
    with _lock:
        counters = dict(_counters)
    return {signal: counter() for signal, counter in counters.items()}
