"""Names for the queues that one transport or server has to itself.

Random ones, or with the option `use_queue_manager` "host:process:N": the same again after a restart,
so that the broker neither declares nor keeps ever new queues. See docs/decisions/0007.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracedrpc.exceptions import InvalidOption, TransportDriverError

if TYPE_CHECKING:
    from tracedrpc.options import Options

FOLDERS: Final = ("/dev/shm", tempfile.gettempdir())  # noqa: S108 - the files are locked, and opened safely
"""Where the lock files of names are, the first that can be written to: all processes must meet there."""
MOST: Final = 10_000
"""How many queues of one kind a host's process may have."""
MOST_BYTES: Final = 255
"""Longest name of a queue: AMQP 0-9-1, short strings."""
_UNUSUAL: Final = re.compile(r"[^\w.:@-]")
"""What servers do not accept in the name of a reply queue (`wire.request`)."""
_TAKEN: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.ELOOP, errno.EPERM})
"""Another process holds that name, or another user its file."""


class Lease:
    """A name that is this process' own until it gives it back, or ends in whatever way."""

    __slots__ = ("_fd", "_path", "unique")

    def __init__(self, unique: str, path: Path | None = None, fd: int | None = None) -> None:
        self.unique = unique
        self._path = path
        self._fd = fd

    def release(self) -> None:
        """Give the name back; once is enough."""
        if self._path is not None and self._fd is not None:
            self._path.unlink(missing_ok=True)  # while it is locked: the next one makes its own
        self.forget()

    def forget(self) -> None:
        """Let go of it in a child process, and leave it to the parent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)  # and not unlocked: that would unlock it for the parent as well


class QueueNames:
    """Gives names, thread-safe; no two are in use at once, in any process of this host."""

    def __init__(self, options: Options) -> None:
        self._is_random = not options.use_queue_manager
        host = options.hostname or socket.gethostname()
        process = options.processname or os.path.basename(sys.argv[0])  # noqa: PTH119
        self._base = f"{_UNUSUAL.sub('_', host)}:{_UNUSUAL.sub('_', process)}"
        self._file_of_the_original = f"{host}_{process}_qmanager"
        self._folder = "" if self._is_random else _folder()

    def lease(self, prefix: str) -> Lease:
        """Return what to put after `prefix` for the name of a queue.

        Raises:
            InvalidOption: host and process make names that are too long for AMQP.
            TransportDriverError: there is no name to be had; the text says why.
        """
        if self._is_random:
            return Lease(os.urandom(16).hex())
        for number in range(1 + self._taken_by_the_original(), MOST):
            unique = f"{self._base}:{number}"
            path = self._path(f"{prefix}{unique}")
            fd = self._lock(path, f"{prefix}{unique}")
            if fd is not None:
                return Lease(unique, path, fd)
        raise TransportDriverError(f"all of {MOST} names {prefix}{self._base}:N are in use")

    def _path(self, name: str) -> Path:
        """Return the file that stands for a name."""
        if len(name.encode()) > MOST_BYTES:
            raise InvalidOption(
                "processname",
                f"the queue's name {name!r} has more than {MOST_BYTES} bytes: choose a shorter hostname or "
                "processname",
            )
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        return Path(self._folder, f"tracedrpc-queue-{digest}.lock")

    def _lock(self, path: Path, name: str) -> int | None:
        """Return the file, open and locked; None when another process has it."""
        try:
            return _open_locked(path, name)
        except OSError as error:
            if error.errno in _TAKEN:
                return None
            raise TransportDriverError(f"cannot reserve the queue's name {name!r}: {error}") from error

    def _taken_by_the_original(self) -> int:
        """Return the highest number that a running service on oslo.messaging has taken; 0 for none.

        It keeps "process group:counter:start time of its leader" in a file, for a host and process
        name together, and begins again at 1 when the group has changed.
        """
        try:
            text = Path(FOLDERS[0], self._file_of_the_original).read_text("utf-8")
            group, counter, started = (int(part) for part in text.split(":"))
            leader = Path("/proc", str(group), "stat").read_text("utf-8").split()
        except (OSError, ValueError):
            return 0
        return counter if leader[21:22] == [str(started)] else 0  # proc(5), field 22


def _open_locked(path: Path, name: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(path, fd):
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{name} {os.getpid()}\n".encode(), 0)  # for people who look
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # given back and removed between opening and locking


def _is_there(path: Path, fd: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat(follow_symlinks=False))
    return False


def _folder() -> str:
    for folder in FOLDERS:
        with contextlib.suppress(OSError):
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    raise InvalidOption(
        "use_queue_manager",
        f"use_queue_manager=True needs a place to write to that all processes share: {' or '.join(FOLDERS)}",
    )
