"""The same commands, obeyed by oslo.messaging 18.3.1 itself, its own tracing on or off per transport."""

from __future__ import annotations

import logging

import oslo_messaging
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from oslo_config import cfg
from oslo_messaging._metrics.client import oslo_messaging_metrics
from oslo_messaging._tracing.client import oslo_messaging_tracing

from tests.telemetry.fifteen.programs.endpoint import Endpoint
from tests.telemetry.fifteen.programs.obeying import run, say
from tests.telemetry.fifteen.programs.outcomes import outcome_of

GROUP = "oslo_messaging_tracing"


class Stock:
    """Obeys; each method is a command, its arguments the command's fields."""

    def __init__(self, provider):
        self.provider = provider
        self.endpoint = Endpoint(say)
        self.transports = {}
        self.servers = {}
        self.tracer = trace.get_tracer("stock")

    def connect(self, name, url, tracing=False):
        """Make a transport."""
        conf = cfg.ConfigOpts()
        conf([])
        conf.register_opts(oslo_messaging_metrics, group="oslo_messaging_metrics")
        conf.register_opts(oslo_messaging_tracing, group=GROUP)
        conf.set_override("tracing_enabled", tracing, group=GROUP)
        self.transports[name] = oslo_messaging.get_rpc_transport(conf, url)

    def disconnect(self, name):
        """Close a transport."""
        self.transports.pop(name).cleanup()

    def serve(self, transport, topic, server, exchange, workers=4):
        """Start a server."""
        target = oslo_messaging.Target(topic=topic, server=server, exchange=exchange)
        made = oslo_messaging.get_rpc_server(
            self.transports[transport], target, [self.endpoint],
        )
        made.start()
        self.servers[f"{topic}.{server}"] = made

    def unserve(self, topic, server):
        """Stop a server."""
        made = self.servers.pop(f"{topic}.{server}")
        made.stop()
        made.wait()

    def call(self, **fields):
        """Call below a span of the application's own."""
        return self._send("call", **fields)

    def cast(self, **fields):
        """Cast, or fan out."""
        return self._send("cast", **fields)

    def _send(self, verb, transport, topic, method, exchange, args=None, ctxt=None, root="", **how):
        target = oslo_messaging.Target(topic=topic, exchange=exchange)
        client = oslo_messaging.get_rpc_client(self.transports[transport], target)
        with self.tracer.start_as_current_span(root, kind=trace.SpanKind.SERVER) as span:
            send = getattr(client.prepare(**how), verb)
            outcome = outcome_of(send, ctxt or {}, method, args or {})
        return outcome | {"trace_id": f"{span.get_span_context().trace_id:032x}"}

    def flush(self):
        """Send every span that has ended."""
        return self.provider.force_flush(10_000)

    def quit(self):
        """Stop everything in good order."""
        for transport in self.transports.values():
            transport.cleanup()
        self.provider.shutdown()


def main():
    logging.disable()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    run(Stock(provider))


if __name__ == "__main__":
    main()
