"""Spans made by hand, and the command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

from tracedrpc_console.spans import Event, Kind, Span

MS = 1_000_000
EPOCH_NS = 1_700_000_000 * 10**9
TRACE_ID = "a" * 32


def span(
    span_id: str, parent_id: str, service: str, name: str, kind: Kind, start_ms: float, end_ms: float,
    **fields: Any,
) -> Span:
    return Span(
        TRACE_ID, span_id, parent_id, service, name, kind,
        EPOCH_NS + int(start_ms * MS), EPOCH_NS + int(end_ms * MS), **fields,
    )


def beat(name: str, at_ms: float) -> Event:
    return Event(name, EPOCH_NS + int(at_ms * MS))


def a_call() -> list[Span]:
    """Return a call of 40 ms that waits 10 ms in the queue and gets two heartbeats."""
    beats = (beat("heartbeat_received", 20.5), beat("heartbeat_received", 28.5))
    return [
        span("1", "", "api", "compute/reboot", Kind.CLIENT, 0, 40, events=beats),
        span("2", "1", "api", "publish nova:compute", Kind.CLIENT, 0.1, 2),
        span("3", "1", "compute", "compute/reboot", Kind.SERVER, 12, 36),
        span("4", "3", "compute", "cast audit/log", Kind.PRODUCER, 30, 30.2),
        span("5", "1", "api", "receive reply_{id}", Kind.CLIENT, 38, 40),
    ]


def failed(spans: list[Span], *ids: str) -> list[Span]:
    return [replace(each, is_error=True) if each.span_id in ids else each for each in spans]


def run(*args: str, timeout_s: float = 60.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command `tracedrpc` and return what it printed."""
    command = [sys.executable, "-m", "tracedrpc_console.main", *args]
    plain = {"COLUMNS": "120", "PYTHONUTF8": "1"}
    return subprocess.run(
        command, env=os.environ | plain | environment, capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )
