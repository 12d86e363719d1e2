"""What may hold secrets is told field by field, when asked for, and goes through `safe`."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.telemetry import support
from tests.telemetry.support import CANARY, Lab, incoming, invocation, publish
from tracedrpc.exceptions import RemoteError
from tracedrpc.wire.failure import rebuild_failure, serialize_failure
from tracedrpc_otel.settings import Settings

ASKED = frozenset({"args.image", "args.size", "args.deep", "args.gone", "context.project", "result"})


def _lab(*fields: str) -> Lab:
    return Lab(settings=Settings(capture=frozenset(fields)))


def _call() -> Any:
    call = invocation()
    args = {"image": "deb\n12", "size": 2**70, "deep": {"a": [1] * 1000}, "password": CANARY}
    context = {"project": "p1", "token": CANARY}
    call.request = dataclasses.replace(call.request, args=args, context=context)
    return call


def _told(span: Any) -> dict[str, Any]:
    captured = ("tracedrpc.args.", "tracedrpc.context.", "tracedrpc.result")
    return {key: value for key, value in span.attributes.items() if key.startswith(captured)}


def test_nothing_is_told_unasked(lab: Lab) -> None:
    call, asked = _call(), incoming()
    call.result = asked.result = CANARY
    with lab.telemetry.call(call), lab.telemetry.process(asked):
        pass
    assert [_told(span) for span in lab.spans] == [{}, {}]
    assert all(CANARY not in span.to_json() for span in lab.spans)


def test_fields_that_are_asked_for_are_told_on_both_sides() -> None:
    lab, call = _lab(*ASKED), _call()
    asked = incoming()
    asked.received = dataclasses.replace(asked.received, args=call.request.args, context=call.request.context)
    call.result = asked.result = {"id": 7}
    with lab.telemetry.call(call), lab.telemetry.process(asked):
        pass
    for span in lab.spans:
        told = _told(span)
        assert told.pop("tracedrpc.args.deep").endswith("…")
        assert told == {
            "tracedrpc.args.image": "deb\\x0a12", "tracedrpc.args.size": str(2**70),
            "tracedrpc.context.project": "p1", "tracedrpc.result": "{'id': 7}",
        }
        assert CANARY not in span.to_json()


@pytest.mark.parametrize("value", [True, 7, 1.5, -(2**63) + 1])
def test_numbers_stay_numbers(value: Any) -> None:
    lab, call = _lab("args.size"), _call()
    call.request = dataclasses.replace(call.request, args={"size": value})
    with lab.telemetry.call(call):
        pass
    assert _told(lab.spans[0]) == {"tracedrpc.args.size": value}


def _remote(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return rebuild_failure(serialize_failure(raised), [__name__])


class Gone(Exception):
    """One that may be rebuilt."""


@pytest.mark.parametrize("error", [ValueError("no disk"), Gone("no disk"), RuntimeError("no disk\nat all")])
def test_texts_of_remote_exceptions_are_told_on_request_and_their_tracebacks_apart(error: Exception) -> None:
    for fields in ((), ("exception.message",), ("remote.traceback",)):
        lab, call = _lab(*fields), _call()
        remote = _remote(error)
        with pytest.raises(type(remote)), lab.telemetry.call(call):
            publish(call)
            support.finish(call)
            raise remote
        client = lab.span("compute/reboot")
        (event,) = client.events
        message = event.attributes.get("exception.message")
        assert (message == "no disk") is ("exception.message" in fields)
        assert (client.status.description == f"{type(error).__name__}: no disk") is bool(message)
        stack = event.attributes.get("exception.stacktrace", "")
        assert ("test_capture.py" in stack) is ("remote.traceback" in fields)


def test_a_class_that_is_not_rebuilt_tells_as_much() -> None:
    lab, call = _lab("exception.message", "remote.traceback"), _call()
    with pytest.raises(RemoteError), lab.telemetry.call(call):
        publish(call)
        support.finish(call)
        raise RemoteError("Gone", "no disk", ["Traceback\n", "  File x\n"])
    (event,) = lab.span("compute/reboot").events
    assert event.attributes == {
        "exception.type": "Gone", "exception.message": "no disk",
        "exception.stacktrace": "Traceback\n  File x",
    }


def test_a_servers_exception_tells_its_text_on_request() -> None:
    for fields in ((), ("exception.message",)):
        lab = _lab(*fields)
        with lab.telemetry.process(incoming()) as scope:
            scope.failed(LookupError(CANARY))
        span = lab.span("compute/reboot")
        assert (CANARY in span.to_json()) is bool(fields)
        assert (span.status.description == f"LookupError: {CANARY}") is bool(fields)


def test_an_exception_without_a_text_of_its_own_costs_nothing_else() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    lab = _lab("exception.message")
    with lab.telemetry.process(incoming()) as scope:
        scope.failed(Silent())
    span = lab.span("compute/reboot")
    assert span.attributes["error.type"].endswith("Silent")
    assert "exception.message" not in span.events[0].attributes
