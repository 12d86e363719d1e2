"""Wakes a thread that waits on a socket."""

from __future__ import annotations

import io
import os
import threading


class Waker:
    """A pipe to poll beside a socket: `wake()` from any thread makes it readable.

    The ends are raw files, because eventlet makes `os.read` and `os.write` wait.
    """

    __slots__ = ("_lock", "_read", "_write")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._read = io.FileIO(read, "r")
        self._write = io.FileIO(write, "w")

    def fileno(self) -> int:
        """Return what to poll for reading."""
        return self._read.fileno()

    def wake(self) -> None:
        """Make the pipe readable; harmless when it is, or when it is closed."""
        with self._lock:
            if not self._write.closed:
                self._write.write(b".")  # a full pipe takes nothing and is readable

    def drain(self) -> None:
        """Make the pipe unreadable again; the waiting thread calls it when it has woken."""
        self._read.read(4096)

    def forget(self) -> None:
        """Close this process' copies after a fork, at which another thread may have held the lock."""
        self._lock = threading.Lock()
        self.close()

    def close(self) -> None:
        """Close both ends; the waiting thread calls it when it ends."""
        with self._lock:
            self._read.close()
            self._write.close()
