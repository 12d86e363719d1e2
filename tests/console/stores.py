"""A store in a temporary directory, open for writing and for reading."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.console.exports import log_export, trace_export
from tracedrpc_console.ingest.intake import Intake, Receipt, Verdict
from tracedrpc_console.store.reader import Reader
from tracedrpc_console.store.signals import Signal
from tracedrpc_console.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracedrpc_console.store.model import LogRow, SpanRow


class Store:
    """A writer, its intake and a reader of the same file."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.writer = Writer(path, **settings)
        self.intake = Intake(self.writer)
        self.reader = Reader(path)

    def spans(self, *rows: SpanRow) -> Receipt:
        """Store spans; readers see them when this returns."""
        return self.take(Signal.TRACES, trace_export(*rows))

    def logs(self, *rows: LogRow) -> Receipt:
        return self.take(Signal.LOGS, log_export(*rows))

    def take(self, signal: Signal, request: Any) -> Receipt:
        receipt = self.intake.take(signal, request)
        assert receipt.verdict is Verdict.TAKEN
        assert self.writer.flush(20)
        return receipt


@contextmanager
def store(path: Path | None = None, **settings: Any) -> Iterator[Store]:
    with TemporaryDirectory() as directory:
        made = Store(path or Path(directory) / "console.db", **settings)
        try:
            yield made
        finally:
            made.reader.close()
            made.writer.close()
