"""Where the commands get their answers: a console's file, a running console, or a real Jaeger.

All speak the language of the page's API: a path below /api/c/, parameters in, JSON values out.
"""

from __future__ import annotations

import contextlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from tracedrpc_console.running import data_file, read_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN_VARIABLE: Final = "TRACEDRPC_CONSOLE_TOKEN"  # noqa: S105 - its name
LIMIT_S: Final = 30.0
MOST_BYTES: Final = 256 * 1024 * 1024
Pairs = list[tuple[str, str]]


class CannotAnswer(Exception):
    """Who was asked is not there, or cannot know; the text says who and what to do."""


class Nothing(Exception):
    """What was asked for does not exist; the text says what."""


class Source(Protocol):
    """Something that answers."""

    def get(self, path: str, pairs: Pairs) -> dict[str, Any]:
        """Return the answer to a path, e.g. ("traces", [("service", "api")]).

        Raises:
            CannotAnswer: it is not there, or does not know such things.
            Nothing: there is no such trace.
        """

    def export(self, trace_id: str, wanted: str) -> bytes:
        """Return a trace as a file of some format; raises the same."""


class Http:
    """A running console.

    Args:
        url: of its page.
        token: what it asks for, or None.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def get(self, path: str, pairs: Pairs) -> dict[str, Any]:
        """Ask over HTTP."""
        answer: dict[str, Any] = json.loads(self._fetch(path, pairs))
        return answer

    def export(self, trace_id: str, wanted: str) -> bytes:
        """Download a trace."""
        return self._fetch(f"trace/{trace_id}/export", [("format", wanted)])

    def _fetch(self, path: str, pairs: Pairs) -> bytes:
        address = f"{self._url}/api/c/{urllib.parse.quote(path)}?{urllib.parse.urlencode(pairs)}"
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            return fetch(address, headers)
        except urllib.error.HTTPError as error:
            raise _refused(error, f"the console at {self._url}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise CannotAnswer(f"no console answers at {self._url}: {reason}") from error


class File:
    """A console's data file; a console may be writing to it."""

    def __init__(self, db: Path) -> None:
        from tracedrpc_console.api.answers import Answers  # noqa: PLC0415 - protobuf takes its time
        from tracedrpc_console.store.reader import Reader  # noqa: PLC0415 - see above
        from tracedrpc_console.store.schema import StoreError  # noqa: PLC0415 - see above

        try:
            self._reader = Reader(db)
        except StoreError as error:
            raise CannotAnswer(str(error)) from error
        self._answers = Answers(self._reader)

    def get(self, path: str, pairs: Pairs) -> dict[str, Any]:
        """Ask the file."""
        from tracedrpc_console.api.answers import NotFound  # noqa: PLC0415 - see above
        from tracedrpc_console.api.console import ask  # noqa: PLC0415 - see above
        from tracedrpc_console.api.questions import BadQuestion  # noqa: PLC0415 - see above

        try:
            return ask(self._answers, path, pairs)
        except NotFound as error:
            raise Nothing(str(error)) from error
        except BadQuestion as error:
            raise CannotAnswer(str(error)) from error

    def export(self, trace_id: str, wanted: str) -> bytes:
        """Write a trace down."""
        from tracedrpc_console.exports.formats import Format, export  # noqa: PLC0415 - see above

        file = export(self._reader, trace_id.lower(), Format(wanted))
        if file is None:
            raise Nothing(f"there is no trace {trace_id}")
        return file.content

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


@contextlib.contextmanager
def source(
    db: Path | None = None, console: str | None = None, token: str | None = None, jaeger: str | None = None,
) -> Iterator[Source]:
    """Give what is asked: a Jaeger, a console's URL or a file if one is named, else this user's own console.

    Raises:
        CannotAnswer: there is nothing to ask.
    """
    if jaeger is not None:
        from tracedrpc_console.commands.jaeger import Jaeger  # noqa: PLC0415 - protobuf takes its time

        with Jaeger(jaeger) as remote:
            yield remote
    elif console is not None:
        yield Http(console, token or os.environ.get(TOKEN_VARIABLE) or _noted_token(console))
    else:
        with contextlib.closing(File(_existing(db or data_file()))) as file:
            yield file


def fetch(address: str, headers: dict[str, str]) -> bytes:
    """Return what is at an http or https address.

    Raises:
        urllib.error.HTTPError: the server refused.
        OSError: nobody answered.
        ValueError: it is no such address, or what is there is too much.
    """
    if not address.startswith(("http://", "https://")):
        raise ValueError("it is no http:// or https:// address")
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310 - see above
        content: bytes = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"the answer has more than {MOST_BYTES} bytes")
    return content


def _refused(error: urllib.error.HTTPError, who: str) -> Exception:
    try:
        said = json.loads(error.read(100_000))["error"]
    except (ValueError, KeyError, TypeError, OSError):
        said = error.reason
    if error.code == HTTPStatus.NOT_FOUND:
        return Nothing(str(said))
    return CannotAnswer(f"{who} refused ({error.code}): {said}")


def _noted_token(url: str) -> str | None:
    """Return the token of this user's own console if that is the one."""
    note = read_note(data_file())
    return note.token if note is not None and note.url == url.rstrip("/") else None


def _existing(db: Path) -> Path:
    if not db.exists():
        raise CannotAnswer(
            f"there is no {db}: start `tracedrpc console` and point an exporter at it, or name a file with "
            "--db, a console with --console or a Jaeger with --jaeger",
        )
    return db
