"""What was not asked for is in no byte that leaves a process: not in spans, metrics or log lines."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import SOON_S, Agent
from tests.telemetry.fifteen.scenarios import SHORT_S
from tests.telemetry.fifteen.stages import Pair, Scene
from tracedrpc.url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemetry.otlp_receiver import OtlpReceiver
    from tracedrpc_console.broker import Broker

PLACES = ("password", "wrongpassword", "arg", "ctxt", "deep", "result", "raised", "expected", "unknown")
CANARIES = {place: f"c4n4ry{place}{uuid.uuid4().hex}" for place in PLACES}


@pytest.fixture(scope="module")
def vault(mortal: Broker) -> str:
    """Return the URL of a broker whose user's password is a canary."""
    mortal.start()
    mortal.rabbitmqctl("add_user", "teller", CANARIES["password"])
    mortal.rabbitmqctl("set_permissions", "teller", ".*", ".*", ".*")
    return _url(mortal.url, CANARIES["password"])


def _url(url: str, password: str) -> str:
    parsed = TransportURL.parse(None, url)
    parsed.hosts[0].username, parsed.hosts[0].password = "teller", password
    return str(parsed)


@pytest.fixture
def whole(otlp: OtlpReceiver, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Give a process that is client and server, tells everything it may, and some of what it may not."""
    agent = Agent(
        "secretive", otlp.http_url, "http/protobuf", level="DEBUG", TRACEDRPC_TRACING="full",
        TRACEDRPC_EVENTS="dup", TRACEDRPC_SEMCONV="oslo", TRACEDRPC_CAPTURE=getattr(request, "param", ""),
    ).ready()
    yield Pair(agent, agent, otlp)
    agent.close()


def test_nothing_secret_leaves_by_default(whole: Pair, vault: str) -> None:
    assert _found(whole, vault) == set()


@pytest.mark.parametrize(
    ("whole", "places"),
    [
        ("args.value", {"arg"}),
        ("context.token", {"ctxt"}),
        ("result", {"result"}),
        ("exception.message", {"raised", "expected", "unknown"}),  # a TypeError names the argument
    ],
    indirect=["whole"],
)
def test_what_was_asked_for_leaves_and_nothing_else(whole: Pair, vault: str, places: set[str]) -> None:
    assert _found(whole, vault) == places


def _found(pair: Pair, url: str) -> set[str]:
    """Return the places whose canaries were seen, after everything that may give one away."""
    seen_before = len(pair.otlp.exports)
    with Scene(pair, url) as scene:
        _be_eventful(scene)
    pair.client.do("flush")
    exports = pair.otlp.exports[seen_before:]
    assert {export.signal for export in exports} == {"traces", "logs", "metrics"}
    haystack = b"".join(export.body + repr(export.headers).encode() for export in exports)
    lines = "".join(f"{said['log']}{said['fields']}" for said in pair.client.lines())
    assert len(pair.client.lines()) > 30
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
