"""Where both sides are traced a request is one trace, and nobody tells of it twice.

Of stock's own spans only their ids are looked at: kinds, names and errors are its own affair.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.interop.expected import ASKED, HEARD_BY_ALL
from tests.interop.pairings import PAIRINGS
from tracedrpc_console.spans import Kind

BOTH = [each for each in PAIRINGS if each.is_client_traced and each.is_server_traced]
CLIENT_ONLY = [each for each in PAIRINGS if each.is_client_traced and not each.is_server_traced]
SERVER_ONLY = [each for each in PAIRINGS if each.is_server_traced and not each.is_client_traced]
OURS_ASKS = [each for each in PAIRINGS if each.client == "ours"]
OURS_SERVES = [each for each in PAIRINGS if each.server == "ours"]
UNCOUNTED = {"noted", "lost", "early"}
UNHEARD_PERHAPS = {"early", "oversleep"}
"""Casts that are sent before there is a server, and calls whose caller may give up before it has sent."""


def is_ours(span):
    return "tracedrpc.mode" in span.attributes


def requests(spans):
    """Return the spans that stand for a request on the side that makes it."""
    return [
        span for span in spans
        if (is_ours(span) and span.kind in {Kind.CLIENT, Kind.PRODUCER})
        or ("messaging.operation" in span.attributes and span.kind is Kind.PRODUCER)
    ]


def entries(spans):
    """Return the spans that stand for a request on the side that serves it."""
    return [span for span in spans if span.kind in {Kind.SERVER, Kind.CONSUMER}]


def method(span):
    return span.attributes["rpc.method"].rpartition("/")[2]


def served_by(run):
    """Return the entries below each request, by the request's id."""
    below = {request.span_id: [] for request in requests(run.asked + run.served)}
    for entry in entries(run.served):
        below[entry.parent_id].append(entry)
    return below


@pytest.mark.parametrize("pairing", BOTH, ids=str)
def test_a_request_and_its_service_are_parent_and_child_of_one_trace(outcome, pairing):
    run = outcome(pairing)
    asked = {request.span_id: request for request in requests(run.asked + run.served)}
    assert entries(run.served)
    for entry in entries(run.served):
        assert entry.parent_id in asked, entry
        assert entry.trace_id == asked[entry.parent_id].trace_id


@pytest.mark.parametrize("pairing", BOTH, ids=str)
def test_a_request_has_one_span_on_each_server_that_hears_it(outcome, pairing):
    run = outcome(pairing)
    below = served_by(run)
    heard_by_all = 0
    for request in requests(run.asked + run.served):
        count = len(below[request.span_id])
        if method(request) == "note_all":
            heard_by_all += count
        elif method(request) in UNHEARD_PERHAPS:
            assert count <= 1, request
        else:
            assert count == (method(request) != "lost"), request
    assert heard_by_all == HEARD_BY_ALL


@pytest.mark.parametrize("pairing", BOTH + CLIENT_ONLY, ids=str)
def test_a_client_has_one_span_for_each_request(outcome, pairing):
    methods = Counter(map(method, requests(outcome(pairing).asked)))
    assert {name: count for name, count in methods.items() if name not in UNCOUNTED} == ASKED


@pytest.mark.parametrize("pairing", BOTH, ids=str)
def test_what_a_server_asks_is_below_what_it_serves(outcome, pairing):
    run = outcome(pairing)
    served = {entry.span_id: entry for entry in entries(run.served)}
    relayed = requests(run.served)
    assert len(relayed) == ASKED["relay"]
    for request in relayed:
        assert request.trace_id == served[request.parent_id].trace_id


@pytest.mark.parametrize("pairing", BOTH + CLIENT_ONLY, ids=str)
def test_each_request_of_a_client_is_a_trace_of_its_own(outcome, pairing):
    asked = requests(outcome(pairing).asked)
    assert {request.parent_id for request in asked} == {""}
    assert len({request.trace_id for request in asked}) == len(asked)


@pytest.mark.parametrize("pairing", BOTH + CLIENT_ONLY, ids=str)
def test_no_span_hangs_on_one_that_never_came(outcome, pairing):
    run = outcome(pairing)
    known = {span.span_id for span in run.asked + run.served}
    assert [span for span in run.asked + run.served if span.parent_id and span.parent_id not in known] == []


@pytest.mark.parametrize("pairing", SERVER_ONLY, ids=str)
def test_what_an_untraced_client_asks_begins_a_trace_at_the_server(outcome, pairing):
    run = outcome(pairing)
    relayed = {request.span_id for request in requests(run.served)}
    roots = [entry for entry in entries(run.served) if not entry.parent_id]
    assert run.asked == []
    assert len(roots) == len(entries(run.served)) - len(relayed)


@pytest.mark.parametrize("pairing", CLIENT_ONLY, ids=str)
def test_an_untraced_server_tells_nothing(outcome, pairing):
    assert outcome(pairing).served == []


@pytest.mark.parametrize("pairing", OURS_SERVES, ids=str)
def test_our_servers_tell_calls_from_casts_whoever_asks(outcome, pairing):
    kinds = {(entry.kind, entry.attributes["tracedrpc.mode"]) for entry in entries(outcome(pairing).served)}
    assert kinds == {(Kind.SERVER, "call"), (Kind.CONSUMER, "cast"), (Kind.CONSUMER, "fanout")}


@pytest.mark.parametrize("pairing", OURS_ASKS, ids=str)
def test_our_clients_tell_how_a_call_ended_whoever_serves(outcome, pairing):
    calls = [each for each in requests(outcome(pairing).asked) if each.attributes["tracedrpc.mode"] == "call"]
    errors = {
        name: {call.attributes.get("error.type") for call in calls if method(call) == name}
        for name in ("echo", "fail_own", "fail_builtin", "fill")
    }
    assert errors["fill"] == {None}
    assert errors["echo"] == {None, "UnsupportedVersion"}
    assert errors["fail_own"] == {"NoDisk"}
    assert errors["fail_builtin"] == {"ValueError", "KeyError", "FileNotFoundError"}
