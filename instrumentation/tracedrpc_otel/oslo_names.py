"""What oslo.messaging's own tracing and the instrumentation on PyPI call things, beside our names.

For those whose dashboards search for the old names: `TRACEDRPC_SEMCONV=oslo`. Names that mean
something else by now (`rpc.method`) keep their new meaning. The request's id is told because both
peers tell it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc_otel.records import word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc_otel.records import Attributes

SWITCH: Final = "oslo"
_RECEIVE: Final = SafeText("receive")
_SYSTEM: Final = SafeText(names.SYSTEM_VALUE)
_REQUEST_ID: Final = "request_id"


def of_sent(invocation: Invocation) -> Attributes:
    """Return the old names of a call or cast."""
    request = invocation.request
    return {
        **_common(invocation.system, request.target.namespace, request.context),
        names.OLD_OPERATION: word(request.mode),
        names.DESTINATION: safe(request.target.topic or ""),
    }


def of_received(incoming: Incoming) -> Attributes:
    """Return the old names of a request on its server."""
    received = incoming.received
    attributes = _common(incoming.system, received.namespace, received.context)
    attributes[names.OLD_OPERATION] = _RECEIVE
    if received.msg_id:
        attributes[names.MESSAGE_ID] = safe(received.msg_id)
    return attributes


def _common(system: str, namespace: str | None, context: Mapping[str, Any]) -> Attributes:
    attributes: Attributes = {names.OLD_SYSTEM: _SYSTEM, names.MESSAGING_SYSTEM: safe(system)}
    if namespace:
        attributes[names.OLD_SERVICE] = safe(namespace)
    request_id = context.get(_REQUEST_ID)
    if isinstance(request_id, str) and request_id:
        attributes[names.OLD_REQUEST_ID] = safe(request_id)
    return attributes
