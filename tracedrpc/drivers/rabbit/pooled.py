"""What a pool asks of its connections, and what it tells those who borrow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tracedrpc.telemetry import ConnectionInfo, PoolStats


class Pooled(Protocol):
    """What a pool asks of its connections."""

    info: ConnectionInfo
    used_s: float
    taken_ns: int
    """Since when it is in somebody's hands, `time.monotonic_ns()`; 0 while it is idle."""

    def close(self) -> None:
        """Say goodbye and close."""
        ...

    def abandon(self) -> None:
        """Close without a word."""
        ...

    def forget(self) -> None:
        """Let go in a child process."""
        ...


class Asker(Protocol):
    """Who wants to know what became of the time between asking for a connection and having one."""

    def waits(self, pool: PoolStats) -> None:
        """Hear that no connection is idle now."""
        ...

    def connects(self, spent_ns: int) -> None:
        """Hear how long making a connection has taken, in vain or not."""
        ...
