"""Child processes that are spoken to by lines of JSON; each wait has a limit, each end is by pid."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-conformance" / "bin" / "python"
"""Has both libraries and the instrumentor; `make .venv-conformance/.stamp` makes it."""
LINE_S = 60.0
END_S = 20.0


class ProcessFailed(Exception):
    """A child ended or fell silent; the text has the end of what it wrote to its standard error."""


class Process:
    """A script of this folder while its `with` block runs."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end
        self._buffer = b""
        self._process = subprocess.Popen(
            [str(PYTHON), "-W", "ignore", *arguments], cwd=HERE, env=dict(environment),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            pipe.close()

    def tell(self) -> None:
        """Let it go on."""
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def line(self, limit_s: float = LINE_S) -> Any:
        """Return what it says next."""
        give_up = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, give_up - time.monotonic())):
                    raise self._failed(f"said nothing for {limit_s:.0f} s")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise self._failed("ended")
                self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def end(self) -> None:
        """Tell it to end, and wait until it has."""
        self._process.stdin.close()
        try:
            status = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            raise self._failed("did not end") from None
        if status:
            raise self._failed(f"ended with status {status}")

    def _failed(self, what: str) -> ProcessFailed:
        self._errors.seek(0)
        written = self._errors.read().decode(errors="replace")[-3000:]
        return ProcessFailed(f"{' '.join(self._process.args[3:])} {what}\n{written}")
