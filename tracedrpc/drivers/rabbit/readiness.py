"""Waits until there is something to read."""

from __future__ import annotations

import select
from typing import Protocol


class Poll(Protocol):
    """What is used here of `select.poll`."""

    def register(self, fd: int, events: int, /) -> None:
        """Watch one more file descriptor."""
        ...

    def poll(self, timeout_ms: float, /) -> list[tuple[int, int]]:
        """Wait for the first to be readable, at most so long; return those that are."""
        ...


class SelectPoll:
    """The same over `select.select`, which is all that eventlet leaves in a process it patches."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def register(self, fd: int, _events: int) -> None:
        """Watch one more file descriptor; always for reading."""
        self._fds.append(fd)

    def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
        """Wait for the first to be readable."""
        readable, _, _ = select.select(self._fds, [], [], timeout_ms / 1000)
        return [(fd, select.POLLIN) for fd in readable]


def make_poll() -> Poll:
    """Return the system's own, where there is one."""
    return select.poll() if hasattr(select, "poll") else SelectPoll()
