"""`tracedrpc demo`: broker, services, traffic and receiver together; what they tell; the end of all."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, Progress, TextColumn

import tracedrpc as messaging
from tracedrpc_console import expected, report, stage
from tracedrpc_console.beside import console_beside, holds
from tracedrpc_console.broker import BrokerUnavailable
from tracedrpc_console.brokers import CannotStart, broker_url, is_memory
from tracedrpc_console.commands.console import open_page
from tracedrpc_console.drawing import draw
from tracedrpc_console.forward import Forwarder
from tracedrpc_console.processes import ChildFailed
from tracedrpc_console.receiver import Receiver, SpanStore
from tracedrpc_console.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from tracedrpc_console.running import Note
    from tracedrpc_console.spans import Span

SPANS_LIMIT_S: Final = 10.0
"""Most seconds to wait for spans after the last call."""
_OK, _BAD, _INTERRUPTED = 0, 1, 130


@dataclass(frozen=True, slots=True)
class Settings:
    """How the demo is to be run.

    Attributes:
        url: the broker; None for a private one, or where there is none for the memory driver.
        otlp: an OTLP/HTTP endpoint that gets the spans too, or None.
        is_once: whether to end after the first report.
        seconds: how long a round of traffic is.
        svg: a file that the picture of the chosen trace is written to, or None.
        stays: whether the console stays up after the last report until Ctrl-C.
        opens: whether the page is opened in a browser.
    """

    url: str | None = None
    otlp: str | None = None
    is_once: bool = False
    seconds: float = 4.0
    svg: Path | None = None
    stays: bool = False
    opens: bool = False


def run(settings: Settings, console: Console) -> int:
    """Run the demo and return its exit status: 0 only if every expected span arrived."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            return _run(settings, console, stack)
    except (CannotStart, BrokerUnavailable, ChildFailed, messaging.MessagingException) as error:
        console.print(str(error), style="bold red", markup=False)
        return _BAD
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started has ended")
        return _INTERRUPTED


def _run(settings: Settings, console: Console, stack: contextlib.ExitStack) -> int:
    forwarder = stack.enter_context(Forwarder(settings.otlp)) if settings.otlp else None
    url = broker_url(settings.url, console, stack)
    note = stack.enter_context(console_beside())
    to_console = stack.enter_context(Forwarder(note.otlp))
    receiver = stack.enter_context(Receiver(SpanStore(), _both(to_console, forwarder)))
    stage.set_environment(receiver.url)
    in_memory = is_memory(url)
    began = time.monotonic()
    if in_memory:
        stack.enter_context(stage.services_as_threads(url, receiver.url))
    else:
        stack.enter_context(stage.services_as_processes(url))
    what = "threads of this process" if in_memory else "processes"
    names = ", ".join(server for _, server in stage.CAST)
    console.print(f"services  {names}: {what}, ready after {time.monotonic() - began:.1f} s")
    stack.enter_context(stage.logs_and_metrics("demo" if in_memory else expected.TRAFFIC))
    connect = partial(stage.traced_transport, expected.TRAFFIC, url, receiver.url)
    traffic = Traffic(stack.enter_context(connect()), connect)
    demo = _Demo(settings, console, traffic, receiver.store, has_broker=not in_memory)
    outcome = demo.first_round()
    _say_forwarded(console, forwarder)
    _say_next(console, settings, url)
    is_shown = _show_page(console, settings, note, outcome)
    if not settings.is_once:
        outcome = demo.until_interrupted()
    elif settings.stays:
        _stay(console)
    _save_picture(console, outcome, settings.svg)
    return _OK if is_shown and not outcome.missing else _BAD


def _both(first: Forwarder, second: Forwarder | None) -> Callable[[str, str, str, bytes], None]:
    """Return what hands an export to one or two others."""
    def forward(path: str, kind: str, encoding: str, body: bytes) -> None:
        first(path, kind, encoding, body)
        if second is not None:
            second(path, kind, encoding, body)

    return forward


def _show_page(console: Console, settings: Settings, note: Note, outcome: report.Outcome) -> bool:
    """Print where the trace of everything is on the console's page; False when it did not get there."""
    trace = report.whole_story(outcome)
    if trace is None:
        return False
    trace_id = trace.spans[0].trace_id
    if not holds(note, trace_id, len(trace.spans), SPANS_LIMIT_S):
        console.print(f"the console has not got all of trace {trace_id}", style="bold red")
        return False
    address = note.page(f"trace/{trace_id}")
    title = f"{expected.EVACUATE.name.capitalize()}: {len(trace.spans)} spans, on a page of this machine"
    console.print(f"\n{title}", style="bold")
    console.print(f"  {address}", style="bold cyan", markup=False, soft_wrap=True)
    if settings.opens:
        open_page(console, address)
    return True


def _stay(console: Console) -> None:
    """Wait for Ctrl-C, so that the page can be looked at."""
    console.print("the page stays until Ctrl-C", style="bold")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def _save_picture(console: Console, outcome: report.Outcome, path: Path | None) -> None:
    chosen = report.chosen_trace(outcome)
    if path is not None and chosen is not None:
        path.write_text(draw(chosen), encoding="utf-8")
        console.print(f"the first picture is in {path}", markup=False)


class _Demo:
    def __init__(
        self, settings: Settings, console: Console, traffic: Traffic, store: SpanStore, *, has_broker: bool,
    ) -> None:
        self._settings = settings
        self._console = console
        self._traffic = traffic
        self._store = store
        self._has_broker = has_broker

    def first_round(self) -> report.Outcome:
        """Drive one round and report it."""
        console = self._console
        began = time.monotonic()
        with _progress(console) as progress:
            task = progress.add_task("traffic  ", total=self._settings.seconds, calls=0, errors=0)

            def tick(elapsed_s: float) -> None:
                calls, errors = self._traffic.total()
                progress.update(task, completed=elapsed_s, calls=calls, errors=errors)

            self._traffic.round(self._settings.seconds, tick)
        calls, errors = self._traffic.total()
        took = f"{calls} calls in {time.monotonic() - began:.1f} s, {errors} of them failed on purpose"
        console.print(f"traffic   {took}")
        return self._report()

    def until_interrupted(self) -> report.Outcome:
        """Drive on until Ctrl-C; report what the last round did."""
        self._console.print("traffic goes on; Ctrl-C ends it with a last report", style="bold")
        try:
            while True:
                self._store.clear()
                self._traffic.round(self._settings.seconds, lambda _: None)
                self._settle()
        except KeyboardInterrupt:
            self._console.print()
        return self._report()

    def _settle(self) -> list[str]:
        """Wait until everything expected has arrived; return what has not."""
        self._store.wait_for(lambda spans: not self._missing(spans), SPANS_LIMIT_S)
        return self._missing(self._store.spans())

    def _missing(self, spans: list[Span]) -> list[str]:
        return expected.missing(spans, self._traffic.calls, has_broker=self._has_broker)

    def _report(self) -> report.Outcome:
        missing = [*self._traffic.surprises, *self._settle()]
        outcome = report.Outcome(self._store.spans(), missing, self._traffic.timeouts)
        self._console.print()
        report.show(self._console, outcome)
        report.verdict(self._console, outcome, len(outcome.spans))
        return outcome


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),
        TextColumn("{task.fields[calls]} calls, {task.fields[errors]} failed on purpose"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


# ---- what comes after ---------------------------------------------------------------------------


def _say_forwarded(console: Console, forwarder: Forwarder | None) -> None:
    if forwarder is None:
        return
    forwarder.flush()
    if forwarder.failed:
        text = f"{forwarder.failed} exports did not reach {forwarder.endpoint}: {forwarder.reason}"
        console.print(text, style="bold red", markup=False)
    else:
        console.print(f"all of it is at {forwarder.endpoint} too", markup=False)


def _say_next(console: Console, settings: Settings, url: str) -> None:
    console.print("\nWhere to look next", style="bold")
    lines = []
    if not settings.otlp:
        lines.append(("see it in Jaeger", "tracedrpc demo --otlp http://127.0.0.1:4318"))
    if not settings.is_once and not is_memory(url):
        ping = f"--url {settings.url or url} --topic demo.compute --server host-1 --exchange demo"
        lines.append(("ask a server for a sign of life", f"tracedrpc ping {ping}"))
    lines += [
        ("see your own services like this", "tracedrpc console"),
        ("run one of the services yourself", "python -m tracedrpc_console.services.compute --help"),
        ("the same in your service", 'README.md, "Use it": two lines'),
    ]
    for what, where in lines:
        console.print(f"  {what:<34}{where}", markup=False, soft_wrap=True)
