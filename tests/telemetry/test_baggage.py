"""Baggage travels key by key where somebody allows it, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from tests.telemetry.support import Lab, incoming, invocation
from tracedrpc._guard import guarded
from tracedrpc_otel.baggage import MOST_CHARS, MOST_ENTRIES, Baggage
from tracedrpc_otel.settings import Settings
from tracedrpc_otel.telemetry import OTelTelemetry

THEIRS = W3CBaggagePropagator()
ALLOWED = frozenset({"tenant", "user"})


def _context(**entries: Any) -> Context:
    found = Context()
    for key, value in entries.items():
        found = baggage.set_baggage(key, value, found)
    return found


@pytest.fixture
def _baggage() -> Any:
    token = context.attach(_context(tenant="acme", secret="s3"))
    yield
    context.detach(token)


@pytest.mark.usefixtures("_baggage")
def test_by_default_none_is_sent_or_read(lab: Lab) -> None:
    assert lab.telemetry.carrier_keys == {"traceparent", "tracestate"}
    with lab.telemetry.call(invocation()) as scope:
        assert set(scope.carrier) == {"traceparent"}
    with lab.telemetry.process(incoming({"baggage": "tenant=evil"})):
        assert dict(baggage.get_all()) == {"tenant": "acme", "secret": "s3"}  # the thread's own


@pytest.mark.usefixtures("_baggage")
def test_allowed_keys_travel_and_arrive_in_the_handler_and_nothing_of_the_workers_own_does() -> None:
    lab = Lab(settings=Settings(baggage=ALLOWED))
    assert "baggage" in lab.telemetry.carrier_keys
    with lab.telemetry.call(invocation()) as scope:
        carrier = dict(scope.carrier)
    assert carrier["baggage"] == "tenant=acme"
    carrier["baggage"] += ",secret=from-afar,user=u%201;ttl=1"
    with lab.telemetry.process(incoming(carrier)):
        assert dict(baggage.get_all()) == {"tenant": "acme", "user": "u 1"}
        with lab.telemetry.call(invocation()) as onward:
            assert onward.carrier["baggage"] == "tenant=acme,user=u%201"
    assert dict(baggage.get_all()) == {"tenant": "acme", "secret": "s3"}


@pytest.mark.usefixtures("_baggage")
def test_it_travels_without_an_sdk_and_without_a_trace_too() -> None:
    plain = guarded(OTelTelemetry(settings=Settings(baggage=ALLOWED)))
    with plain.call(invocation()) as scope:
        assert scope.carrier == {"baggage": "tenant=acme"}
    with plain.process(incoming({"baggage": "tenant=other"})):
        assert baggage.get_baggage("tenant") == "other"


def test_a_handler_of_a_request_without_baggage_has_none() -> None:
    lab = Lab(TracerProvider(shutdown_on_exit=False), settings=Settings(baggage=ALLOWED))
    with lab.telemetry.process(incoming()) as scope:
        assert not baggage.get_all()
        assert "baggage" not in scope.carrier


def test_it_is_bounded_in_entries_and_size() -> None:
    keys = [f"k{number:02}" for number in range(20)]
    many = Baggage(frozenset(keys)).write(_context(**dict.fromkeys(keys, "v")))
    assert len(many.split(",")) == MOST_ENTRIES
    some = Baggage(frozenset({"a", "b", "c"})).write(_context(a="x" * 1000, b="y" * 1000, c="z"))
    assert some == f"a={'x' * 1000},c=z"
    too_long = {"baggage": "a=" + "x" * MOST_CHARS}
    assert not baggage.get_all(Baggage(frozenset({"a"})).read(too_long, Context()))


@given(st.dictionaries(st.sampled_from(["tenant", "user", "other"]), st.text(max_size=40)))
def test_what_we_write_others_read(entries: dict[str, str]) -> None:
    text = Baggage(ALLOWED).write(_context(**entries))
    expected = {
        key: value.encode(errors="replace").decode() for key, value in entries.items() if key in ALLOWED
    }
    found = dict(baggage.get_all(THEIRS.extract({"baggage": text}, Context()))) if text else {}
    # They take the space around a value for padding, whoever wrote it.
    assert found == {key: value.strip() for key, value in expected.items()}
    assert text.isascii()
    assert "\n" not in text


@given(st.dictionaries(st.sampled_from(["tenant", "user", "other"]), st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=40,
)))
def test_what_others_write_we_read(entries: dict[str, str]) -> None:
    carrier: dict[str, str] = {}
    THEIRS.inject(carrier, _context(**entries))
    found = dict(baggage.get_all(Baggage(ALLOWED).read(carrier, Context())))
    assert found == {key: value for key, value in entries.items() if key in ALLOWED}


anything = st.none() | st.integers() | st.binary() | st.text() | st.lists(st.text(), max_size=3)
headers = st.text(st.sampled_from('tenantuser=,;% \t"\\%0a%ff%zz'), max_size=80)


@given(anything | headers)
def test_hostile_headers_never_raise_and_bring_no_other_keys_or_lines(header: Any) -> None:
    found = dict(baggage.get_all(Baggage(ALLOWED).read({"baggage": header}, Context())))
    assert found.keys() <= ALLOWED
    assert all(isinstance(value, str) and value.isprintable() for value in found.values())


no_text = st.none() | st.integers() | st.binary() | st.booleans()


@given(st.dictionaries(st.sampled_from(["tenant", "user"]), no_text))
def test_values_that_are_no_text_never_raise(entries: dict[str, Any]) -> None:
    assert Baggage(ALLOWED).write(_context(**entries)).isascii()


def test_keys_that_no_header_can_hold_are_not_allowed() -> None:
    hostile = Baggage(frozenset({"a b", "x=y", "", "é", "ok"}))
    assert hostile.write(_context(**{"a b": "1", "x=y": "2", "é": "3", "ok": "4"})) == "ok=4"
