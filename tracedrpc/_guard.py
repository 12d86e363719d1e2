"""Keeps telemetry from disturbing a call, and knows which telemetry is installed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Self

from tracedrpc.message import NO_CARRIER
from tracedrpc.telemetry import SILENCE, Scope, Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENTRY_POINTS: Final = "tracedrpc.telemetry"
SCOPES: Final = ("call", "process")
MOMENTS: Final = tuple(
    name
    for name, hook in vars(Telemetry).items()
    if callable(hook) and not name.startswith("_") and name not in (*SCOPES, "telemetry_failed")
)

_lock: Final = threading.Lock()
_installed: Telemetry | None = None


class Guarded(Telemetry):
    """Passes everything on to another telemetry; what that one raises is reported once a hook."""

    def __init__(self, inner: Telemetry) -> None:
        self.inner = inner
        self._reported: set[str] = set()
        self.carrier_keys = inner.carrier_keys
        for name in MOMENTS:
            setattr(self, name, self._guard(name, getattr(inner, name)))

    def call(self, invocation: Any) -> Scope:
        """Return the inner scope, guarded."""
        return self._scope("call", invocation)

    def process(self, incoming: Any) -> Scope:
        """Return the inner scope, guarded."""
        return self._scope("process", incoming)

    def _scope(self, name: str, subject: Any) -> Scope:
        try:
            scope: Scope = getattr(self.inner, name)(subject)
        except Exception as error:  # noqa: BLE001 - telemetry never changes a result
            self.report(name, error)
            return SILENCE
        return scope if scope is SILENCE else _GuardedScope(self, name, scope)

    def _guard(self, name: str, hook: Callable[..., None]) -> Callable[..., None]:
        def guarded_hook(*args: Any, **fields: Any) -> None:
            try:
                hook(*args, **fields)
            except Exception as error:  # noqa: BLE001 - telemetry never changes a result
                self.report(name, error)

        return guarded_hook

    def report(self, name: str, error: Exception) -> None:
        """Say once for each hook that it raised."""
        if name not in self._reported:
            self._reported.add(name)
            self.telemetry_failed(name, error)


class _GuardedScope(Scope):
    """A scope whose faults are reported and go no further."""

    __slots__ = ("_guard", "_inner", "_name", "carrier")

    def __init__(self, guard: Guarded, name: str, inner: Scope) -> None:
        self._guard = guard
        self._name = name
        self._inner = inner
        self.carrier = NO_CARRIER

    @property
    def ids(self) -> Mapping[str, str]:  # type: ignore[override]  # read-only here
        try:
            return self._inner.ids
        except Exception as error:  # noqa: BLE001 - telemetry never changes a result
            self._guard.report(self._name, error)
            return NO_CARRIER

    @property
    def inner(self) -> Scope:
        """The scope that the telemetry itself made."""
        return self._inner

    def __enter__(self) -> Self:
        try:
            self._inner.__enter__()
            self.carrier = _texts(self._inner.carrier)
        except Exception as error:  # noqa: BLE001 - telemetry never changes a result
            self._guard.report(self._name, error)
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._inner.__exit__(*exc_info)
        except Exception as error:  # noqa: BLE001 - telemetry never changes a result
            self._guard.report(self._name, error)

    def failed(self, error: BaseException, *, expected: bool = False) -> None:
        try:
            self._inner.failed(error, expected=expected)
        except Exception as failure:  # noqa: BLE001 - telemetry never changes a result
            self._guard.report(self._name, failure)


def _texts(carrier: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return what of a carrier can go into headers."""
    return {key: value for key, value in carrier.items() if isinstance(key, str) and isinstance(value, str)}


def guarded(telemetry: Telemetry) -> Telemetry:
    """Return the telemetry, wrapped unless it is known not to raise."""
    return telemetry if type(telemetry) is Telemetry or isinstance(telemetry, Guarded) else Guarded(telemetry)


def install(telemetry: Telemetry | None) -> Telemetry | None:
    """Use this telemetry for transports made from now on; return the one used before.

    None goes back to looking for one among the installed packages.
    """
    global _installed
    with _lock:
        before, _installed = _installed, telemetry
    return before


def installed() -> Telemetry:
    """Return the telemetry for a new transport; the first call looks for `tracedrpc_otel`.

    It is found by the entry-point group `tracedrpc.telemetry`: a function without arguments that
    returns a `Telemetry`, or None to decline.
    """
    global _installed  # noqa: PLW0603 - the process has one default
    with _lock:
        if _installed is None:
            _installed = _discover()
        return _installed


def _discover() -> Telemetry:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, needed once

    for entry in entry_points(group=ENTRY_POINTS):
        try:
            found = entry.load()()
        except Exception as error:  # noqa: BLE001 - a broken plug-in must not break the service
            Telemetry().telemetry_failed(f"entry point {entry.name}", error)
            continue
        if isinstance(found, Telemetry):
            return found
    return Telemetry()
