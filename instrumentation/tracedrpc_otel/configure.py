"""Sets up OpenTelemetry for an application that has not done so: one call, from `OTEL_*`."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv as names
from tracedrpc._deadline import Deadline
from tracedrpc._guard import install
from tracedrpc._log import INFO, line, tell_suppressed
from tracedrpc_otel import drops, exporting, settings, signals
from tracedrpc_otel.exporting import LOGS, METRICS, SIGNALS, TRACES, ForkProof
from tracedrpc_otel.forks import weakly
from tracedrpc_otel.install import telemetry
from tracedrpc_otel.log_handler import Attachment, OtlpHandler
from tracedrpc_otel.outlets import SHUTDOWN_S, finish, flush
from tracedrpc_otel.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_DISABLED: Final = "OTEL_SDK_DISABLED is true"
_THEIRS: Final = "the application has set a provider"
_LAST_S: Final = 0.1
"""What a provider has left, at the least, to end what others have added to it."""

_lock: Final = threading.Lock()
_configured: Configured | None = None


class Configured:
    """What `configure` set up, and the way to end it.

    Attributes:
        signals: by name, "traces", "metrics" and "logs": provider, reason, dropped and exported.
    """

    def __init__(self, made: Iterable[Signal] = ()) -> None:
        self.signals: Mapping[str, Signal] = {name: Signal(name) for name in SIGNALS} | {
            signal.name: signal for signal in made
        }
        self._attachment: Attachment | None = None
        self._ending: bool | None = None
        os.register_at_fork(after_in_child=weakly(self._in_child))

    @property
    def provider(self) -> TracerProvider | None:
        """The tracer provider made here, or None when none was."""
        provider: TracerProvider | None = self.signals[TRACES].provider
        return provider

    @property
    def reason(self) -> str:
        """Why there is no tracer provider of ours, or ""."""
        return self.signals[TRACES].reason

    @property
    def dropped(self) -> int:
        """How many ended spans did not reach the endpoint, exactly."""
        return self.signals[TRACES].dropped

    @property
    def exported(self) -> int:
        """How many ended spans reached the endpoint."""
        return self.signals[TRACES].exported

    def flush(self, timeout_s: float = SHUTDOWN_S) -> bool:
        """Export all that there is so far; False when that took longer than `timeout_s`."""
        return flush(self._outlets(), timeout_s)

    def shutdown(self, timeout_s: float = SHUTDOWN_S) -> bool:
        """Export all that there is and stop; False when something was left behind. Idempotent.

        Takes at the longest `timeout_s`, whatever the endpoint does. Runs by itself when the
        process ends.
        """
        atexit.unregister(self.shutdown)
        if self._ending is None:
            self._ending = self._end(timeout_s)
        return self._ending

    def begin(self, redact: Iterable[str] = ()) -> None:
        """Make the providers the global ones, and receive what is logged; until the process ends."""
        for signal in self.signals.values():
            if signal.provider is not None:
                signals.publish(signal)
                drops.watch(signal.name, partial(getattr, signal, "dropped"))
        logs = self.signals[LOGS]
        if logs.provider is not None:
            self._attachment = Attachment(OtlpHandler(logs.provider, redact))
            self._attachment.attach()
        atexit.register(self.shutdown)

    def _end(self, timeout_s: float) -> bool:
        if self._attachment is not None:
            tell_suppressed(everything=True)
            self._attachment.detach()
        deadline = Deadline.after(timeout_s)
        all_gone = finish(self._outlets(), timeout_s)
        self._shut_providers(deadline)
        return all_gone

    def _outlets(self) -> list[Any]:
        return [outlet for signal in self.signals.values() for outlet in signal.outlets]

    def _shut_providers(self, deadline: Deadline) -> None:
        """End what the application has added to the providers; ours is closed."""
        for name, signal in self.signals.items():
            if signal.provider is not None:
                left_ms = max(deadline.left_s(), _LAST_S) * 1e3
                bound = {"timeout_millis": left_ms} if name == METRICS else {}
                signal.provider.shutdown(**bound)

    def _in_child(self) -> None:
        """See to it that a child made by `multiprocessing` flushes: `atexit` does not run there.

        Neither do finalizers that are registered before its bootstrap; hence the detour.
        """
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.register_after_fork(self, _finalize)


def _finalize(configured: Configured) -> None:
    from multiprocessing.util import Finalize  # noqa: PLC0415 - only who uses it pays for it

    Finalize(configured, configured.shutdown, exitpriority=0)


def configure(
    service_name: str | None = None,
    *,
    endpoint: str | None = None,
    protocol_name: str | None = None,
    headers: dict[str, str] | None = None,
    resource: Mapping[str, str | bool | int | float] | None = None,
    traces: bool = True,
    metrics: bool = True,
    logs: bool = True,
    redact: Iterable[str] = (),
) -> Configured:
    """Export spans, metrics and what is logged by OTLP, and trace tracedrpc's calls.

    Everything not given is as `OTEL_*` says. A provider that the application, or an earlier
    caller, has set is never replaced: then that signal goes there, and `signals[...].reason` says
    so. Levels of loggers stay as they are.

    Args:
        service_name: `service.name`; None leaves it to `OTEL_SERVICE_NAME`.
        endpoint: base URL of the collector; `http://localhost:4318` when nothing says otherwise.
        protocol_name: "http/protobuf" (the default) or "grpc".
        headers: sent with each export, for instance an API key.
        resource: further attributes of the process, e.g. `{"deployment.environment.name": "prod"}`.
        traces: whether spans are set up; likewise `metrics` and `logs`.
        metrics: see there.
        logs: see there.
        redact: fields whose values log records leave without, e.g. `{"password"}`.

    Raises:
        ValueError: there is no such protocol or exporter.
    """
    global _configured  # noqa: PLW0603 - the process has one set of providers
    wanted = {TRACES: traces, METRICS: metrics, LOGS: logs}
    with _lock:
        if _configured is not None:
            return _configured
        made = signals.make_resource(service_name, resource or {})
        configured = Configured([
            _signal(name, made, wanted[name], endpoint, protocol_name, headers) for name in SIGNALS
        ])
        _tell_declined(configured)
        if any(signal.provider is not None for signal in configured.signals.values()):
            configured.begin(redact)
            _configured = configured
        traced = telemetry(configured.signals[TRACES].sink)
        if traced is not None:
            install(traced)
        return configured


def _signal(
    name: str,
    resource: Any,
    is_wanted: bool,
    endpoint: str | None,
    protocol_name: str | None,
    headers: dict[str, str] | None,
) -> Signal:
    reason = _reason_against(name, is_wanted)
    if reason:
        return Signal(name, reason=reason)
    exporters = signals.make_exporters(name, endpoint, protocol_name, headers)
    return signals.MAKERS[name](resource, exporters)


def _reason_against(signal: str, is_wanted: bool) -> str:
    if not is_wanted:
        return "not asked for"
    if settings.is_sdk_disabled():
        return _DISABLED
    if signals.is_set(signal):
        return _THEIRS
    # Spans have a provider all the same, so that log lines have their ids.
    if signal != TRACES and not exporting.exporter_names(signal):
        return f"OTEL_{signal.upper()}_EXPORTER is none"
    return ""


def _tell_declined(configured: Configured) -> None:
    """Say in one line which signals are somebody else's; those not asked for are no news."""
    reasons = [
        f"{signal.name}: {signal.reason}"
        for signal in configured.signals.values()
        if signal.reason in {_DISABLED, _THEIRS}
    ]
    if reasons:
        line(INFO, "configure_declined", {names.REASON: "; ".join(reasons)})


def build(
    service_name: str | None,
    exporter: SpanExporter | None,
    resource: Mapping[str, str | bool | int | float] | None = None,
) -> Configured:
    """Return a tracer provider with an exporter, not made the global one."""
    exporters = [] if exporter is None else [ForkProof(lambda: exporter)]
    return Configured([signals.make_traces(signals.make_resource(service_name, resource or {}), exporters)])
