"""What log lines say of a call, a request, a connection or an error; never arguments or texts."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from tracedrpc import semconv as names
from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.message import NO_CARRIER

if TYPE_CHECKING:
    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation, ServerTimeline
    from tracedrpc.target import Target
    from tracedrpc.telemetry import ConnectionInfo, PoolStats

Fields = dict[str, Any]
"""Under the names of `tracedrpc.semconv`; what is None is left out of the line."""


def of_invocation(invocation: Invocation | None) -> Fields:
    """Return which call it is."""
    if invocation is None:
        return {}
    request = invocation.request
    target = request.target
    ids = invocation.scope.ids if invocation.scope else NO_CARRIER
    return {
        names.RPC_METHOD: names.rpc_method(target.topic, target.namespace, request.method),
        names.MODE: request.mode.value,
        names.MSG_ID: request.msg_id,
        names.TARGET_SERVER: target.server,
        **ids,
    }


def of_phases(invocation: Invocation) -> Fields:
    """Return where a call's time went."""
    anatomy = anatomy_of(invocation)
    phases = {names.phase_ms(phase): ns / 1e6 for phase, ns in anatomy.phases.items() if ns}
    return {names.ELAPSED_MS: anatomy.elapsed_ns / 1e6, **phases}


def of_incoming(incoming: Incoming) -> Fields:
    """Return which request it is."""
    received = incoming.received
    ids = incoming.scope.ids if incoming.scope else NO_CARRIER
    return {
        names.RPC_METHOD: names.rpc_method(incoming.topic, received.namespace, received.method),
        names.MODE: received.mode.value,
        names.MSG_ID: received.msg_id,
        names.QUEUE: incoming.queue,
        names.REDELIVERED: True if incoming.redelivered else None,
        **ids,
    }


def of_timeline(timeline: ServerTimeline) -> Fields:
    """Return where a request's time went inside its server."""
    phases = {
        Phase.DISPATCH: (timeline.delivered_ns, timeline.handler_ns or timeline.replied_ns),
        Phase.HANDLER: (timeline.handler_ns, timeline.handled_ns),
        Phase.REPLY: (timeline.handled_ns, timeline.replied_ns),
    }
    told = {
        names.phase_ms(phase): (ended_ns - begun_ns) / 1e6
        for phase, (begun_ns, ended_ns) in phases.items() if begun_ns and ended_ns
    }
    return {names.ELAPSED_MS: timeline.elapsed_ns() / 1e6, **told}


def of_target(target: Target) -> Fields:
    """Return what a server listens to."""
    return {names.QUEUE: target.topic, names.TARGET_SERVER: target.server}


def of_connection(connection: ConnectionInfo) -> Fields:
    """Return which connection it is."""
    return {
        names.CONNECTION_ID: connection.id,
        names.SERVER_ADDRESS: connection.peer,
        names.PURPOSE: connection.purpose,
    }


def of_pool(stats: PoolStats) -> Fields:
    """Return how full a pool is."""
    return {
        names.POOL_IN_USE: stats.in_use, names.POOL_IDLE: stats.idle,
        names.POOL_WAITERS: stats.waiters, names.POOL_MAX: stats.max_size,
    }


def of_error(error: BaseException | None) -> Fields:
    """Return an exception's class; its text may hold anything."""
    return {} if error is None else {names.ERROR_TYPE: type(error).__qualname__}


def frames(error: BaseException, most: int = 6) -> str:
    """Return where an exception came from, innermost last, without its text or source lines."""
    found = traceback.extract_tb(error.__traceback__)[-most:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in found)
