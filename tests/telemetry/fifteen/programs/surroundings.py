"""A service in different surroundings: `python -m ...surroundings NAME URL TOPIC`.

Client and server in one process, with OpenTelemetry and logging set up as NAME says. It calls,
casts, is raised at and times out, checks every result, and prints "fine" at the end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import warnings

import tracedrpc
from tests.telemetry.fifteen.programs.endpoint import Endpoint

SETUPS = {}


def setup(function):
    """Register surroundings under the function's name."""
    SETUPS[function.__name__] = function
    return function


def nothing():
    """Check nothing more than the results."""


def checked(output, *wanted):
    """Return a check that what was written holds each of these."""

    def check():
        text = output.getvalue()
        assert all(each in text for each in wanted), text[-3000:]

    return check


# ---- surroundings: each sets up, and yields what to check at the end ----------------------------


@setup
def none():
    """Nothing at all: no SDK, no logging."""
    yield nothing


@setup
def sdk_only():
    """An application that has set a tracer provider and a meter provider, and no exporter."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))

    def check():
        kinds = {span.kind.name for span in exporter.get_finished_spans()}
        assert kinds >= {"CLIENT", "SERVER", "PRODUCER", "CONSUMER"}, kinds
        told = {
            metric.name
            for resource in reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
        assert told >= {"rpc.client.call.duration", "rpc.server.call.duration"}, told

    yield check


@setup
def structlog_json():
    """An application that logs as we recommend: a JSON object a line."""
    wanted = ("call_timed_out", '"tracedrpc.timeout.phase":"unroutable"', '"trace_id":"')
    yield _with_recommended(*wanted, json=True)


@setup
def structlog_text():
    """The same for people."""
    yield _with_recommended("call_timed_out", "tracedrpc.timeout.phase=unroutable", "trace_id=", json=False)


def _with_recommended(*wanted, json):
    from tracedrpc_otel.logs import recommended_config

    _sdk()
    output = io.StringIO()
    recommended_config(json=json, stream=output)
    return checked(output, *wanted)


@setup
def oslo_log():
    """An application that logs by oslo.log, with its context adapter's format."""
    from oslo_config import cfg
    from oslo_log import log

    _sdk()
    output = io.StringIO()
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf([], project="service")
    conf.set_override("debug", True)
    conf.set_override("use_stderr", True)
    with contextlib.redirect_stderr(output):
        log.setup(conf, "service")
    yield checked(output, "call_timed_out", "tracedrpc.timeout.phase=unroutable", "trace_id=")


@setup
def otel_logs():
    """An application whose standard log records go to OpenTelemetry."""
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    _sdk()
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    set_logger_provider(provider)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
    logging.getLogger("tracedrpc").setLevel(logging.DEBUG)

    def check():
        records = [data.log_record for data in exporter.get_finished_logs()]
        (late,) = [record for record in records if record.attributes["otel.event.name"] == "call_timed_out"]
        assert late.attributes["tracedrpc.timeout.phase"] == "unroutable", late.attributes
        assert late.trace_id

    yield check


@setup
def throwing_sdk():
    """Exporters, processors and a sampler that raise, each in its turn."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler

    import tracedrpc_otel
    from tests.telemetry.fifteen.programs.throwing import ThrowingMetricExporter, throwing

    processors = [
        SimpleSpanProcessor(throwing(SpanExporter, "export")()),
        throwing(SpanProcessor, "on_start")(),
        throwing(SpanProcessor, "on_end")(),
    ]
    providers = [TracerProvider() for _ in processors]
    for provider, processor in zip(providers, processors, strict=True):
        provider.add_span_processor(processor)
    providers.append(TracerProvider(sampler=throwing(Sampler, "should_sample", "get_description")()))
    for provider in providers:
        reader = PeriodicExportingMetricReader(ThrowingMetricExporter(), 50)
        tracedrpc_otel.instrument(provider, MeterProvider([reader]))
        yield nothing


@setup
def throwing_log_handler():
    """A logging handler that raises."""

    class Thrower(logging.Handler):
        def emit(self, record):
            raise RuntimeError("handler")

    logging.getLogger("tracedrpc").addHandler(Thrower())
    logging.getLogger("tracedrpc").setLevel(logging.DEBUG)
    yield nothing


@setup
def throwing_log_handler_untraced():
    """The same without our spans."""
    os.environ["TRACEDRPC_TRACING"] = "off"
    yield from throwing_log_handler()


@setup
def throwing_structlog():
    """A structlog processor of the application's that raises."""
    import structlog

    def throw(*args):
        raise RuntimeError("processor")

    structlog.configure(processors=[throw])
    logging.getLogger("tracedrpc").setLevel(logging.DEBUG)
    yield nothing


def _sdk():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())


# ---- the service ---------------------------------------------------------------------------------


class Notes(Endpoint):
    """An endpoint that can be waited for."""

    def __init__(self):
        super().__init__(lambda **_: None)
        self.noted = threading.Semaphore(0)

    def note(self, ctxt, key):
        self.noted.release()


def live(url, topic):
    """Do what services do, and check what comes of it."""
    endpoint = Notes()
    with tracedrpc.get_rpc_transport(None, url) as transport:
        target = tracedrpc.Target(topic=topic, server="one")
        with tracedrpc.get_rpc_server(transport, target, [endpoint]):
            client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=15)
            for _ in range(3):
                assert client.call({"a": 1}, "echo", value=[1, "x"]) == [1, "x"]
            client.cast({}, "note", key="cast")
            client.prepare(fanout=True).cast({}, "note", key="fanout")
            assert endpoint.noted.acquire(timeout=15)
            assert endpoint.noted.acquire(timeout=15)
            raised(client, "fail", ValueError)
            raised(client, "miss", LookupError)
            raised(client.prepare(topic=f"{topic}-nobody", timeout=0.3), "echo", tracedrpc.MessagingTimeout)


def raised(client, method, expected):
    """Call what raises."""
    try:
        client.call({}, method)
    except expected:
        return
    raise AssertionError(f"{method} did not raise {expected}")


def main(name, url, topic):
    warnings.simplefilter("error")
    faults = []
    threading.excepthook = lambda args: faults.append(repr(args.exc_value))
    for number, check in enumerate(SETUPS[name]()):
        live(url, f"{topic}-{number}")
        check()
    mine = [fault for fault in faults if "throws" not in fault]
    assert not mine, mine
    sys.stdout.write("fine\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
