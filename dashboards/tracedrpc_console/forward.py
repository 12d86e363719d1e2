"""Passes exports on to a second OTLP/HTTP endpoint, in a thread of its own."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections import deque
from typing import Final, NamedTuple, Self

from tracedrpc import _threads

WAITING_MOST: Final = 1000
BYTES_MOST: Final = 16 * 1024 * 1024
POST_LIMIT_S: Final = 3.0
CLOSE_LIMIT_S: Final = 4.0


class _Export(NamedTuple):
    path: str
    content_type: str
    encoding: str
    body: bytes


class Forwarder:
    """Sends what it is given to an endpoint while its `with` block runs; drops it when that fails.

    Args:
        endpoint: base URL, e.g. "http://127.0.0.1:4318".

    Attributes:
        sent: exports that were accepted there.
        failed: exports that were not.
        reason: why the first one was not, or "".
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/").removesuffix("/v1/traces")
        self.sent = 0
        self.failed = 0
        self.reason = ""
        self._waiting: deque[_Export] = deque()
        self._bytes = 0
        self._is_sending = False
        self._is_closed = False
        self._changed = threading.Condition()

    def __call__(self, path: str, content_type: str, encoding: str, body: bytes) -> None:
        """Take an export; never waits."""
        with self._changed:
            if len(self._waiting) >= WAITING_MOST or self._bytes >= BYTES_MOST:
                self._fail("it is too slow")
                return
            self._waiting.append(_Export(path, content_type, encoding, body))
            self._bytes += len(body)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        _threads.start("otlp-forward", self._work)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.flush()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def flush(self, timeout_s: float = CLOSE_LIMIT_S) -> None:
        """Wait until everything taken so far was sent, but not longer than `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_sending, timeout_s)

    def _work(self) -> None:
        while (export := self._next()) is not None:
            reason = self._post(export)
            with self._changed:
                self._is_sending = False
                if reason:
                    self._fail(reason)
                else:
                    self.sent += 1
                self._changed.notify_all()

    def _next(self) -> _Export | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                return None
            export = self._waiting.popleft()
            self._bytes -= len(export.body)
            self._is_sending = True
            return export

    def _post(self, export: _Export) -> str:
        """Send one export; return why it was not accepted, or ""."""
        headers = {"Content-Type": export.content_type}
        if export.encoding:
            headers["Content-Encoding"] = export.encoding
        request = urllib.request.Request(self.endpoint + export.path, export.body, headers)  # noqa: S310 - by main
        try:
            with urllib.request.urlopen(request, timeout=POST_LIMIT_S):  # noqa: S310 - see above
                return ""
        except (OSError, ValueError) as error:
            return str(getattr(error, "reason", error)) or type(error).__name__

    def _fail(self, reason: str) -> None:
        self.failed += 1
        self.reason = self.reason or reason
