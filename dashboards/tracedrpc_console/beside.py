"""A console in a process of its own, for the demo: free ports, and a file that goes with it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracedrpc_console.commands.sources import CannotAnswer, Http, Nothing
from tracedrpc_console.processes import Children
from tracedrpc_console.running import read_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracedrpc_console.running import Note

_POLL_S: Final = 0.1
_FREE_PORTS: Final = ("--port", "0", "--otlp-http-port", "0", "--otlp-grpc-port", "0")


@contextlib.contextmanager
def console_beside() -> Iterator[Note]:
    """Run a console while the block runs; give what it says about itself.

    Raises:
        ChildFailed: it could not begin.
    """
    with tempfile.TemporaryDirectory(prefix="tracedrpc-demo-") as folder, Children() as children:
        db = Path(folder) / "console.db"
        command = [
            sys.executable, "-m", "tracedrpc_console.main", "console", "--db", str(db), "--until-eof",
            *_FREE_PORTS,
        ]
        child = children.start("console", command, os.environ)
        children.wait_ready()
        note = read_note(db)
        if note is None:
            raise child.failure("left no word of where it is")
        yield note


def holds(note: Note, trace_id: str, spans: int, limit_s: float) -> bool:
    """Wait until a console has stored so many spans of a trace; False when it has not in time."""
    source = Http(note.url, note.token)
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        with contextlib.suppress(Nothing, CannotAnswer):
            if len(source.get(f"trace/{trace_id}", [])["spans"]) >= spans:
                return True
        time.sleep(_POLL_S)
    return False
