"""Sets up OpenTelemetry for an application that has not done so: one call, from `OTEL_*`."""

from __future__ import annotations

import atexit
import os
import socket
import threading
import uuid
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

from tracedrpc import semconv as names
from tracedrpc._guard import install
from tracedrpc._log import INFO, line
from tracedrpc_otel import settings
from tracedrpc_otel.exporting import BatchProcessor, otlp_exporter, protocol
from tracedrpc_otel.install import telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.export import SpanExporter

SHUTDOWN_S: Final = 5.0
VALUE_LIMIT: Final = 1024
"""Longest attribute value in characters, of any library's span; the SDK alone has no limit."""

_lock: Final = threading.Lock()
_configured: Configured | None = None


class Configured:
    """What `configure` set up, and the way to end it.

    Attributes:
        provider: the tracer provider made here, or None when none was.
        reason: why none was made, or "".
    """

    def __init__(
        self,
        provider: TracerProvider | None = None,
        processor: BatchProcessor | None = None,
        reason: str = "",
    ) -> None:
        self.provider = provider
        self.reason = reason
        self._processor = processor

    @property
    def dropped(self) -> int:
        """How many ended spans did not reach the endpoint, exactly."""
        return 0 if self._processor is None else self._processor.dropped

    @property
    def exported(self) -> int:
        """How many ended spans reached the endpoint."""
        return 0 if self._processor is None else self._processor.exported

    def flush(self, timeout_s: float = SHUTDOWN_S) -> bool:
        """Export what has ended so far; False when that took longer than `timeout_s`."""
        return self._processor is None or self._processor.force_flush(int(timeout_s * 1e3))

    def shutdown(self, timeout_s: float = SHUTDOWN_S) -> bool:
        """Export what has ended and stop; False when spans were left behind. Idempotent.

        Takes at the longest `timeout_s`, whatever the endpoint does. Runs by itself when the
        process ends.
        """
        atexit.unregister(self.shutdown)
        all_gone = self._processor is None or self._processor.close(timeout_s)
        if self.provider is not None:
            self.provider.shutdown()  # processors that the application added; ours is closed
        return all_gone


def configure(
    service_name: str | None = None,
    *,
    endpoint: str | None = None,
    protocol_name: str | None = None,
    headers: dict[str, str] | None = None,
    resource: Mapping[str, str | bool | int | float] | None = None,
) -> Configured:
    """Export spans by OTLP, and trace tracedrpc's calls; everything not given is as `OTEL_*` says.

    A tracer provider that the application, or an earlier caller, has set is never replaced: then
    spans go there, and the result says so in `reason`.

    Args:
        service_name: `service.name`; None leaves it to `OTEL_SERVICE_NAME`.
        endpoint: base URL of the collector; `http://localhost:4318` when nothing says otherwise.
        protocol_name: "http/protobuf" (the default) or "grpc".
        headers: sent with each export, for instance an API key.
        resource: further attributes of the process, e.g. `{"deployment.environment.name": "prod"}`.

    Raises:
        ValueError: there is no such protocol.
    """
    global _configured  # noqa: PLW0603 - the process has one provider
    with _lock:
        if _configured is not None:
            return _configured
        reason = _reason_against()
        if reason:
            line(INFO, "configure_declined", {names.REASON: reason})
            configured = Configured(reason=reason)
        else:
            configured = build(
                service_name, _exporter(endpoint, protocol_name or protocol(), headers), resource,
            )
            trace.set_tracer_provider(configured.provider)  # type: ignore[arg-type]  # not None
            atexit.register(configured.shutdown)
            _configured = configured
        traced = telemetry()
        if traced is not None:
            install(traced)
        return configured


def _reason_against() -> str:
    if settings.is_sdk_disabled():
        return "OTEL_SDK_DISABLED is true"
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return "the application has set a tracer provider"
    return ""


def _exporter(endpoint: str | None, name: str, headers: dict[str, str] | None) -> SpanExporter | None:
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return None
    return otlp_exporter(endpoint, name, headers)


def build(
    service_name: str | None,
    exporter: SpanExporter | None,
    resource: Mapping[str, str | bool | int | float] | None = None,
) -> Configured:
    """Return a provider with an exporter, not made the global one."""
    # Not shut down at exit by the SDK, which has no bound for it.
    provider = TracerProvider(
        resource=_resource(service_name, resource or {}),
        span_limits=_limits(),
        shutdown_on_exit=False,
    )
    if exporter is None:
        return Configured(provider)
    processor = BatchProcessor(exporter)
    provider.add_span_processor(processor)
    return Configured(provider, processor)


def _resource(service_name: str | None, more: Mapping[str, str | bool | int | float]) -> Resource:
    attributes = dict(more)
    if service_name is not None:
        attributes["service.name"] = service_name
    # Jaeger keys hosts by host.name, and two processes of one service must be told apart. What
    # the environment says comes after these and wins over them.
    ours = Resource({"host.name": socket.gethostname(), "service.instance.id": str(uuid.uuid4())})
    return ours.merge(Resource.create(attributes))


def _limits() -> SpanLimits:
    variables = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    if any(os.environ.get(variable) for variable in variables):
        return SpanLimits()
    return SpanLimits(max_attribute_length=VALUE_LIMIT, max_span_attribute_length=VALUE_LIMIT)
