"""The exceptions of calls that got no reply, or none that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracedrpc.exceptions import MessagingTimeout, ReplyDecodeError
from tracedrpc.semconv import rpc_method
from tracedrpc.story import where_died

if TYPE_CHECKING:
    from tracedrpc.exceptions import DecodeError
    from tracedrpc.message import Invocation


def timed_out(invocation: Invocation) -> MessagingTimeout:
    """Return the exception for a call without a reply, from what its client has seen."""
    heard_ns = invocation.heartbeat_ns if invocation.heartbeats else 0
    age_s = (invocation.ended_ns - heard_ns) / 1e9 if heard_ns else None
    return MessagingTimeout(
        f"Timed out waiting for a reply to message ID {_told(invocation)}",
        last_heartbeat_age_s=age_s,
        queue_messages=invocation.queue_messages,
        queue_consumers=invocation.queue_consumers,
        **_fields(invocation),
    )


def undecodable(invocation: Invocation, cause: DecodeError) -> ReplyDecodeError:
    """Return the exception for a call whose reply came and cannot be decoded."""
    return ReplyDecodeError(
        cause.reason, f"Cannot decode the reply to message ID {_told(invocation)}: {cause}",
        **_fields(invocation),
    )


def _told(invocation: Invocation) -> str:
    request = invocation.request
    target = request.target
    method = rpc_method(target.topic, target.namespace, request.method)
    server = f" on server {target.server}" if target.server else ""
    story = where_died(invocation)
    return f"{request.msg_id}: {method}{server}, {invocation.elapsed_s():.3f} s: {story}"


def _fields(invocation: Invocation) -> dict[str, Any]:
    request = invocation.request
    return {
        "method": request.method,
        "target": request.target,
        "msg_id": request.msg_id,
        "reply_queue": invocation.reply_queue or None,
        "phase": invocation.stage.value,
        "elapsed_s": invocation.elapsed_s(),
    }
