"""A real Jaeger as a source: its traces are fetched into a file for a moment, and that file is asked.

Its API of version 3 is tried first, then version 1. Jaeger keeps neither logs nor our metrics.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import urllib.error
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

from tracedrpc_console.commands.sources import CannotAnswer, File, Nothing, fetch
from tracedrpc_console.exports.imports import Unreadable, read
from tracedrpc_console.ingest.intake import Intake
from tracedrpc_console.store.writer import Writer

if TYPE_CHECKING:
    from tracedrpc_console.commands.sources import Pairs

TRACES_MOST: Final = 500
FLUSH_S: Final = 30.0
DAY_US: Final = 86_400 * 10**6
ALWAYS_S: Final = 100 * 365 * 86_400.0
_NOT_KNOWN: Final = ("logs", "pool", "status")


class Jaeger:
    """A Jaeger while its `with` block runs.

    Args:
        url: of its query service, e.g. "http://127.0.0.1:16686".
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracedrpc-")))
            db = folder / "jaeger.db"
            self._writer = stack.enter_context(Writer(db, retention_s=ALWAYS_S))
            self._intake = Intake(self._writer)
            self._file = stack.enter_context(contextlib.closing(File(db)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def get(self, path: str, pairs: Pairs) -> dict[str, Any]:
        """Fetch what a question is about, then answer it."""
        parts = path.split("/")
        if parts[0] in _NOT_KNOWN or parts[2:] == ["logs"]:
            raise CannotAnswer(f"Jaeger at {self._url} keeps no {parts[-1]}: ask a console")
        if parts[0] == "services":
            return {"services": [{"name": name} for name in self._services()]}
        if parts[0] in {"trace", "explain"}:
            self._fetch_trace(parts[1])
        else:
            self._search(dict(pairs))
        return self._file.get(path, pairs)

    def export(self, trace_id: str, wanted: str) -> bytes:
        """Fetch a trace and write it down."""
        self._fetch_trace(trace_id)
        return self._file.export(trace_id, wanted)

    def _services(self) -> list[str]:
        found = json.loads(self._ask("/api/v3/services", "/api/services"))
        return sorted(found.get("services") or found.get("data") or [])

    def _fetch_trace(self, trace_id: str) -> None:
        name = quote(trace_id, safe="")
        self._keep(self._ask(f"/api/v3/traces/{name}", f"/api/traces/{name}"))

    def _search(self, wanted: dict[str, str]) -> None:
        """Fetch the traces that a search may find: of one service, or of each."""
        to_us = int(wanted.get("to") or datetime.now(UTC).timestamp() * 1e6)
        from_us = int(wanted.get("from") or to_us - DAY_US)
        for service in [wanted["service"]] if wanted.get("service") else self._services():
            v3 = {
                f"query.{name}": value for names, value in (
                    (("serviceName", "service_name"), service),
                    (("startTimeMin", "start_time_min"), _rfc3339(from_us)),
                    (("startTimeMax", "start_time_max"), _rfc3339(to_us)),
                    (("searchDepth", "num_traces"), TRACES_MOST),
                ) for name in names  # newer servers know the first, older ones the second
            }
            v1 = {"service": service, "start": from_us, "end": to_us, "limit": TRACES_MOST}
            with contextlib.suppress(Nothing):  # this service had no traces then
                self._keep(self._ask(f"/api/v3/traces?{urlencode(v3)}", f"/api/traces?{urlencode(v1)}"))

    def _keep(self, content: bytes) -> None:
        try:
            for signal, request in read(content):
                self._intake.take(signal, request)
        except Unreadable as error:
            raise CannotAnswer(f"what Jaeger at {self._url} answered cannot be read: {error}") from error
        if not self._writer.flush(FLUSH_S):
            raise CannotAnswer(f"the traces of Jaeger at {self._url} could not be stored in {FLUSH_S:.0f} s")

    def _ask(self, *paths: str) -> bytes:
        """Return the answer to the first path that has one.

        Raises:
            Nothing: all say that there is no such thing.
            CannotAnswer: nobody answers.
        """
        said = ""
        for path in paths:
            try:
                return fetch(self._url + path, {})
            except urllib.error.HTTPError as error:
                said = f"{path.partition('?')[0]}: {error.code} {error.reason}"
                if error.code not in {400, 404, 405, 500, 501}:  # an older or newer one says one of these
                    break
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise CannotAnswer(f"no Jaeger answers at {self._url}: {reason}") from error
        if ": 404 " in said:
            raise Nothing(f"Jaeger at {self._url} has no such thing ({said})")
        raise CannotAnswer(f"Jaeger at {self._url} refused ({said})")


def _rfc3339(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
