"""The stories that are told in traces: what is done, and what its trace must at least have.

Each is played by two processes on a real broker. `SCENARIOS` names them; those of `PHASES` time
out, each in the phase that it is named for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import amqp

from tests.telemetry.fifteen.processes import SOON_S
from tests.telemetry.fifteen.stages import Scene

BIG = "x" * 12_000_000
"""More than the buffers of two sockets take."""
LATE_S = 0.2
"""How long after their callers have given up handlers return: nobody could think it was in time."""
SHORT_S = 1.0
"""When the calls that are to time out do so."""

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A story to be told.

    Attributes:
        play: what to do.
        wanted: how many spans of each kind its trace has at least when it is whole.
        is_alone: nothing else may be done by the same processes meanwhile.
    """

    play: Callable[[Scene], Outcome]
    wanted: dict[str, int] = field(default_factory=dict)
    is_alone: bool = False


SCENARIOS: dict[str, Scenario] = {}
PHASES: list[str] = []


Play = Callable[[Scene], Outcome]


def _scenario(*, is_alone: bool = False, **wanted: int) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        SCENARIOS[play.__name__] = Scenario(play, wanted, is_alone)
        return play

    return add


def _phase(*, is_alone: bool = False, **wanted: int) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        PHASES.append(play.__name__)
        return _scenario(is_alone=is_alone, **wanted)(play)

    return add


def eventually(is_true: Callable[[], Any], what: str) -> None:
    """Ask until it is so, for what gives no event to wait for."""
    give_up = time.monotonic() + SOON_S
    while not is_true():
        assert time.monotonic() < give_up, f"it never came to be so: {what}"
        time.sleep(0.01)


# ---- calls and casts that reach somebody ---------------------------------------------------------


@_scenario(CLIENT=1, SERVER=2)
def call(scene: Scene) -> Outcome:
    """Reach a method, on connections that exist."""
    scene.serve()
    return scene.client().call("echo", {"value": 1})


@_scenario(CLIENT=1, SERVER=2)
def first_call(scene: Scene) -> Outcome:
    """Reach a method; all connections have to be made."""
    scene.serve()
    return scene.client(warm=False).call("echo", {"value": 1})


@_scenario(PRODUCER=1, CONSUMER=1)
def cast(scene: Scene) -> Outcome:
    """Send and have no answer."""
    scene.serve()
    outcome = scene.client().cast("note", {"key": scene.topic})
    scene.pair.server.wait_for(event="noted", key=scene.topic)
    return outcome


@_scenario(PRODUCER=1, CONSUMER=2)
def fanout(scene: Scene) -> Outcome:
    """Reach two servers at once."""
    scene.serve("one")
    scene.serve("two")
    return scene.client().cast("note", {"key": scene.topic}, fanout=True)


@_scenario(CLIENT=1, SERVER=2)
def remote_error(scene: Scene) -> Outcome:
    """Be raised at."""
    scene.serve()
    return scene.client().call("fail")


@_scenario(CLIENT=1, SERVER=2)
def expected_error(scene: Scene) -> Outcome:
    """Be raised at with what the method declares."""
    scene.serve()
    return scene.client().call("miss")


@_scenario(CLIENT=1, SERVER=2)
def no_such_method(scene: Scene) -> Outcome:
    """Ask for what no endpoint has."""
    scene.serve()
    return scene.client().call("missing")


@_scenario(CLIENT=1, SERVER=2)
def slow_call(scene: Scene) -> Outcome:
    """Take longer than what counts as slow, on both sides."""
    scene.serve(slow_call_threshold=0.02)
    return scene.client(slow_call_threshold=0.02).call("nap", {"ms": 40})


@_scenario(CLIENT=1, SERVER=2)
def heartbeats(scene: Scene) -> Outcome:
    """Be told twice that the server works, and have the result."""
    scene.serve()
    holding = scene.hold(scene.client(), timeout=SOON_S, call_monitor_timeout=2.0)
    _wait_for_heartbeat(scene, 2)
    scene.release_all()
    outcome: Outcome = holding.result(SOON_S)
    return outcome


@_scenario(CLIENT=1, SERVER=2)
def retry(scene: Scene) -> Outcome:
    """Lose the connection in the middle of a publish, and succeed on another."""
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy))
    proxy.freeze()
    calling = caller.ask("swallow", {"value": BIG}, timeout=SOON_S)
    eventually(lambda: caller.state()["in_use"], "the connection is in use")
    proxy.reset_all()
    outcome: Outcome = calling.result(SOON_S)
    return outcome


@_scenario(CLIENT=2, SERVER=2, late=1)
def late_reply(scene: Scene) -> Outcome:
    """Give up before the answer comes."""
    scene.serve()
    outcome: Outcome = scene.hold(scene.client(), timeout=SHORT_S).result(SOON_S)
    return _answered_late(scene, outcome)


@_scenario(CLIENT=1, SERVER=2)
def dead_letter(scene: Scene) -> Outcome:
    """Expire in a queue without consumers and be answered by the consumer of its dead letters."""
    scene.serve()
    caller, source = scene.client(), f"{scene.topic}.source"
    with scene.channel() as channel:
        channel.queue_declare(source, durable=False, auto_delete=False, arguments={
            "x-message-ttl": 50, "x-expires": 60_000,
            "x-dead-letter-exchange": "", "x-dead-letter-routing-key": scene.topic,
        })
        channel.queue_bind(source, scene.exchange, source)
        outcome = caller.call("echo", {"value": 1}, topic=source, timeout=SOON_S)
        channel.queue_delete(source)
    return outcome


@_scenario(CLIENT=1)
def undeliverable(scene: Scene) -> Outcome:
    """Ask for certainty and learn at once that nobody listens."""
    scene.serve()
    return scene.client().call("echo", topic=f"{scene.topic}-nobody", at_least_once=True, timeout=SOON_S)


@_scenario(CLIENT=2)
def reply_decode(scene: Scene) -> Outcome:
    """Be answered in a version of the envelope that nobody knows."""
    scene.serve()
    caller = scene.client()
    scene.unserve()
    with scene.channel() as channel:
        calling = caller.ask("echo", timeout=SOON_S)
        eventually(scene.queued, "the call is in the queue")
        request = json.loads(channel.basic_get(scene.topic, no_ack=True).body)
        request["oslo.version"] = "9.0"
        asked = json.loads(request["oslo.message"])
        reply = amqp.Message(json.dumps(request), content_type="application/json", content_encoding="utf-8")
        channel.basic_publish(reply, "", asked["_reply_q"])
        outcome: Outcome = calling.result(SOON_S)
    return outcome


# ---- calls that time out -------------------------------------------------------------------------


@_phase(CLIENT=1)
def pool_acquire(scene: Scene) -> Outcome:
    """Wait for the pool's only connection, which a publish on a frozen socket holds."""
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy), rpc_conn_pool_size=1)
    proxy.freeze()
    stuck = caller.ask("echo", {"value": BIG}, root="", timeout=2 * SHORT_S)
    eventually(lambda: caller.state()["in_use"], "the connection is in use")
    outcome = caller.call("echo", timeout=SHORT_S)
    stuck.result(SOON_S)
    return outcome


@_phase(CLIENT=1)
def connect(scene: Scene) -> Outcome:
    """Reach a port that accepts and never answers."""
    return scene.client(scene.black_hole(), warm=False).call("echo", timeout=SHORT_S)


@_phase(CLIENT=2)
def publish(scene: Scene) -> Outcome:
    """Write more than a frozen socket takes."""
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy))
    proxy.freeze()
    return caller.call("echo", {"value": BIG}, timeout=SHORT_S)


@_phase(CLIENT=2)
def confirm(scene: Scene) -> Outcome:
    """Write to a frozen socket what it takes."""
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy))
    proxy.freeze()
    return caller.call("echo", timeout=SHORT_S)


@_phase(CLIENT=2)
def unroutable(scene: Scene) -> Outcome:
    """Call a topic that nobody serves."""
    scene.serve()
    return scene.client().call("echo", topic=f"{scene.topic}-nobody", timeout=SHORT_S)


@_phase(CLIENT=2, SERVER=2, late=1)
def queue_or_server(scene: Scene) -> Outcome:
    """Wait in the queue of a server whose only worker is busy."""
    scene.serve(workers=1)
    caller = scene.client()
    busy = scene.hold(caller, root="", timeout=SOON_S)
    outcome = _answered_late(scene, caller.call("echo", timeout=SHORT_S))
    assert busy.result(SOON_S)["ok"]
    return outcome


@_phase(CLIENT=2, SERVER=2, late=1)
def server(scene: Scene) -> Outcome:
    """Hear of a server that works for longer than the call may take."""
    scene.serve()
    holding = scene.hold(scene.client(), timeout=1.5 * SHORT_S, call_monitor_timeout=SHORT_S)
    return _answered_late(scene, holding.result(SOON_S))


@_phase(is_alone=True, CLIENT=2, SERVER=2, late=1)
def heartbeat_lost(scene: Scene) -> Outcome:
    """Hear of a server, and then no more: its process is stopped."""
    scene.serve()
    holding = scene.hold(scene.client(), timeout=SOON_S, call_monitor_timeout=SHORT_S)
    _wait_for_heartbeat(scene, 1)
    scene.pair.server.freeze()
    try:
        outcome: Outcome = holding.result(SOON_S)
    finally:
        scene.pair.server.thaw()
    return _answered_late(scene, outcome)


@_phase(CLIENT=2, SERVER=2, late=1)
def reply_lost(scene: Scene) -> Outcome:
    """Lose the connections while the server works, and be refused others."""
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy))
    holding = scene.hold(caller, timeout=1.5 * SHORT_S)
    proxy.refuse()
    proxy.reset_all()
    outcome: Outcome = holding.result(SOON_S)
    proxy.accept()
    return _answered_late(scene, outcome)


# ---- pieces of stories ---------------------------------------------------------------------------


def _answered_late(scene: Scene, outcome: Outcome) -> Outcome:
    """Let the handler of a call that was given up answer; its trace will have a span for that."""
    assert not outcome["ok"], outcome
    time.sleep(LATE_S)
    scene.release_all()
    return outcome


def _wait_for_heartbeat(scene: Scene, number: int) -> None:
    """Wait until the client has heard of a scene's server so often; processes that tell all tell that."""
    method = f"{scene.topic}/hold"
    scene.pair.client.wait_for_line(
        "heartbeat_received", **{"rpc.method": method, "tracedrpc.heartbeat.count": number},
    )
