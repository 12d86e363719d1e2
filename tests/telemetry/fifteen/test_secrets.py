"""What was not asked for is in no byte that leaves a process: not in spans, metrics or log lines."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import SOON_S, Agent
from tests.telemetry.fifteen.scenarios import SHORT_S
from tests.telemetry.fifteen.stages import Pair, Scene
from tests.telemetry.otlp_receiver import OtlpReceiver
from tracedrpc.url import TransportURL
from tracedrpc_console.broker import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracedrpc_console.broker import Broker

PLACES = ("password", "wrongpassword", "arg", "ctxt", "deep", "result", "raised", "expected", "unknown")
USER = f"teller-{uuid.uuid4().hex[:6]}"
CANARIES = {place: f"c4n4ry{place}{uuid.uuid4().hex}" for place in PLACES}


CAPTURED: dict[str, set[str]] = {
    "": set(),
    "args.value": {"arg"},
    "context.token": {"ctxt"},
    "result": {"result"},
    "exception.message": {"raised", "expected", "unknown"},  # a TypeError names the argument
}
"""What may be told, and the places whose canaries are seen then."""


@pytest.fixture(scope="module")
def vault(broker: Broker, mortal: Broker) -> Iterator[str]:
    """Give the URL of a broker whose user's password is a canary."""
    try:
        broker.rabbitmqctl("add_user", USER, CANARIES["password"])
        guarded = broker
    except BrokerUnavailable:  # given by URL
        mortal.start()
        mortal.rabbitmqctl("add_user", USER, CANARIES["password"])
        guarded = mortal
    guarded.rabbitmqctl("set_permissions", USER, ".*", ".*", ".*")
    yield _url(guarded.url, CANARIES["password"])
    guarded.rabbitmqctl("delete_user", USER)


def _url(url: str, password: str) -> str:
    parsed = TransportURL.parse(None, url)
    parsed.hosts[0].username, parsed.hosts[0].password = USER, password
    return str(parsed)


@pytest.fixture(scope="module")
def seen(vault: str) -> dict[str, set[str]]:
    """Return whose canaries left a process that was told to capture so much, for each of `CAPTURED`."""
    with ThreadPoolExecutor() as threads:
        looking = {capture: threads.submit(_seen, vault, capture) for capture in CAPTURED}
    return {capture: future.result() for capture, future in looking.items()}


@pytest.mark.parametrize("capture", CAPTURED)
def test_what_was_asked_for_leaves_and_nothing_else(seen: dict[str, set[str]], capture: str) -> None:
    assert seen[capture] == CAPTURED[capture]


def _seen(url: str, capture: str) -> set[str]:
    """Return the places whose canaries leave a process that is client and server and tells all it may."""
    with OtlpReceiver() as otlp:
        agent = Agent(
            "secretive", otlp.http_url, "http/protobuf", level="DEBUG", TRACEDRPC_TRACING="full",
            TRACEDRPC_EVENTS="dup", TRACEDRPC_SEMCONV="oslo", TRACEDRPC_CAPTURE=capture,
        ).ready()
        try:
            with Scene(Pair(agent, agent, otlp), url) as scene:
                _be_eventful(scene)
        finally:
            agent.close()
        return _found(agent, otlp)


def _found(agent: Agent, otlp: OtlpReceiver) -> set[str]:
    """Look for canaries in every byte that was exported, and in every log line."""
    assert {export.signal for export in otlp.exports} == {"traces", "logs", "metrics"}
    haystack = b"".join(export.body + repr(export.headers).encode() for export in otlp.exports)
    lines = "".join(f"{said['log']}{said['fields']}" for said in agent.lines())
    assert len(agent.lines()) > 30
    return {place for place, canary in CANARIES.items() if canary.encode() in haystack or canary in lines}


def _be_eventful(scene: Scene) -> None:
    """Succeed, fail, time out, be refused, be late, be reset, with canaries everywhere."""
    scene.serve()
    ctxt = {"token": CANARIES["ctxt"], "user": {"key": [CANARIES["deep"]]}}
    args = {"value": CANARIES["arg"], "other": {CANARIES["deep"]: CANARIES["deep"]}}
    caller = scene.client()

    def call(method: str, args: dict[str, Any], **how: Any) -> dict[str, Any]:
        return caller.call(method, args, ctxt=ctxt, **how)

    assert call("answer", args | {"with_": CANARIES["result"][::-1]})["result"] == CANARIES["result"]
    for method, place in (("fail", "raised"), ("miss", "expected")):
        assert not call(method, {"text": CANARIES[place]})["ok"]
    assert not call("missing", args | {"x": CANARIES["unknown"]})["ok"]
    assert not call("echo", {CANARIES["unknown"]: 1})["ok"]
    assert caller.cast("note", {"key": CANARIES["arg"][::-1]}, ctxt=ctxt)["ok"]
    assert caller.cast("fail", {"text": CANARIES["raised"]}, ctxt=ctxt, fanout=True)["ok"]
    assert not call("echo", args, topic=f"{scene.topic}-nobody", timeout=SHORT_S / 2)["ok"]
    _be_unlucky(scene, args, ctxt)


def _be_unlucky(scene: Scene, args: dict[str, Any], ctxt: dict[str, Any]) -> None:
    """Meet a wrong password, a reset and a time-out in the handler."""
    refused = scene.client(_url(scene.url, CANARIES["wrongpassword"]), warm=False)
    assert not refused.call("echo", args, ctxt=ctxt, timeout=SHORT_S)["ok"]
    assert not refused.cast("echo", args, ctxt=ctxt, timeout=SHORT_S)["ok"]
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy))
    late = scene.hold(caller, ctxt=ctxt, timeout=SHORT_S, call_monitor_timeout=SHORT_S / 2)
    proxy.reset_all()
    assert not late.result(SOON_S)["ok"]
    scene.release_all()
    scene.pair.client.wait_for_line("reply_discarded")
