"""Three calls that went wrong, made to order on a real broker, and what one sees of each.

`tracedrpc investigate slow-pool` and so on; docs/telemetry.md walks through them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

import tracedrpc as messaging
from tracedrpc import semconv
from tracedrpc_console import stage
from tracedrpc_console.broker import broker
from tracedrpc_console.choices import Case
from tracedrpc_console.glyphs import for_encoding
from tracedrpc_console.processes import Child, Children
from tracedrpc_console.receiver import Receiver, SpanStore
from tracedrpc_console.services import targets
from tracedrpc_console.spans import Kind, Span, traces
from tracedrpc_console.waterfall import waterfall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

CLIENT: Final = "api"
SERVER: Final = "compute"
TOPIC: Final = messaging.Target(exchange=targets.EXCHANGE, topic="demo.slow")
SPANS_LIMIT_S: Final = 10.0
_BIG: Final = "x" * 6_000_000
_CASTERS: Final = 4
LEAD_S: Final = 0.02
"""How much earlier than the call the uploads begin."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a case left behind.

    Attributes:
        method: the call's `rpc.method`.
        error: what the caller got, or None when it was only slow.
    """

    method: str
    error: messaging.MessagingException | None = None


class Slow:
    """An endpoint that takes its time."""

    def work(self, ctxt: dict[str, Any], seconds: float = 0.0) -> str:  # noqa: ARG002 - as called
        """Sleep."""
        time.sleep(seconds)
        return "done"

    def store(self, ctxt: dict[str, Any], image: str) -> None:
        """Take an image and do nothing with it."""


# ---- the cases --------------------------------------------------------------------------------


def slow_pool(client: messaging.Transport, server: messaging.Transport) -> Finding:
    """Call while other threads of the process send big messages, over a pool of one connection."""
    target = TOPIC(server="host-1")
    remote = messaging.get_rpc_client(client, TOPIC, timeout=20)
    with messaging.get_rpc_server(server, target, [Slow()], executor="threading"):
        remote.call({}, "work")  # connects, so that the next call has only the pool to wait for
        upload = partial(remote.cast, {}, "store", image=_BIG)
        threads = [threading.Thread(target=upload, name=f"upload-{at}") for at in range(_CASTERS)]
        for thread in threads:
            thread.start()
        time.sleep(LEAD_S)
        remote.call({}, "work")
        for thread in threads:
            thread.join()
    return Finding("demo.slow/work")


def stuck_queue(client: messaging.Transport, server: messaging.Transport) -> Finding:
    """Call a server whose only worker is busy, behind others who do the same."""
    target = TOPIC(server="host-1")
    remote = messaging.get_rpc_client(client, TOPIC, timeout=1)
    made = messaging.get_rpc_server(server, target, [Slow()], executor="threading")
    made.start(override_pool_size=1)
    try:
        for _ in range(5):
            remote.cast({}, "work", seconds=0.4)
        try:
            remote.call({}, "work")
        except messaging.MessagingTimeout as error:
            return Finding("demo.slow/work", error)
        return Finding("demo.slow/work")
    finally:
        made.stop()
        made.wait()


def dead_server(client: messaging.Transport, child: Child) -> Finding:
    """Call a server that dies while it works, with a call monitor."""
    compute = messaging.get_rpc_client(client, targets.COMPUTE, timeout=20)
    host = compute.prepare(server=targets.HOSTS[0], call_monitor_timeout=targets.MONITOR_S)
    killer = threading.Timer(1.0, child.kill)
    killer.start()
    try:
        host.call({}, "migrate_instance", name="vm-1")
    except messaging.MessagingTimeout as error:
        return Finding("demo.compute/migrate_instance", error)
    finally:
        killer.join()
    return Finding("demo.compute/migrate_instance")


# ---- the stage and the report -----------------------------------------------------------------


def run(case: Case, url: str | None, console: Console) -> int:
    """Make one case happen and print what is seen of it; the exit status."""
    with contextlib.ExitStack() as stack:
        address = url or stack.enter_context(broker()).url
        receiver = stack.enter_context(Receiver(SpanStore()))
        stage.set_environment(receiver.url)
        lines = stack.enter_context(_warnings())
        finding = _run(case, f"{address}?slow_call_threshold=0.1&rpc_conn_pool_size=1", receiver.url)
        span = _find(receiver.store, finding)
        _report(console, finding, span, receiver.store, lines)
        return 0 if span is not None else 1


def _run(case: Case, url: str, endpoint: str) -> Finding:
    with stage.traced_transport(CLIENT, url, endpoint) as client:
        if case is Case.DEAD_SERVER:
            with Children() as children:
                module = f"tracedrpc_console.services.{SERVER}"
                command = [sys.executable, "-m", module, url, targets.HOSTS[0], "--until-eof"]
                child = children.start(SERVER, command, os.environ)
                children.wait_ready()
                return dead_server(client, child)
        acts: dict[Case, Callable[..., Finding]] = {Case.SLOW_POOL: slow_pool, Case.STUCK_QUEUE: stuck_queue}
        with stage.traced_transport(SERVER, url, endpoint) as server:
            return acts[case](client, server)


class _Lines(logging.Handler):
    """Keeps warnings as text."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(f"{record.levelname} {record.getMessage()}")


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    handler, logger = _Lines(), logging.getLogger("tracedrpc")
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)


def _find(store: SpanStore, finding: Finding) -> Span | None:
    """Return the slowest span of the method on its client, once it has arrived."""
    def those(spans: list[Span]) -> list[Span]:
        return [
            span for span in spans
            if span.kind is Kind.CLIENT and span.attributes.get(semconv.RPC_METHOD) == finding.method
        ]

    store.wait_for(lambda spans: bool(those(spans)), SPANS_LIMIT_S)
    return max(those(store.spans()), key=lambda span: span.duration_ms, default=None)


def _report(
    console: Console, finding: Finding, span: Span | None, store: SpanStore, lines: list[str],
) -> None:
    def part(title: str, text: str, style: str = "") -> None:
        console.print(Text(title, "bold"))
        console.print(Text(text, style), soft_wrap=True)
        console.print()

    if finding.error is not None:
        part("What the caller gets", f"{type(finding.error).__name__}: {finding.error}", "red")
    told = [line for line in lines if finding.method in line and semconv.WHY in line]
    part("What the log says", "\n".join(told) or "nothing")
    if span is None:
        part("The trace", f"no span of {finding.method} arrived in {SPANS_LIMIT_S:.0f} s", "red")
        return
    console.print(Text("The trace", "bold"))
    trace = next(each for each in traces(store.spans()) if each.spans[0].trace_id == span.trace_id)
    for line in waterfall(trace, console.width, for_encoding(console.encoding)):
        console.print(line, crop=False, soft_wrap=True)
