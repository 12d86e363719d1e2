"""Where telemetry leaves the process. Each outlet counts what arrived and what did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from tracedrpc._deadline import Deadline
from tracedrpc_otel.batches import Batcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracedrpc_otel.batches import BatchOptions
    from tracedrpc_otel.exporting import ForkProof

Item = TypeVar("Item")

SHUTDOWN_S: Final = 5.0
"""How long the end of all telemetry may take when nobody says otherwise."""
_LAST_MOMENT: Final = 0.1
"""The share of that time that is kept for ending exports that hang."""


class Outlet(Protocol):
    """One exporter and what waits for it."""

    @property
    def dropped(self) -> int:
        """How many items did not arrive; after `close`, those without an answer are among them."""
        ...

    @property
    def exported(self) -> int:
        """How many items arrived."""
        ...

    def hurry(self) -> int:
        """Begin to export what there is now; return the mark for `wait`."""
        ...

    def wait(self, mark: int, timeout_s: float) -> bool:
        """Wait until what there was before a mark has its answer; False when it has not."""
        ...

    def close(self) -> None:
        """Stop at once, and end the exporter. Idempotent."""
        ...


def flush(outlets: Sequence[Outlet], timeout_s: float) -> bool:
    """Let all outlets export at the same time; False when one of them took longer than that."""
    deadline = Deadline.after(timeout_s)
    marks = [outlet.hurry() for outlet in outlets]
    waited = [
        outlet.wait(mark, deadline.left_s()) for outlet, mark in zip(outlets, marks, strict=True)
    ]
    return all(waited)


def finish(outlets: Sequence[Outlet], timeout_s: float) -> bool:
    """Flush, then close; False when something was left behind. Takes at the longest `timeout_s`."""
    all_gone = flush(outlets, timeout_s * (1 - _LAST_MOMENT))
    for outlet in outlets:
        outlet.close()
    return all_gone


class BatchOutlet(Generic[Item]):
    """A batcher with an exporter at its end.

    Args:
        name: what the items are called.
        exporter: where batches go.
        options: the batcher's limits.
    """

    def __init__(self, name: str, exporter: ForkProof[Any], options: BatchOptions) -> None:
        self._exporter = exporter
        self._batcher: Batcher[Item] = Batcher(name, exporter.export, options)
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """How many items did not arrive."""
        return self._batcher.dropped

    @property
    def exported(self) -> int:
        """How many items arrived."""
        return self._batcher.exported

    def put(self, item: Item) -> None:
        """Take an item; never blocks on the exporter."""
        self._batcher.put(item)

    def hurry(self) -> int:
        """Begin to export what is queued; return the mark for `wait`."""
        return self._batcher.hurry()

    def wait(self, mark: int, timeout_s: float) -> bool:
        """Wait until what was queued before a mark has its answer."""
        return self._batcher.wait(mark, timeout_s)

    def close(self) -> None:
        """Stop at once, and end the exporter."""
        if not self._is_closed:
            self._is_closed = True
            self._batcher.close()
            self._exporter.shutdown()
