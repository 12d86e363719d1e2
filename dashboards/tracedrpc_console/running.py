"""Where the console keeps its data, and the note by which other commands find one that runs."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS_ALONE: Final = 0o600
"""The note holds the token, so nobody else may read it."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a running console says about itself.

    Attributes:
        url: the page's base URL, without a slash at its end.
        token: what its API asks for; None when it asks for nothing.
        otlp: the OTLP/HTTP endpoint.
        db: the data file.
        pid: its process.
    """

    url: str
    token: str | None
    otlp: str
    db: str
    pid: int

    def page(self, view: str = "") -> str:
        """Return the address of a view, e.g. "trace/4bf9...", that lets a browser in."""
        entry = f"{self.url}/?token={quote(self.token)}" if self.token else f"{self.url}/"
        return f"{entry}#/{view}" if view else entry


def data_file() -> Path:
    """Return the default data file: `$XDG_STATE_HOME/tracedrpc/console.db`, or below `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification has relative paths ignored.
    state = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return state / "tracedrpc" / "console.db"


def read_note(db: Path) -> Note | None:
    """Return the note of the console that runs on a data file; None when none does."""
    try:
        note = Note(**json.loads(_note_file(db).read_text(encoding="utf-8")))
        return note if _is_alive(note.pid) else None
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def noted(note: Note) -> Iterator[None]:
    """Leave a note beside the data file while the block runs."""
    path = _note_file(Path(note.db))
    draft = path.with_suffix(f".{note.pid}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OURS_ALONE), "w") as file:
        json.dump(asdict(note), file)
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _note_file(db: Path) -> Path:
    return db.with_name(f"{db.name}.running")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
