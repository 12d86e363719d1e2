"""A program that makes calls and serves them, as it is told: `python -m ...programs.agent '{}'`.

Telemetry is set up by `tracedrpc_otel.configure()` from `OTEL_*`, as in any service.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor

_true_time_ns = time.time_ns
_skew_ns = 0


def _skewed_time_ns():
    return _true_time_ns() + _skew_ns


# Before anything else is imported: everybody takes the function by name from its module.
time.time_ns = _skewed_time_ns

from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.trace import SpanProcessor  # noqa: E402

import tracedrpc  # noqa: E402
import tracedrpc_otel  # noqa: E402
from tests.telemetry.fifteen.programs.endpoint import Endpoint  # noqa: E402
from tests.telemetry.fifteen.programs.obeying import run, say, tell_lines  # noqa: E402
from tests.telemetry.fifteen.programs.outcomes import outcome_of  # noqa: E402


class Ledger(SpanProcessor):
    """Knows the spans that have begun and not ended."""

    def __init__(self):
        self.open = {}
        self.started = 0

    def on_start(self, span, parent_context=None):
        self.started += 1
        self.open[span.get_span_context().span_id] = span.name

    def on_end(self, span):
        del self.open[span.context.span_id]


class Agent:
    """Obeys; each method is a command, its arguments the command's fields."""

    def __init__(self, configured):
        self.configured = configured
        self.endpoint = Endpoint(say)
        self.transports = {}
        self.servers = {}
        self.ledger = None
        self.tracer = trace.get_tracer("agent")

    # ---- serving ------------------------------------------------------------------------------

    def connect(self, name, url):
        """Make a transport; nothing connects before it is used."""
        self.transports[name] = tracedrpc.get_rpc_transport(None, url)

    def disconnect(self, name):
        """Close a transport."""
        transport = self.transports.pop(name, None)
        if transport is not None:
            transport.cleanup()

    def serve(self, transport, topic, server, workers=8, exchange=None):
        """Start a server."""
        target = tracedrpc.Target(topic=topic, server=server, exchange=exchange)
        made = tracedrpc.get_rpc_server(self.transports[transport], target, [self.endpoint])
        made.start(override_pool_size=workers)
        self.servers[f"{topic}.{server}"] = made

    def unserve(self, topic, server):
        """Stop a server and wait for what it is at."""
        made = self.servers.pop(f"{topic}.{server}", None)
        if made is not None:
            made.stop()
            made.wait(timeout=20)

    def release(self, key):
        """Let a handler of `hold` return."""
        self.endpoint.release(key)

    def skew(self, ms):
        """Set this process's wall clock."""
        global _skew_ns  # noqa: PLW0603 - a process has one clock
        _skew_ns = int(ms * 1e6)

    def level(self, name):
        """Tell log lines from this level on."""
        logging.getLogger("tracedrpc").setLevel(name)

    # ---- calling ------------------------------------------------------------------------------

    def call(self, **fields):
        """Call below a span of the application's own, if it has a name; return what came of it."""
        return self._send("call", **fields)

    def cast(self, **fields):
        """Cast, or fan out."""
        return self._send("cast", **fields)

    def many(self, calls, threads=4):
        """Make calls on some threads."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda fields: self.call(**fields), calls))

    def _send(
        self, verb, transport, topic, method, args=None, ctxt=None, root="", at_least_once=False, **how,
    ):
        options = tracedrpc.TransportOptions(at_least_once) if at_least_once else None
        target = tracedrpc.Target(topic=topic)
        client = tracedrpc.get_rpc_client(self.transports[transport], target, transport_options=options)
        send = getattr(client.prepare(**how) if how else client, verb)
        if not root:
            return outcome_of(send, ctxt or {}, method, args or {})
        with self.tracer.start_as_current_span(root, kind=trace.SpanKind.SERVER) as span:
            outcome = outcome_of(send, ctxt or {}, method, args or {})
        return outcome | {"trace_id": f"{span.get_span_context().trace_id:032x}"}

    # ---- looking ------------------------------------------------------------------------------

    def flush(self):
        """Send everything that has been told so far."""
        return self.configured.flush(10.0)

    def counts(self):
        """Return what was exported and what was lost."""
        return {"exported": self.configured.exported, "dropped": self.configured.dropped}

    def keep_ledger(self):
        """Count spans from now on."""
        self.ledger = Ledger()
        self.configured.provider.add_span_processor(self.ledger)

    def open_spans(self):
        """Return how many spans have begun since `keep_ledger`, and the names of those not ended."""
        return {"started": self.ledger.started, "open": sorted(self.ledger.open.values())}

    def state(self, transport):
        """Return what a transport holds at this instant."""
        driver = self.transports[transport].driver
        stats = driver._pool.stats()
        return {
            "waiting": len(driver._waiters), "in_use": stats.in_use, "idle": stats.idle,
            "pool_waiters": stats.waiters, "courier": len(driver._courier), "jobs": len(driver.scheduler),
        }

    def quit(self):
        """Stop everything in good order."""
        for made in self.servers.values():
            made.stop()
        self.endpoint.release_all()
        for made in self.servers.values():
            made.wait(timeout=10)
        for transport in self.transports.values():
            transport.cleanup()
        return self.configured.shutdown()


def main(settings):
    tell_lines(settings.get("level", "INFO"), "tracedrpc", "opentelemetry", "app")
    run(Agent(tracedrpc_otel.configure()))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
