"""A service that forks its workers after it has connected: `python -m ...prefork URL TOPIC CHILDREN`.

Prints a line for the parent and for each child: the trace ids of its calls. A child ends as a
worker of gunicorn or multiprocessing does, without running what `atexit` has kept.
"""

from __future__ import annotations

import os
import sys
import traceback

from opentelemetry import trace

import tracedrpc
import tracedrpc_otel
from tests.telemetry.fifteen.programs.obeying import say

TIMEOUT_S = 30


def work(client, name):
    """Call and cast below a request of this process's own; return the trace's id."""
    with trace.get_tracer("prefork").start_as_current_span("request") as span:
        span.set_attribute("worker", name)
        assert client.call({}, "echo", value=name) == name
        client.cast({}, "note", key=name)
    return f"{span.get_span_context().trace_id:032x}"


def child(client, configured, name):
    """Work, and send what there is to tell."""
    traces = [work(client, name) for _ in range(2)]
    assert configured.flush(TIMEOUT_S), "the child's spans were not exported in time"
    say(worker=name, traces=traces, exported=configured.exported, dropped=configured.dropped)


def fork(client, configured, name):
    """Run a child; whatever happens, it does not go on in the parent's code."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            child(client, configured, name)
            status = 0
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def main(url, topic, children):
    configured = tracedrpc_otel.configure()
    with tracedrpc.get_rpc_transport(None, url) as transport:
        client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=TIMEOUT_S)
        traces = [work(client, "parent")]
        pids = [fork(client, configured, f"child-{number}") for number in range(int(children))]
        traces.append(work(client, "parent"))
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        traces.append(work(client, "parent"))
    assert configured.shutdown()
    say(worker="parent", traces=traces, statuses=statuses, exported=configured.exported)


if __name__ == "__main__":
    main(*sys.argv[1:])
