"""The sentence that says where a call died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc.exceptions import MessagingTimeout
from tracedrpc.message import Stage
from tracedrpc.semconv import rpc_method

if TYPE_CHECKING:
    from tracedrpc.message import Invocation

_STORY: Final = {
    Stage.POOL_ACQUIRE: "it got no connection from the pool and was never published",
    Stage.CONNECT: "no broker could be reached and it was never published",
    Stage.PUBLISH: "it was being handed to the broker {peer}",
    Stage.CONFIRM: "it was handed to the broker {peer}, which has not confirmed it",
    Stage.UNROUTABLE: "the broker {peer} has no queue for it: no server is listening on '{key}'",
    Stage.QUEUE_OR_SERVER: "the broker {peer} took it for queue '{key}'; no sign of life from a server since",
    Stage.SERVER: "a server was working on it, its last heartbeat came {age:.1f} s ago",
    Stage.HEARTBEAT_LOST: "heartbeats stopped: the last sign of life came {age:.1f} s ago",
}


def timed_out(invocation: Invocation) -> MessagingTimeout:
    """Return the exception for a call without a reply, from what its client has seen."""
    request, stage = invocation.request, invocation.stage
    target = request.target
    elapsed_s = invocation.elapsed_s()
    heard_s = (invocation.heartbeat_ns - invocation.started_ns) / 1e9
    age_s = elapsed_s - heard_s if invocation.heartbeat_ns else None
    story = _STORY.get(stage, "its last stage is not known").format(
        peer=invocation.peer or "(none)", key=invocation.routing_key, age=age_s or 0.0,
    )
    method = rpc_method(target.topic, target.namespace, request.method)
    server = f" on server {target.server}" if target.server else ""
    return MessagingTimeout(
        f"Timed out waiting for a reply to message ID {request.msg_id}: {method}{server}, "
        f"{elapsed_s:.3f} s: {story}",
        method=request.method,
        target=target,
        msg_id=request.msg_id,
        reply_queue=invocation.reply_queue or None,
        phase=stage.value,
        elapsed_s=elapsed_s,
        last_heartbeat_age_s=age_s if invocation.heartbeats else None,
    )
