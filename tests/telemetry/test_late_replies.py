"""A reply that comes after its caller has given up is a span of the call that died."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from tests.telemetry.support import MS, Lab, invocation, publish
from tracedrpc._safe import safe
from tracedrpc.exceptions import MessagingTimeout
from tracedrpc_otel import late_replies
from tracedrpc_otel.late_replies import MOST_CALLS, REMEMBERED_NS, DeadCalls

MSG_ID = "a" * 32


def _time_out(lab: Lab, **fields: Any) -> Any:
    call = invocation(**fields)
    call.scope = lab.telemetry.call(call)
    with pytest.raises(MessagingTimeout), call.scope:
        publish(call)
        call.ended_ns = call.started_ns + 5 * MS
        lab.telemetry.call_timed_out(call)
        raise MessagingTimeout
    return call


def test_a_late_reply_is_below_the_dead_call_and_says_how_late(lab: Lab) -> None:
    call = _time_out(lab)
    thread = threading.Thread(target=lab.telemetry.reply_discarded, args=(MSG_ID, "late"))
    thread.start()
    thread.join()
    dead, late = lab.span("compute/reboot"), lab.span("late reply compute/reboot")
    assert late.kind is SpanKind.CLIENT
    assert late.parent.span_id == dead.context.span_id
    assert late.context.trace_id == dead.context.trace_id
    assert late.start_time == call.wall_ns(call.ended_ns)
    assert late.status.status_code is StatusCode.UNSET
    assert late.attributes["tracedrpc.late_by_ms"] == (late.end_time - late.start_time) / MS
    assert late.attributes["tracedrpc.sampling.keep_reason"] == "late"
    assert late.attributes["tracedrpc.msg_id"] == MSG_ID
    assert not lab.ledger.open


def test_it_is_told_once_and_only_of_late_ones(lab: Lab) -> None:
    _time_out(lab)
    for reason in ("duplicate", "unknown", "late", "late"):
        lab.telemetry.reply_discarded(MSG_ID, reason)
    lab.telemetry.reply_discarded("b" * 32, "late")
    assert len([span for span in lab.spans if span.name.startswith("late")]) == 1


def test_unsampled_calls_are_not_remembered() -> None:
    lab = Lab(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    _time_out(lab)
    lab.telemetry.reply_discarded(MSG_ID, "late")
    assert not lab.spans
    assert not len(lab.inner._dead_calls)


def _call(number: int, ended_ns: int) -> Any:
    request = SimpleNamespace(msg_id=str(number))
    return SimpleNamespace(request=request, ended_ns=ended_ns, wall_ns=lambda stamp_ns: stamp_ns)


def test_calls_are_remembered_for_a_while_and_a_thousand_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 10**15
    monkeypatch.setattr(late_replies, "monotonic_ns", lambda: now_ns)
    dead, context = DeadCalls(), SpanContext(1, 2, is_remote=False)
    for number in range(MOST_CALLS + 10):
        dead.bury(_call(number, now_ns), safe("m"), context)
    assert len(dead) == MOST_CALLS
    assert dead.late_reply("9") is None
    assert dead.late_reply("10") is not None
    now_ns += REMEMBERED_NS + 1
    assert dead.late_reply("11") is None
    dead.bury(_call(1, now_ns), safe("m"), context)
    assert len(dead) == 1
    dead.forget()
    assert not len(dead)
