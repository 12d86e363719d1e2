"""In a mix with oslo.messaging, its tracing on or off: the same results, one trace, no span twice.

The whole matrix, with the instrumentation from PyPI too, is in tests/interop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import SOON_S, Agent
from tests.telemetry.fifteen.scenarios import eventually
from tests.telemetry.fifteen.stages import is_whole, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemetry.fifteen.stages import Pair, Scene
    from tests.telemetry.otlp_receiver import OtlpReceiver
    from tests.telemetry.otlp_values import SpanData

ASKED: dict[str, tuple[dict[str, Any], Any]] = {
    "echo": ({"value": {"nested": [1, None, "ä"]}}, {"nested": [1, None, "ä"]}),
    "fail": ({"text": "as asked"}, "ValueError"),
    "missing": ({}, "RemoteError"),
}
"""Methods with their arguments, and what comes of each: a result, or the name of the exception."""

OURS, OFF, ON = "ours", "stock, tracing off", "stock, tracing on"
MIXES = [(OURS, OURS), (OURS, OFF), (OURS, ON), (OFF, OURS), (ON, OURS)]


@pytest.fixture(scope="module")
def stock(otlp: OtlpReceiver) -> Iterator[Agent]:
    """Give a process with oslo.messaging."""
    agent = Agent("stock", otlp.http_url, "http/protobuf", program="stock").ready()
    yield agent
    agent.close()


class Peer:
    """A client or a server of a scene, on either library."""

    def __init__(self, scene: Scene, kind: str, ours: Agent, stock: Agent) -> None:
        self.agent = ours if kind == OURS else stock
        self.name = f"{scene.topic}-{kind}-{id(self)}"
        self._scene = scene
        tracing = {} if kind == OURS else {"tracing": kind == ON}
        self.agent.do("connect", name=self.name, url=scene.url, **tracing)

    def serve(self) -> None:
        self.agent.do("serve", **self._where(), server="one")

    def send(self, verb: str, method: str, args: dict[str, Any]) -> dict[str, Any]:
        where = self._where()
        # Ours takes the exchange like every other field of the target, by `prepare`.
        outcome: dict[str, Any] = self.agent.do(
            verb, **where, method=method, args=args, root="request", timeout=SOON_S,
            ctxt={"request_id": "req-1"},
        )
        return outcome

    def _where(self) -> dict[str, Any]:
        return {"transport": self.name, "topic": self._scene.topic, "exchange": self._scene.exchange}

    def close(self, *, serves: bool) -> None:
        if serves:
            self.agent.do("unserve", topic=self._scene.topic, server="one")
        self.agent.do("disconnect", name=self.name)


@pytest.fixture
def peers(scene: Scene, stock: Agent, request: pytest.FixtureRequest) -> Iterator[tuple[Peer, Peer]]:
    """Give a client and a started server of the kinds asked for."""
    client_kind, server_kind = request.param
    client = Peer(scene, client_kind, scene.pair.client, stock)
    server = Peer(scene, server_kind, scene.pair.server, stock)
    server.serve()
    yield client, server
    client.close(serves=False)
    server.close(serves=True)


@pytest.mark.parametrize("peers", MIXES, indirect=True, ids=lambda mix: f"{mix[0]} calls {mix[1]}")
def test_the_results_are_the_same_and_each_call_is_one_trace(
    scene: Scene, stock: Agent, peers: tuple[Peer, Peer], request: pytest.FixtureRequest,
) -> None:
    mix = request.node.callspec.params["peers"]
    for method, (args, expected) in ASKED.items():
        outcome = peers[0].send("call", method, args)
        assert (outcome["result"] if outcome["ok"] else outcome["error"]) == expected, outcome
        if mix[0] == OFF:
            _has_a_trace_of_its_own(scene, method)
        else:
            _is_one_of_each(_trace(scene.pair, stock, outcome["trace_id"], _expected(mix)), mix)
    outcome = peers[0].send("cast", "note", {"key": f"{scene.topic}-{mix}"})
    assert outcome["ok"]
    peers[1].agent.wait_for(event="noted", key=f"{scene.topic}-{mix}")


def _has_a_trace_of_its_own(scene: Scene, method: str) -> None:
    """Nobody said what the request belongs to: our server's span is a root, once."""
    name = "_OTHER" if method == "missing" else f"{scene.topic}/{method}"

    def roots() -> list[SpanData]:
        return [
            span for span in scene.pair.otlp.spans
            if span.kind == "SERVER" and span.name == name and not span.parent_id
            and scene.topic in str(span.attributes)
        ]

    assert scene.pair.otlp.wait_for(lambda _: roots(), SOON_S)
    scene.pair.flush()
    assert len(roots()) == 1


def _expected(mix: tuple[str, str]) -> int:
    """How many of the two sides tell a span of their own for the call."""
    return sum(kind != OFF for kind in mix)


def _trace(pair: Pair, stock: Agent, trace_id: str, sides: int) -> list[SpanData]:
    """Return a trace to which so many sides have told their part."""

    def is_told() -> bool:
        stock.do("flush")
        pair.flush()
        return is_whole(pair.otlp, trace_id, {}) and len(_sides(trace_of(pair.otlp, trace_id))) >= sides

    eventually(is_told, f"{sides} sides tell of the call")
    return trace_of(pair.otlp, trace_id)


def _sides(spans: list[SpanData]) -> list[SpanData]:
    """Return the spans of the call itself on either side, whoever made them."""
    return [
        span for span in spans
        if span.parent_id and "rpc.method" in span.attributes
        and not span.name.startswith(("handle ", "late "))
    ]


def _is_one_of_each(spans: list[SpanData], mix: tuple[str, str]) -> None:
    """Both sides are there once, in one trace, the server's below the client's."""
    (root,) = [span for span in spans if not span.parent_id]
    sides = sorted(_sides(spans), key=lambda span: span.parent_id != root.span_id)
    assert len(sides) == _expected(mix), [span.name for span in sides]
    parents = [root, *sides]
    assert [span.parent_id for span in sides] == [parent.span_id for parent in parents[: len(sides)]]
    kinds = {OURS: ("CLIENT", "SERVER"), ON: ("PRODUCER", "CONSUMER")}
    told = [kinds[kind][side] for side, kind in enumerate(mix) if kind != OFF]
    assert [span.kind for span in sides] == told
