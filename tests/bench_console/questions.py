"""What is asked of a full store, and how long each answer takes."""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

from tests.bench_console.load import METHODS, RARE
from tracedrpc_console.store.model import LogQuery, Outcome, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc_console.store.reader import Reader

MS = 1_000_000


class Answer(NamedTuple):
    """How one kind of question went; milliseconds."""

    what: str
    kind: str
    p50: float
    p95: float
    found: int


def ask_all(reader: Reader, rounds: int) -> list[Answer]:
    """Ask every question `rounds` times and return the times of each."""
    page = reader.find_traces(TraceQuery(limit=100))
    ids = [each.trace_id for each in page.items]
    rare = reader.find_traces(TraceQuery(text=RARE, limit=1000)).items
    deep = TraceQuery(service="nova-api", before=page.next)
    searches: dict[str, TraceQuery | LogQuery] = {
        "newest traces": TraceQuery(),
        "traces of a service": TraceQuery(service="nova-api"),
        "the next page of them": deep,
        "of a method": TraceQuery(method=METHODS[3]),
        "errors of a service": TraceQuery(service="neutron", errors_only=True),
        "time-outs": TraceQuery(outcome=Outcome.TIMEOUT),
        "slow ones of a service": TraceQuery(service="cinder", least_ns=200 * MS),
        "very slow ones": TraceQuery(least_ns=400 * MS),
        "a common attribute": TraceQuery(attributes={"rpc.system.name": "oslo.messaging"}),
        "an attribute in 200": TraceQuery(attributes={"tracedrpc.tenant": "tenant-17"}),
        "a rare attribute": TraceQuery(attributes={"note": RARE}),
        "a rare word": TraceQuery(text=RARE),
        "nothing": TraceQuery(text="nowhere", service="nova-api"),
        "newest logs": LogQuery(),
        "errors in logs": LogQuery(least_severity=17),
        "words in logs": LogQuery(text="tenant 17 compute"),
        "a rare word in logs": LogQuery(text=RARE),
        "logs of a trace": LogQuery(trace_id=reader.logs(LogQuery(limit=1)).items[0].trace_id),
        "logs of a service and event": LogQuery(service="cinder", event="call_finished"),
    }
    answers = [
        _timed(what, "search", rounds, lambda _, query=query: _search(reader, query))
        for what, query in searches.items()
    ]
    answers.append(_timed("a trace", "open", rounds, lambda n: len(reader.trace(ids[n % len(ids)]) or ())))
    if rare:
        old = rare[-1].trace_id
        answers.append(_timed("an old trace", "open", rounds, lambda _: len(reader.trace(old) or ())))
    answers.append(_timed("services", "other", rounds, lambda _: len(reader.services())))
    answers.append(_timed("status", "other", rounds, lambda _: reader.status().spans))
    now = time.time_ns()
    hour, minute = now - 3600 * 10**9, now - 60 * 10**9
    answers.append(_timed("edges of an hour", "other", rounds, lambda _: len(reader.edges(hour, now))))
    answers.append(_timed("calls of a minute", "other", 3, lambda _: len(reader.calls(minute, now))))
    return answers


def _search(reader: Reader, query: TraceQuery | LogQuery) -> int:
    page = reader.find_traces(query) if isinstance(query, TraceQuery) else reader.logs(query)
    return len(page.items)


def _timed(what: str, kind: str, rounds: int, ask: Callable[[int], int]) -> Answer:
    took = []
    found = 0
    for n in range(rounds):
        begin = time.perf_counter()
        found = ask(n)
        took.append((time.perf_counter() - begin) * 1e3)
    return Answer(what, kind, median(took), quantiles(took, n=20)[-1], found)
