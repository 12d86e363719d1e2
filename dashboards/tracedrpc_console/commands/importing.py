"""`tracedrpc import`: files with traces, logs or metrics into a console's store."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from tracedrpc_console.commands import options
from tracedrpc_console.commands.printing import say
from tracedrpc_console.running import data_file, read_note
from tracedrpc_console.terminal import make_console

if TYPE_CHECKING:
    from tracedrpc_console.exports.imports import Found
    from tracedrpc_console.ingest.intake import Intake
    from tracedrpc_console.running import Note

FULL_LIMIT_S: Final = 60.0
_PAUSE_S: Final = 0.05
_POST_S: Final = 30.0


class CannotImport(Exception):
    """A file cannot be read or stored; the text says which and why."""


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="OTLP JSON or Jaeger JSON.", exists=True),
    ],
    db: options.Db = None,
) -> None:
    """Read files with traces, logs or metrics into a console's data file, whether it runs or not."""
    from tracedrpc_console.store.schema import StoreError  # noqa: PLC0415 - --help need not wait for it

    path = db or data_file()
    terminal = make_console()
    try:
        for file in files:
            note = read_note(path)
            counted = _send(note, file) if note is not None else _store(path, file)
            say(terminal, Text(f"{counted} from {file}"))
    except (CannotImport, StoreError) as error:
        options.fail(str(error), options.CANNOT_ASK)


def into(intake: Intake, file: Path) -> str:
    """Hand a file to an intake; return what was in it, in words.

    Raises:
        CannotImport: it cannot be read, or the store takes nothing for a minute.
    """
    kept = refused = 0
    for found in _read(file):
        receipt = _take(intake, found, file)
        kept, refused = kept + receipt[0], refused + receipt[1]
    return f"{kept} records" + (f" ({refused} were refused)" if refused else "")


def _take(intake: Intake, found: Found, file: Path) -> tuple[int, int]:
    from tracedrpc_console.ingest.intake import Verdict  # noqa: PLC0415 - see above

    size = found.request.ByteSize()
    give_up = time.monotonic() + FULL_LIMIT_S
    while time.monotonic() < give_up:
        receipt = intake.take(found.signal, found.request, size)
        if receipt.verdict is not Verdict.FULL:
            return receipt.kept, receipt.refused
        time.sleep(_PAUSE_S)  # the writer needs a moment; nothing signals that it has room
    raise CannotImport(f"{file}: the store takes nothing more since {FULL_LIMIT_S:.0f} s")


def _store(db: Path, file: Path) -> str:
    """Write a file's records into a data file that no console has open."""
    from tracedrpc_console.ingest.intake import Intake  # noqa: PLC0415 - see above
    from tracedrpc_console.store.writer import Writer  # noqa: PLC0415 - see above

    db.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Writer(db) as writer:
        return into(Intake(writer), file)


def _send(note: Note, file: Path) -> str:
    """Send a file's records to a running console."""
    exports = 0
    for signal, request in _read(file):
        _post(f"{note.otlp}/v1/{signal}", request.SerializeToString())
        exports += 1
    return f"{exports} exports sent to {note.otlp}"


def _post(address: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(address, body, headers)  # noqa: S310 - the note of our own console
    give_up = time.monotonic() + FULL_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=_POST_S):  # noqa: S310 - see above
                return
        except urllib.error.HTTPError as error:
            if error.code != 429 or time.monotonic() > give_up:  # noqa: PLR2004 - its queue is full
                raise CannotImport(f"{address} refused it: {error.code} {error.reason}") from error
            time.sleep(_PAUSE_S)
        except OSError as error:
            raise CannotImport(f"{address} does not answer: {error}") from error


def _read(file: Path) -> list[Found]:
    from tracedrpc_console.exports.imports import Unreadable, read  # noqa: PLC0415 - see above

    try:
        return list(read(file.read_bytes()))
    except (OSError, Unreadable) as error:
        raise CannotImport(f"{file}: {error}") from error
