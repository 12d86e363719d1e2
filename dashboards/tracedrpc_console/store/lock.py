"""One writer for a file: an advisory lock on a file beside it, which ends with its process."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from tracedrpc_console.store.schema import StoreError

if TYPE_CHECKING:
    from pathlib import Path


class WriterLock:
    """Holds the right to write to a file from its making until `release`.

    Raises:
        StoreError: somebody else holds it; the text has the process id.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "another process"
            os.close(self._file)
            raise StoreError(
                path, f"process {owner} writes to it; end that one or choose another file with --db",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the next one in. The file of the lock stays: removing it would let two in."""
        os.close(self._file)
