"""What tests need: a transport without a broker, and telemetry that remembers."""

from __future__ import annotations

import inspect
import itertools
import threading
from dataclasses import dataclass, field
from functools import partialmethod
from typing import TYPE_CHECKING, Any, Final, Self

from tracedrpc import _guard
from tracedrpc.drivers.memory import MemoryDriver
from tracedrpc.message import NO_CARRIER
from tracedrpc.options import Options
from tracedrpc.rpc.transport import RPCTransport, bind
from tracedrpc.telemetry import Scope, Telemetry
from tracedrpc.url import TransportHost, TransportURL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RECORDED: Final = (*_guard.MOMENTS, "telemetry_failed")
"""The moments a `RecordingTelemetry` records, under their own names."""

_count: Final = itertools.count(1)


def memory_transport(
    name: str | None = None,
    *,
    telemetry: Telemetry | None = None,
    allowed_remote_exmods: Sequence[str] = (),
    **options: Any,
) -> RPCTransport:
    """Return a transport that needs no broker.

    Args:
        name: transports of the same name reach each other; None for one of its own.
        telemetry: None for one that only writes log lines.
        allowed_remote_exmods: modules whose exceptions are raised here as what they were there.
        **options: settings, see `Options`.
    """
    host = TransportHost(f"private-{next(_count)}" if name is None else name)
    checked = Options(**options)
    told = _guard.guarded(telemetry or Telemetry())
    url = TransportURL(checked, "memory", hosts=[host])
    driver = MemoryDriver(url, checked, told, list(allowed_remote_exmods), checked.control_exchange)
    return bind(RPCTransport(driver), None, checked, told)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    Attributes:
        name: the hook's name; of a scope: "call" or "process" and ".entered", ".failed", ".left".
        fields: what the hook was given, by the names of its parameters.
        thread: the name of the thread that told it.
    """

    name: str
    fields: Mapping[str, Any]
    thread: str = field(default_factory=lambda: threading.current_thread().name)


class RecordingTelemetry(Telemetry):
    """Remembers everything it is told, in order. Thread-safe.

    Args:
        carrier: the trace context that its scopes send along.
    """

    def __init__(self, carrier: Mapping[str, str] = NO_CARRIER) -> None:
        self.moments: list[Moment] = []
        self.carrier = carrier
        self._changed = threading.Condition(threading.Lock())

    def call(self, invocation: Any) -> Scope:
        """Return a scope that is recorded too."""
        return _RecordingScope(self, "call", invocation)

    def process(self, incoming: Any) -> Scope:
        """Return a scope that is recorded too."""
        return _RecordingScope(self, "process", incoming)

    def record(self, name: str, fields: Mapping[str, Any]) -> None:
        """Remember a moment."""
        with self._changed:
            self.moments.append(Moment(name, fields))
            self._changed.notify_all()

    def names(self) -> list[str]:
        """Return the names of what has happened so far, in order."""
        with self._changed:
            return [moment.name for moment in self.moments]

    def of(self, name: str) -> list[Moment]:
        """Return the moments of one name, in order."""
        with self._changed:
            return self._of(name)

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self.moments.clear()

    def wait_for(self, name: str, count: int = 1, timeout_s: float = 5.0) -> list[Moment]:
        """Wait until a moment has happened `count` times, and return those of its name.

        Raises:
            AssertionError: it has not; the text says what has.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._of(name)) >= count, timeout_s):
                happened = ", ".join(moment.name for moment in self.moments) or "nothing"
                raise AssertionError(f"no {count} x {name} in {timeout_s} s; there was: {happened}")
            return self._of(name)

    def _of(self, name: str) -> list[Moment]:
        return [moment for moment in self.moments if moment.name == name]


class _RecordingScope(Scope):
    def __init__(self, telemetry: RecordingTelemetry, name: str, subject: Any) -> None:
        self.carrier = telemetry.carrier
        self._telemetry = telemetry
        self._name = name
        self._subject = subject

    def __enter__(self) -> Self:
        self._telemetry.record(f"{self._name}.entered", {"subject": self._subject})
        return self

    def __exit__(self, *exc_info: object) -> None:
        fields = {"subject": self._subject, "error": exc_info[1]}
        self._telemetry.record(f"{self._name}.left", fields)

    def failed(self, error: BaseException, *, expected: bool = False) -> None:
        fields = {"subject": self._subject, "error": error, "expected": expected}
        self._telemetry.record(f"{self._name}.failed", fields)


def _record_hook(self: RecordingTelemetry, hook: str, /, *args: Any, **fields: Any) -> None:
    given = inspect.signature(getattr(Telemetry, hook)).bind(self, *args, **fields).arguments
    self.record(hook, {name: value for name, value in given.items() if name != "self"})
    getattr(Telemetry, hook)(self, *args, **fields)


for _hook in RECORDED:
    setattr(RecordingTelemetry, _hook, partialmethod(_record_hook, _hook))
