"""Turns records of the standard `logging` tree into OpenTelemetry's log records."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value

from tracedrpc_otel.log_processors import redactor
from tracedrpc_otel.log_records import translate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk._logs import Logger, LoggerProvider

_SILENT: Final = ("opentelemetry.exporter.", "grpc.")
"""Who exports must not be exported: a failure to send would be the next thing to send."""


class OtlpHandler(logging.Handler):
    """Gives each record to a logger provider. Never raises, takes no lock of its own.

    Args:
        provider: where records go.
        redact: keys whose values stay here.
    """

    def __init__(self, provider: LoggerProvider, redact: Iterable[str] = ()) -> None:
        super().__init__()
        self._clean = redactor(redact)
        self._provider = provider
        self._loggers: dict[str, Logger] = {}
        self._here = threading.local()

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit the record unless it is about exporting, or was made by this very method.

        Without the lock of the base class: the batch behind it has one.
        """
        if record.name.startswith(_SILENT) or getattr(self._here, "is_busy", False):
            return False
        # From Python 3.12 on a filter may answer with another record.
        kept: Any = not get_value(_SUPPRESS_INSTRUMENTATION_KEY) and self.filter(record)
        if not kept:
            return False
        self._here.is_busy = True
        try:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)
        finally:
            self._here.is_busy = False
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Give the record to the provider."""
        self._logger(record.name).emit(translate(record, self._clean))

    def _logger(self, name: str) -> Any:
        found = self._loggers.get(name)
        if found is None:
            found = self._loggers[name] = self._provider.get_logger(name)  # type: ignore[assignment]
        return found


class Attachment:
    """Puts a handler above the root logger, and takes it away again.

    Above and not on it: `logging.basicConfig` does nothing when the root has a handler already,
    and `dictConfig`, `fileConfig` and oslo.log's `setup` remove those that they find. A record
    goes from parent to parent as long as there is one; the root usually has none.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._top = logging.Logger("tracedrpc-otlp")  # noqa: LOG001 - not one of the tree's
        self._top.addHandler(handler)
        self._top.addHandler(_LastResort(logging.WARNING))

    def attach(self) -> bool:
        """Begin to receive; False when there is a parent, or OpenTelemetry's own handler."""
        if logging.root.parent is not None or any(map(_is_otel, logging.root.handlers)):
            return False
        logging.root.parent = self._top
        return True

    def detach(self) -> None:
        """Receive nothing more."""
        if logging.root.parent is self._top:
            logging.root.parent = None


def _is_otel(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("opentelemetry.")


class _LastResort(logging.Handler):
    """Shows warnings on stderr, as `logging` does for who has set up no handler.

    It would not any more, because it finds ours.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Show the record when no handler of the application's own does."""
        handler = logging.lastResort
        if handler is not None and record.levelno >= handler.level and not _has_handler(record.name):
            handler.handle(record)


def _has_handler(name: str) -> bool:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger.parent is not None:  # who has none is not of the tree
        if logger.handlers:
            return True
        logger = logger.parent
    return False
