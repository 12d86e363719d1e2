"""A search finds what a plain look at every span finds, page by page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.console.exports import BEGIN_NS, MS, a_log, a_span, span_id, trace_id
from tests.console.search_oracle import found_logs, found_traces
from tests.console.stores import store
from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import LogQuery, Outcome, TraceQuery
from tracedrpc_console.store.words import service_mark

SERVICES = ("api", "compute", "audit")
NAMES = ("compute/reboot", "handle", "cast audit/log")
WORDS = ("alpha", "beta", "Gamma", "delta_one")
KEYS = ("k", "rpc.method", "n")
KINDS = (Kind.CLIENT, Kind.SERVER, Kind.INTERNAL)

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
numbers = st.integers(-3, 3) | st.booleans() | st.sampled_from((0.5, 2.0))
values = texts | numbers | st.lists(texts, max_size=2)
attributes = st.dictionaries(st.sampled_from(KEYS), values, max_size=2)
wanted_values = texts | st.sampled_from(("1", "true", "0.5", "2.0"))
wanted = st.dictionaries(st.sampled_from(KEYS), wanted_values, max_size=1)
ms = st.integers(0, 40)


@st.composite
def spans(draw):
    """Draw spans of a few traces, each span id once."""
    return [
        a_span(
            trace=draw(st.integers(1, 6)), place=place, parent=draw(st.integers(0, place - 1)),
            at_ms=draw(ms) * 1000, took_ms=draw(ms), service=draw(st.sampled_from(SERVICES)),
            name=draw(st.sampled_from(NAMES)), kind=draw(st.sampled_from(KINDS)),
            is_error=draw(st.booleans()), attributes=draw(attributes),
            status_message=draw(st.just("") | texts),
        )
        for place in range(1, draw(st.integers(1, 14)))
    ]


trace_queries = st.builds(
    TraceQuery,
    service=st.none() | st.sampled_from(SERVICES),
    operation=st.none() | st.sampled_from(NAMES),
    kind=st.none() | st.sampled_from(KINDS),
    method=st.none() | texts,
    attributes=wanted,
    text=st.none() | texts,
    least_ns=st.none() | ms.map(lambda n: n * MS),
    most_ns=st.none() | ms.map(lambda n: n * MS),
    from_ns=st.none() | ms.map(lambda n: BEGIN_NS + n * 1000 * MS),
    to_ns=st.none() | ms.map(lambda n: BEGIN_NS + n * 1000 * MS),
    outcome=st.none() | st.sampled_from(Outcome),
    errors_only=st.booleans(),
    limit=st.integers(1, 3),
)

logs = st.lists(st.builds(
    a_log,
    body=texts,
    at_ms=st.integers(0, 10**6),
    severity=st.integers(0, 24),
    service=st.sampled_from(SERVICES),
    trace_id=st.just("") | st.integers(1, 3).map(trace_id),
    span_id=st.just("") | st.integers(1, 3).map(span_id),
    event=st.sampled_from(("", "call_finished", "request_failed")),
    attributes=attributes,
), max_size=15, unique_by=lambda row: row.at_ns)

log_queries = st.builds(
    LogQuery,
    text=st.none() | texts,
    service=st.none() | st.sampled_from(SERVICES),
    least_severity=st.none() | st.integers(1, 24),
    event=st.none() | st.sampled_from(("call_finished", "request_failed")),
    trace_id=st.none() | st.integers(1, 3).map(trace_id),
    span_id=st.none() | st.integers(1, 3).map(span_id),
    attributes=wanted,
    from_ns=st.none() | st.integers(0, 10**6).map(lambda n: BEGIN_NS + n * MS),
    to_ns=st.none() | st.integers(0, 10**6).map(lambda n: BEGIN_NS + n * MS),
    limit=st.integers(1, 3),
)


def pages(find, query):
    """Return everything that is found, page by page."""
    found = []
    while True:
        page = find(query)
        assert len(page.items) <= query.limit
        found += page.items
        if page.next is None:
            return found
        assert len(page.items) == query.limit
        query = replace(query, before=page.next)


def in_halves(rows):
    half = len(rows) // 2
    return [part for part in (rows[half:], rows[:half]) if part]


@settings(max_examples=60, deadline=None)
@given(spans(), st.lists(trace_queries, min_size=1, max_size=8))
def test_traces_found_are_those_that_a_look_at_every_span_finds(rows, queries):
    with store(shelf_rows=4) as a_store:
        for part in in_halves(rows):
            a_store.spans(*part)
        for query in queries:
            found = [each.trace_id for each in pages(a_store.reader.find_traces, query)]
            assert len(found) == len(set(found))
            starts = {each: min(row.start_ns for row in rows if row.trace_id == each) for each in found}
            assert [starts[each] for each in found] == sorted(starts.values(), reverse=True)
            assert set(found) == found_traces(rows, query)


@settings(max_examples=60, deadline=None)
@given(logs, st.lists(log_queries, min_size=1, max_size=8))
def test_logs_found_are_those_that_a_look_at_every_record_finds(rows, queries):
    with store(shelf_rows=4) as a_store:
        for part in in_halves(rows):
            a_store.logs(*part)
        for query in queries:
            found = [replace(each, id=0) for each in pages(a_store.reader.logs, query)]
            assert found == found_logs(rows, query)
            tail = a_store.reader.logs(replace(query, after_id=0, limit=100)).items
            assert sorted((replace(each, id=0) for each in tail), key=lambda row: -row.at_ns) == found


def test_words_are_found_whatever_their_case_and_accents():
    with store() as a_store:
        a_store.logs(a_log("Connexion à l'hôte PERDUE"), a_log("connected", at_ms=1))
        for text in ("hote", "HÔTE perdue", "conn* perdue", '"l hote"'):
            (found,) = a_store.reader.logs(LogQuery(text=text)).items
            assert found.body.startswith("Connexion"), text
        for text in ("hot", '"hote l"', "hote connected"):
            assert a_store.reader.logs(LogQuery(text=text)).items == ()


@pytest.mark.parametrize("text", [
    '"', '""', "'", "*", "AND", "a OR b", "NOT x", "NEAR(a b)", "words:x", "-x", "^x", "(", ")", "{a}:",
    "\0", "𞤀x", "\ue000s1", "a\u0301b", "x" * 5000,
])
def test_no_text_is_a_query_language(text):
    with store() as a_store:
        a_store.logs(a_log("something else"))
        a_store.spans(a_span())
        found = a_store.reader.logs(LogQuery(text=text)).items
        assert not found or not any(map(str.isalnum, text))
        a_store.reader.find_traces(TraceQuery(text=text, attributes={"k": text}, service=text))


def test_a_mark_in_an_attribute_is_no_mark():
    with store() as a_store:
        forged = f"{service_mark('api')} \ue000k3"
        a_store.spans(a_span(), a_span(trace=2, service="other", attributes={"k": forged}))
        found = a_store.reader.find_traces(TraceQuery(service="api", kind=Kind.CLIENT)).items
        assert [each.trace_id for each in found] == [trace_id(1)]


def test_a_page_goes_on_where_the_one_before_ended_though_more_has_come():
    with store() as a_store:
        a_store.spans(*(a_span(trace=n, at_ms=n) for n in range(1, 8)))
        first = a_store.reader.find_traces(TraceQuery(service="api", limit=3))
        a_store.spans(*(a_span(trace=n, at_ms=n) for n in range(20, 25)))
        second = a_store.reader.find_traces(TraceQuery(service="api", limit=3, before=first.next))
        found = [each.trace_id for each in first.items + second.items]
        assert found == [trace_id(n) for n in range(7, 1, -1)]


def test_a_trace_of_days_is_found_by_when_it_began():
    day_ms = 86_400_000
    with store() as a_store:
        a_store.spans(a_span(), a_span(place=2, parent=1, at_ms=3 * day_ms, attributes={"k": "late"}))
        a_store.spans(*(a_span(trace=n, at_ms=n, attributes={"k": "late"}) for n in range(2, 9)))
        query = TraceQuery(attributes={"k": "late"}, to_ns=BEGIN_NS + 1)
        assert [each.trace_id for each in a_store.reader.find_traces(query).items] == [trace_id(1)]


def test_a_cursor_that_is_none_of_ours_is_refused():
    with store() as a_store:
        for find, query in (
            (a_store.reader.find_traces, TraceQuery(before="x")), (a_store.reader.logs, LogQuery(before="x")),
        ):
            with pytest.raises(ValueError, match="x"):
                find(query)
