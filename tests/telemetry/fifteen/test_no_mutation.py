"""What a caller passes is afterwards what it was, and handlers see nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Pairs, Scene

CTXT: dict[str, Any] = {
    "request_id": "req-1",
    "user": {"name": "a", "roles": ["reader", {"of": ["x", None]}]},
    "empty": {},
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
"""With a trace context in it, as services put it there that forward what they were given."""
ARGS: dict[str, Any] = {"value": {"list": [1, 2.5, None, {"deep": ["x"]}], "empty": [], "text": "ä"}}
METHODS = {"echo": ARGS, "fail": {}, "miss": {}, "missing": ARGS}


@pytest.mark.parametrize("detail", ["default", "full"])
@pytest.mark.parametrize("method", METHODS)
def test_context_and_arguments_of_a_call_are_left_as_they_were(
    pairs: Pairs, make_scene: Any, method: str, detail: str,
) -> None:
    scene: Scene = make_scene(pairs[detail])
    scene.serve()
    outcome = scene.client().call(method, METHODS[method], ctxt=CTXT)
    assert outcome["intact"]
    scene.pair.trace(outcome["trace_id"], SERVER=2)  # it was traced indeed


@pytest.mark.parametrize("how", [{}, {"fanout": True}])
def test_context_and_arguments_of_a_cast_are_left_as_they_were(scene: Scene, how: dict[str, Any]) -> None:
    scene.serve()
    outcome = scene.client().cast("note", {"key": scene.topic}, ctxt=CTXT, **how)
    assert outcome["intact"]
    scene.pair.trace(outcome["trace_id"], CONSUMER=1)


def test_context_and_arguments_are_left_as_they_were_when_a_call_times_out(scene: Scene) -> None:
    outcome = scene.client(warm=False).call("echo", ARGS, ctxt=CTXT, timeout=0.3)
    assert outcome["intact"]
    assert not outcome["ok"]


def test_handlers_get_the_callers_context_and_arguments_and_nothing_more(scene: Scene) -> None:
    scene.serve()
    caller = scene.client()
    seen = caller.call("context", ctxt=CTXT)["result"]
    assert {key: seen[key] for key in CTXT if key != "traceparent"} == {
        key: value for key, value in CTXT.items() if key != "traceparent"
    }
    assert set(seen) - set(CTXT) <= {"client_timeout"}  # oslo.messaging's own addition
    assert caller.call("echo", ARGS)["result"] == ARGS["value"]
