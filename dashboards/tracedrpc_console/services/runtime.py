"""CPU, memory, threads and garbage collection of an example service, where the extra `runtime` is installed.

OpenTelemetry's own instrumentation measures them under the names of its conventions; what it says of
the whole machine belongs to a collector, which sees it once.
"""

from __future__ import annotations

import contextlib
from typing import Final

MEASURED: Final[dict[str, list[str] | None]] = {
    "process.context_switches": ["involuntary", "voluntary"],
    "process.cpu.time": ["user", "system"],
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.open_file_descriptor.count": None,
    "process.thread.count": None,
    "cpython.gc.collections": None,
    "cpython.gc.collected_objects": None,
    "cpython.gc.uncollectable_objects": None,
}
"""Instruments and, where they have a choice, the states to tell."""


def observe() -> None:
    """Have the global meter provider ask for them at each collection; nothing without the extra."""
    with contextlib.suppress(ImportError):
        from opentelemetry.instrumentation.system_metrics import (  # noqa: PLC0415 - an extra
            SystemMetricsInstrumentor,
        )

        SystemMetricsInstrumentor(config=dict(MEASURED)).instrument()
