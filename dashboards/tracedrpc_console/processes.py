"""Child processes: started, waited for until they say they are ready, ended by pid within bounds."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import time
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_LIMIT_S: Final = 30.0
END_LIMIT_S: Final = 5.0
_TAIL: Final = 2000


class ChildFailed(Exception):
    """A child ended or did not become ready; the text has the last of what it wrote."""


class Child:
    """A process in a session of its own, so that a Ctrl-C reaches us alone.

    It is expected to write a line to its standard output when it is ready, and to end when its
    standard input does: so it ends with us even when we are killed.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as we do
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """Its standard output."""
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        return self._process.stdout

    def ask_to_end(self) -> None:
        """Tell it to end; returns at once."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.terminate()

    def kill(self) -> None:
        """End it at once, without a word to it."""
        self._process.kill()

    def end(self, limit_s: float) -> None:
        """Wait for its end, and kill it when that takes too long."""
        try:
            self._process.wait(max(0.0, limit_s))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.output.close()
        self._errors.close()

    def failure(self, what: str) -> ChildFailed:
        """Return an exception with the end of what it wrote to its standard error."""
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - _TAIL))
        written = self._errors.read().decode(errors="replace").strip()
        return ChildFailed(f"the service {self.name} (pid {self.pid}) {what}\n{written}".rstrip())


class Children:
    """The children of one run. The end of the `with` block is theirs too."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start one; returns at once."""
        child = Child(name, command, environment)
        self._children.append(child)
        return child

    def wait_ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until each has written its line.

        Raises:
            ChildFailed: one ended before, or the time is over.
        """
        give_up = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                selector.register(child.output, selectors.EVENT_READ, child)
            while waiting := selector.get_map():
                ready = selector.select(max(0.0, give_up - time.monotonic()))
                if not ready:
                    late: Child = next(iter(waiting.values())).data
                    raise late.failure(f"was not ready after {limit_s:.0f} s")
                for key, _ in ready:
                    if not os.read(key.fd, 1024):
                        raise key.data.failure("ended before it was ready")
                    selector.unregister(key.fileobj)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for child in self._children:
            child.ask_to_end()
        give_up = time.monotonic() + END_LIMIT_S
        for child in self._children:
            child.end(give_up - time.monotonic())
