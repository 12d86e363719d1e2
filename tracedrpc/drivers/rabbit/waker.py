"""Wakes a thread that waits on a socket."""

from __future__ import annotations

import contextlib
import os
import threading


class Waker:
    """A pipe to poll beside a socket: `wake()` from any thread makes it readable."""

    __slots__ = ("_lock", "_read", "_write")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return what to poll for reading."""
        return self._read

    def wake(self) -> None:
        """Make the pipe readable; harmless when it is, or when it is closed."""
        with self._lock, contextlib.suppress(OSError):
            os.write(self._write, b".")

    def drain(self) -> None:
        """Make the pipe unreadable again; the waiting thread calls it when it has woken."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def forget(self) -> None:
        """Close this process' copies after a fork, at which another thread may have held the lock."""
        self._lock = threading.Lock()
        self.close()

    def close(self) -> None:
        """Close both ends; the waiting thread calls it when it ends."""
        with self._lock:
            for end in (self._read, self._write):
                with contextlib.suppress(OSError):
                    os.close(end)
            self._read = self._write = -1
