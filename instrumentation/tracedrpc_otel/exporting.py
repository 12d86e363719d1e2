"""Chooses exporters by what `OTEL_*` says, and keeps a forked child off its parent's sockets."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from tracedrpc_otel.forks import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

Exporter = TypeVar("Exporter")

HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
TRACES: Final = "traces"
METRICS: Final = "metrics"
LOGS: Final = "logs"
SIGNALS: Final = (TRACES, METRICS, LOGS)
NONE: Final = "none"
_OTLP: Final = {HTTP: "otlp_proto_http", GRPC: "otlp_proto_grpc"}
"""By protocol, the entry points that OpenTelemetry's exporters are registered under."""


class ForkProof(Generic[Exporter]):
    """An exporter of this process: a forked child makes one of its own when it first needs it.

    The child must not write into its parent's keep-alive connection. What it inherited is kept
    and never touched again, because ending it might say goodbye on the parent's socket.

    Args:
        make: makes an exporter; called here, and once in each child that exports.
    """

    def __init__(self, make: Callable[[], Exporter]) -> None:
        self._make = make
        self._inherited: list[Exporter] = []
        self._exporter = make()
        self._pid = os.getpid()
        self._is_warm = False
        self._gate = Gate()

    def get(self) -> Exporter:
        """Return the exporter of the process that asks."""
        if self._pid != os.getpid():
            self._inherited.append(self._exporter)
            self._exporter = self._make()
            self._pid = os.getpid()
        return self._exporter

    def wrap(self, wrapper: Callable[[Exporter], Any]) -> None:
        """Put something round the exporter, and round that of a child; before the first use."""
        make = self._make
        self._make = lambda: wrapper(make())
        self._exporter = wrapper(self._exporter)

    def export(self, *items: Any, **options: Any) -> bool:
        """Export on the thread that calls; return whether it arrived. Raises what the exporter raises."""
        if self._is_warm:
            return self._export(*items, **options)
        # The first time, HTTP clients import half of what they need, with the locks of imports.
        with self._gate:
            arrived = self._export(*items, **options)
            self._is_warm = True
            return arrived

    def shutdown(self) -> None:
        """End it, and the pause between two tries of an export under way."""
        if self._pid == os.getpid():
            self._exporter.shutdown()  # type: ignore[attr-defined]  # all three kinds have it

    def _export(self, *items: Any, **options: Any) -> bool:
        exporter: Any = self.get()
        return bool(exporter.export(*items, **options).name == "SUCCESS")


def exporter_names(signal: str) -> list[str]:
    """Return what `OTEL_<SIGNAL>_EXPORTER` asks for, ["otlp"] by default; [] means none."""
    text = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower() or "otlp"
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if NONE in names else names


def protocol(signal: str = TRACES) -> str:
    """Return what `OTEL_EXPORTER_OTLP_[<SIGNAL>_]PROTOCOL` says; http/protobuf by default."""
    common = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or HTTP
    return os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "").strip() or common


def otlp_exporter(
    endpoint: str | None,
    protocol_name: str,
    headers: dict[str, str] | None = None,
    signal: str = TRACES,
) -> Any:
    """Return an OTLP exporter; `OTEL_EXPORTER_OTLP_*` says what is not given.

    Args:
        endpoint: base URL of the collector, e.g. "http://localhost:4318"; None is `OTEL_*`'s.
        protocol_name: "http/protobuf" or "grpc".
        headers: sent with each export, for instance an API key.
        signal: "traces", "metrics" or "logs".

    Raises:
        ValueError: there is no such protocol.
    """
    if protocol_name not in _OTLP:
        raise ValueError(f"OTLP protocol {protocol_name!r} is unknown; use {HTTP!r} or {GRPC!r}")
    make = _registered(signal, _OTLP[protocol_name])
    given: dict[str, Any] = {}
    if headers is not None:
        given["headers"] = {key.lower(): value for key, value in headers.items()}
    if endpoint is not None and protocol_name == GRPC:
        given |= {"endpoint": endpoint, "insecure": not endpoint.startswith("https://")}
    elif endpoint is not None:
        given["endpoint"] = _url(endpoint, signal)
    return make(**given)


def named_exporter(name: str, signal: str) -> Any:
    """Return the exporter, or for metrics perhaps the reader, that a package registered by a name.

    Raises:
        ValueError: no package did.
    """
    return _registered(signal, name)()


def _registered(signal: str, name: str) -> Callable[..., Any]:
    group = f"opentelemetry_{signal}_exporter"
    for entry in entry_points(group=group, name=name):
        make: Callable[..., Any] = entry.load()
        return make
    known = ", ".join(sorted({"otlp", NONE, *(entry.name for entry in entry_points(group=group))}))
    raise ValueError(f"OTEL_{signal.upper()}_EXPORTER: there is no exporter {name!r}, only {known}")


def _url(endpoint: str, signal: str) -> str:
    base = endpoint.rstrip("/")
    for each in SIGNALS:
        base = base.removesuffix(f"/v1/{each}")
    return f"{base}/v1/{signal}"
