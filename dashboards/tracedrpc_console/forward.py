"""Passes exports on to a second OTLP/HTTP endpoint, in a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
import urllib.error
import urllib.request
from typing import Final, Self

WAITING_MOST: Final = 1000
POST_LIMIT_S: Final = 3.0
CLOSE_LIMIT_S: Final = 4.0

_Export = tuple[str, str, str, bytes]


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
        self._exports: queue.Queue[_Export | None] = queue.Queue(WAITING_MOST)
        self._thread = threading.Thread(target=self._work, name="otlp-forward", daemon=True)

    def __call__(self, path: str, content_type: str, encoding: str, body: bytes) -> None:
        """Take an export; never waits."""
        try:
            self._exports.put_nowait((path, content_type, encoding, body))
        except queue.Full:
            self._fail("it is too slow")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.flush()
        with contextlib.suppress(queue.Full):
            self._exports.put_nowait(None)

    def flush(self, timeout_s: float = CLOSE_LIMIT_S) -> None:
        """Wait until everything taken so far was sent, but not longer than `timeout_s`."""
        with self._exports.all_tasks_done:
            self._exports.all_tasks_done.wait_for(lambda: not self._exports.unfinished_tasks, timeout_s)

    def _work(self) -> None:
        while (export := self._exports.get()) is not None:
            try:
                self._post(*export)
                self.sent += 1
            except (OSError, ValueError) as error:
                self._fail(str(getattr(error, "reason", error)))
            finally:
                self._exports.task_done()

    def _post(self, path: str, content_type: str, encoding: str, body: bytes) -> None:
        headers = {"Content-Type": content_type} | ({"Content-Encoding": encoding} if encoding else {})
        request = urllib.request.Request(self.endpoint + path, body, headers)  # noqa: S310 - checked by main
        with urllib.request.urlopen(request, timeout=POST_LIMIT_S):  # noqa: S310 - see above
            pass

    def _fail(self, reason: str) -> None:
        self.failed += 1
        self.reason = self.reason or reason
