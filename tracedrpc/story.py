"""The sentences that say where a call died, and where it spent its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.message import Stage

if TYPE_CHECKING:
    from tracedrpc.anatomy import Anatomy
    from tracedrpc.message import Invocation

_LEAST_SHARE: Final = 0.02
"""A phase that took less of the call than this is not worth a word."""

_PHASES: Final = {
    Phase.PREPARE: "preparing the request",
    Phase.CONNECT: "connecting to the broker{peer}",
    Phase.ACQUIRE: "waiting for a connection{pool}",
    Phase.PUBLISH: "publishing{attempts}",
    Phase.UNROUTABLE: "without a queue '{key}' to go to",
    Phase.CONFIRM: "waiting for the broker's confirm",
    Phase.QUEUE: "in queue '{key}' and on the way there",
    Phase.DISPATCH: "waiting for a worker{server}",
    Phase.HANDLER: "in the method{server}",
    Phase.REPLY: "encoding the reply{server}",
    Phase.RETURN: "on the way back",
    Phase.REMOTE: "in queue '{key}', on a server and on the way",
    Phase.WAKEUP: "waking the caller's thread",
    Phase.FINISH: "decoding the result",
}

_STAGES: Final = {
    Stage.POOL_ACQUIRE: "it got no connection{pool} and was never published",
    Stage.CONNECT: "no broker could be reached and it was never published",
    Stage.PUBLISH: "it was being handed to the broker{peer}{attempts}",
    Stage.CONFIRM: "it was handed to the broker{peer}, which has not confirmed it",
    Stage.UNROUTABLE: "the broker{peer} has no queue '{key}' for it: no server is listening there",
    Stage.QUEUE_OR_SERVER: "the broker{peer} took it for queue '{key}', no word of a server since{queue}",
    Stage.SERVER: "{who} was working on it, its last heartbeat came {age:.1f} s ago",
    Stage.HEARTBEAT_LOST: "heartbeats stopped: the last sign of life{of} came {age:.1f} s ago",
    Stage.REPLY_LOST: "it was published; the connection that replies come on was lost and is not back{queue}",
    Stage.DONE: "its reply had come",
}


def where_spent(invocation: Invocation) -> str:
    """Return where the time of a call went, e.g. "56.0 ms: 18.0 in queue 'compute.cn7' and ..."."""
    anatomy = anatomy_of(invocation)
    least_ns = anatomy.elapsed_ns * _LEAST_SHARE
    told = [_share(invocation, anatomy, phase) for phase, ns in anatomy.phases.items() if ns > least_ns]
    return f"{anatomy.elapsed_ns / 1e6:.1f} ms: {', '.join(told)}"


def _share(invocation: Invocation, anatomy: Anatomy, phase: Phase) -> str:
    return f"{anatomy.ms(phase):.1f} {_PHASES[phase].format_map(_facts(invocation))}"


def where_died(invocation: Invocation) -> str:
    """Return the last thing known of a call that got no reply, as half a sentence."""
    return _STAGES[invocation.stage].format_map(_facts(invocation))


def _facts(invocation: Invocation) -> dict[str, object]:
    name = invocation.server
    heard_ns = invocation.heartbeat_ns or invocation.started_ns
    return {
        "peer": f" {invocation.peer}" if invocation.peer else "",
        "key": invocation.routing_key or invocation.exchange,
        "pool": _pool(invocation),
        "attempts": f" ({invocation.attempts} attempts)" if invocation.attempts > 1 else "",
        "queue": _queue(invocation),
        "server": f" of server '{name}'" if name else "",
        "who": f"server '{name}'" if name else "a server",
        "of": f" of server '{name}'" if name else "",
        "age": ((invocation.ended_ns or heard_ns) - heard_ns) / 1e9,
    }


def _pool(invocation: Invocation) -> str:
    stats = invocation.pool
    if stats is None:
        return ""
    waiting = f", {stats.waiters} waiting" if stats.waiters else ""
    return f" ({stats.in_use} of at most {stats.max_size} in use{waiting})"


def _queue(invocation: Invocation) -> str:
    """Return what the broker answered about the queue, if it was asked and answered in time."""
    messages, consumers = invocation.queue_messages, invocation.queue_consumers
    if messages is None or consumers is None:
        return ""
    ahead = "1 message waits" if messages == 1 else f"{messages} messages wait"
    if not consumers:
        return f"; {ahead} there and nobody consumes"
    return f"; {ahead} there, {consumers} consumer{'s' if consumers > 1 else ''}"
