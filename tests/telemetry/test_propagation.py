"""Trace context as text equals OpenTelemetry's own propagator, and survives anything."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import tracedrpc
from tests.telemetry.support import Lab, incoming, invocation
from tracedrpc.telemetry import SILENCE
from tracedrpc.testing import memory_transport
from tracedrpc_otel.propagation import GlobalFormat, TraceContext, chosen
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

THEIRS = TraceContextTextMapPropagator()
OURS = TraceContext()
hexes = st.sampled_from("0123456789abcdef")
ids = st.text(hexes, min_size=32, max_size=32)
valid = st.tuples(
    st.text(hexes, min_size=2, max_size=2), ids, st.text(hexes, min_size=16, max_size=16),
    st.text(hexes, min_size=2, max_size=2),
).map("-".join)
endings = st.sampled_from(["", " ", "-", "-x", "x", "\n", "-a\n"])
padded = st.tuples(st.text(" \t", max_size=2), valid, endings).map("".join)
zeroes = st.sampled_from([
    "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
])
parents = st.one_of(valid, padded, zeroes, st.text(max_size=80))
member = st.sampled_from(["a=1", "b=2", "vendor@x=3", "a=9", "bad", "", " c=4\t", "A=1", "k=\x7f"])
members = st.lists(member, max_size=36)
states = st.one_of(st.none(), members.map(",".join), st.text(max_size=60))


def _theirs(carrier: dict[str, str]) -> SpanContext | None:
    found = trace.get_current_span(THEIRS.extract(carrier, Context())).get_span_context()
    return found if found.is_valid else None


@given(parents, states)
def test_reading_equals_the_propagator(parent: str, state: str | None) -> None:
    carrier = {"traceparent": parent} | ({} if state is None else {"tracestate": state})
    ours, theirs = OURS.read(carrier), _theirs(carrier)
    assert ours == theirs
    if ours is not None and theirs is not None:
        assert dict(ours.trace_state) == dict(theirs.trace_state)
        assert ours.is_remote


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1), st.integers(0, 255))
def test_writing_equals_the_propagator(trace_id: int, span_id: int, flags: int) -> None:
    context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags))
    carrier: dict[str, str] = {}
    if context.is_valid:
        THEIRS.inject(carrier, trace.set_span_in_context(NonRecordingSpan(context), Context()))
    assert dict(OURS.write(context)) == carrier
    assert OURS.read(carrier) == _theirs(carrier)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(anything, anything)
def test_hostile_values_never_raise(parent: object, state: object) -> None:
    OURS.read({"traceparent": parent, "tracestate": state})
    OURS.read({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": state})
    GlobalFormat().read({"traceparent": parent, "tracestate": state})


def test_a_long_tracestate_is_dropped_and_the_parent_kept() -> None:
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    found = OURS.read({"traceparent": parent, "tracestate": "a=" + "x" * 600})
    assert found is not None
    assert not found.trace_state


def test_nothing_of_a_bad_tracestate_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    OURS.read({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "forged\nline"})
    assert not caplog.records


@pytest.mark.parametrize("names", ["tracecontext", " Baggage , tracecontext", "", "baggage"])
def test_w3c_is_written_by_hand(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", names)
    assert isinstance(chosen(), TraceContext)


def test_other_formats_are_left_to_the_global_propagator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "b3,tracecontext")
    assert isinstance(chosen(), GlobalFormat)


def test_the_global_propagator_sends_no_baggage() -> None:
    from opentelemetry import baggage, context

    token = context.attach(baggage.set_baggage("user", "alice"))
    try:
        carrier = GlobalFormat().write(SpanContext(1, 2, is_remote=False))
    finally:
        context.detach(token)
    assert set(carrier) == {"traceparent"}
    assert GlobalFormat().read(carrier) == SpanContext(1, 2, is_remote=True)


class Single(TextMapPropagator):
    """B3's single header."""

    fields = frozenset({"b3"})  # type: ignore[assignment]

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        here = trace.get_current_span(context).get_span_context()
        if here.is_valid:
            setter.set(carrier, "b3", f"{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags & 1}")

    def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Context:
        trace_id, span_id, sampled = getter.get(carrier, "b3")[0].split("-")  # raises, as theirs may
        found = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(sampled)))
        return trace.set_span_in_context(NonRecordingSpan(found), context)


@pytest.fixture
def _b3() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([Single(), W3CBaggagePropagator()]))
    yield
    propagate.set_global_textmap(before)


@pytest.mark.usefixtures("_b3")
def test_a_format_that_the_application_sets_is_sent_and_read_under_its_own_keys() -> None:
    lab = Lab()
    assert lab.telemetry.carrier_keys == {"b3"}
    with lab.telemetry.call(invocation()) as scope:
        carrier = dict(scope.carrier)
    assert set(carrier) == {"b3"}
    with lab.telemetry.process(incoming(carrier)):
        pass
    client, server = sorted(lab.spans, key=lambda span: span.start_time)
    assert server.parent.span_id == client.context.span_id


@pytest.mark.usefixtures("_b3")
def test_it_travels_through_the_driver_and_is_no_business_of_the_handlers() -> None:
    lab, contexts = Lab(), []

    class Endpoint:
        def look(self, ctxt: Any) -> None:
            contexts.append(ctxt)

    with memory_transport(telemetry=lab.inner) as transport:
        to = tracedrpc.Target(topic="compute", server="cn7")
        with tracedrpc.get_rpc_server(transport, to, [Endpoint()], executor="blocking"):
            tracedrpc.get_rpc_client(transport, to).call({"a": 1}, "look")
    assert contexts == [{"a": 1}]
    assert len({span.context.trace_id for span in lab.spans}) == 1
    kinds = {span.kind: span for span in lab.spans if span.name == "compute/look"}
    assert kinds[SpanKind.SERVER].parent.span_id == kinds[SpanKind.CLIENT].context.span_id


@pytest.mark.usefixtures("_b3")
@pytest.mark.parametrize("header", ["", "x", "1-2", "zz-zz-1", 7, None])
def test_a_foreign_parser_that_raises_makes_a_new_trace(header: object) -> None:
    lab = Lab()
    with lab.telemetry.process(incoming({"b3": header})):
        pass
    assert lab.span("compute/reboot").parent is None


def test_no_format_at_all_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = propagate.get_global_textmap()
    monkeypatch.setenv("OTEL_PROPAGATORS", "none")
    propagate.set_global_textmap(CompositePropagator([]))
    try:
        lab = Lab()
        assert not lab.telemetry.carrier_keys
        with lab.telemetry.call(invocation()) as scope:
            assert not scope.carrier
    finally:
        propagate.set_global_textmap(before)


# ---- unsampled, and without an SDK ------------------------------------------------------------


def test_an_unsampled_call_sends_flags_00_and_makes_no_span() -> None:
    lab = Lab(TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False))
    with lab.telemetry.call(invocation()) as scope:
        carrier = dict(scope.carrier)
        assert int(carrier["traceparent"][-2:], 16) & 1 == 0
        assert scope.ids["trace_id"] == carrier["traceparent"][3:35]
    with lab.telemetry.process(incoming(carrier)):
        inside = trace.get_current_span().get_span_context()
        assert f"{inside.trace_id:032x}" == carrier["traceparent"][3:35]
        assert not inside.trace_flags.sampled
    assert not lab.spans
    assert not lab.ledger.started


def test_an_unsampled_parent_stays_unsampled() -> None:
    lab = Lab()
    parent = f"00-{random.getrandbits(127) + 1:032x}-00000000000000aa-00"
    with lab.telemetry.process(incoming({"traceparent": parent})), lab.telemetry.call(invocation()) as scope:
        assert scope.carrier["traceparent"].startswith(parent[:36])
        assert scope.carrier["traceparent"].endswith("-00")
    assert not lab.spans


def test_without_an_sdk_the_trace_goes_through() -> None:
    plain = OTelTelemetry()
    assert plain.call(invocation()) is SILENCE
    assert plain.process(incoming()) is SILENCE
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-03"
    with plain.process(incoming({"traceparent": parent})), plain.call(invocation()) as scope:
        assert scope.carrier == {"traceparent": parent}


@pytest.mark.parametrize(
    "parent", ["", "00", 7, None, b"00-1", "00-" + "0" * 32 + "-" + "2" * 16 + "-01", "x" * 9999],
)
def test_a_hostile_parent_is_a_new_trace(parent: object) -> None:
    lab = Lab()
    with lab.telemetry.process(incoming({"traceparent": parent})):
        pass
    assert lab.span("compute/reboot").parent is None
