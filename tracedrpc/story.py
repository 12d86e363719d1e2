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
    Phase.UNROUTABLE: "while no queue '{key}' existed",
    Phase.CONFIRM: "waiting for the broker's confirm",
    Phase.QUEUE: "in queue '{key}' and on the way there",
    Phase.DISPATCH: "waiting for a worker{server}",
    Phase.HANDLER: "in the method{server}",
    Phase.REPLY: "encoding the reply{server}",
    Phase.RETURN: "on the way back",
    Phase.REMOTE: "in queue '{key}', at a server and on the way",
    Phase.WAKEUP: "waking the caller's thread",
    Phase.FINISH: "decoding the result",
}

_STAGES: Final = {
    Stage.POOL_ACQUIRE: "it got no connection{pool} and was never published",
    Stage.CONNECT: "no broker could be reached and it was never published",
    Stage.PUBLISH: "it was being handed to the broker{peer}{attempts}, which did not take it",
    Stage.CONFIRM: "it was handed to the broker{peer}, which has not confirmed it{queue}",
    Stage.UNROUTABLE: "the broker{peer} has no queue for it: no server is listening on '{key}'",
    Stage.QUEUE_OR_SERVER: "the broker{peer} took it for queue '{key}', no word of a server since{queue}",
    Stage.SERVER: "{who} was working on it, its last heartbeat came {age:.1f} s ago",
    Stage.HEARTBEAT_LOST: "{who} was working on it and its heartbeats stopped, the last came {age:.1f} s ago",
    Stage.REPLY_LOST: "it was published; the connection that replies come on was lost and is not back{queue}",
    Stage.REPLY_DECODE: "{who} answered it, with a reply that cannot be decoded",
    Stage.DONE: "its reply had come",
}

_AGAIN: Final = {
    Stage.POOL_ACQUIRE: "it was published, not confirmed, and got no connection{pool} to be published again",
    Stage.CONNECT: "it was published, not confirmed, and no broker could be reached to publish it again",
    Stage.PUBLISH: "it was published, not confirmed, and being handed to the broker{peer} again{attempts}",
}
"""The same for a message whose connection broke after it had been published."""

_APPEARED: Final = "the broker{peer} had no queue for it; '{key}' exists now, too late for this call{queue}"
_NO_HEARTBEAT: Final = "no server sent a heartbeat in the {age:.1f} s since it was sent"


def where_spent(invocation: Invocation) -> str:
    """Return where the time of a call went, e.g. "56.0 ms: 18.0 in queue 'compute.cn7' and ..."."""
    anatomy = anatomy_of(invocation)
    least_ns = anatomy.elapsed_ns * _LEAST_SHARE
    facts = _facts(invocation)
    told = [_share(anatomy, phase, facts) for phase, ns in anatomy.phases.items() if ns > least_ns]
    return f"{anatomy.elapsed_ns / 1e6:.1f} ms: {', '.join(told)}"


def _share(anatomy: Anatomy, phase: Phase, facts: dict[str, object]) -> str:
    return f"{anatomy.ms(phase):.1f} {_PHASES[phase].format_map(facts)}"


def where_died(invocation: Invocation) -> str:
    """Return the last thing known of a call that got no reply, as half a sentence."""
    return _sentence(invocation).format_map(_facts(invocation))


def _sentence(invocation: Invocation) -> str:
    stage = invocation.stage
    if invocation.published_ns and stage in _AGAIN:
        return _AGAIN[stage]
    if stage is Stage.UNROUTABLE and invocation.queue_messages is not None:
        return _APPEARED
    if stage is Stage.HEARTBEAT_LOST and not invocation.heartbeats:
        return _NO_HEARTBEAT
    return _STAGES[stage]


def _facts(invocation: Invocation) -> dict[str, object]:
    name = invocation.server
    heard_ns = invocation.heartbeat_ns or invocation.started_ns
    return {
        "peer": f" {invocation.peer}" if invocation.peer else "",
        "key": invocation.routing_key or invocation.exchange,
        "pool": _pool(invocation),
        "attempts": f" ({invocation.attempts} attempts)" if invocation.attempts > 1 else "",
        "queue": _queue(invocation),
        "server": f" on server '{name}'" if name else "",
        "who": f"server '{name}'" if name else "a server",
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
    if invocation.queue_missing:
        return "; there is no such queue now"
    messages, consumers = invocation.queue_messages, invocation.queue_consumers
    if messages is None:
        return ""
    waiting = "1 message waits" if messages == 1 else f"{messages or 'no'} messages wait"
    if consumers is None:
        return f"; {waiting} there now"
    if not consumers:
        return f"; {waiting} there now and nobody consumes"
    taking = f"{consumers} consumer{'s' if consumers > 1 else ''}"
    if not messages and invocation.stage is Stage.QUEUE_OR_SERVER:
        return f"; that queue is empty now and has {taking}: a server has taken the call, or it expired there"
    return f"; {waiting} there now, {taking}"
