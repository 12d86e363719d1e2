"""What an exception means for a span: its type and status; its text only where that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry._logs import SeverityNumber

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.exceptions import (
    MessageUndeliverable,
    MessagingTimeout,
    NoSuchMethod,
    RemoteError,
    UnsupportedVersion,
)
from tracedrpc.message import Mode
from tracedrpc.story import where_died
from tracedrpc_otel.attributes import NAME_LIMIT
from tracedrpc_otel.capture import joined
from tracedrpc_otel.records import EventRecord, LogForm, word

if TYPE_CHECKING:
    from types import TracebackType

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc_otel.capture import Capture
    from tracedrpc_otel.records import Attributes

REMOTE_ERROR: Final = SafeText("REMOTE_ERROR")
TIMEOUT: Final = SafeText("TIMEOUT")
UNDELIVERABLE: Final = SafeText("UNDELIVERABLE")
"""Values of `rpc.response.status_code`; oslo.messaging's protocol has none of its own."""
NO_STATUS: Final = SafeText("")

STORY_LIMIT: Final = 1024
"""Longest sentence about a call, in characters."""

_EVENT: Final = "exception"
_REMOTE_SUFFIX: Final = "_Remote"
"""What oslo.messaging appends to the class of an exception that was raised on a server."""
_STACK_LIMIT: Final = 20
_CLIENT: Final = LogForm("rpc.client.call.exception", SeverityNumber.WARN)
_SERVER: Final = LogForm("rpc.server.call.exception", SeverityNumber.ERROR)
_SENDER: Final = LogForm("messaging.send.exception", SeverityNumber.WARN)
_PROCESSOR: Final = LogForm("messaging.process.exception", SeverityNumber.ERROR)


def error_type(error: BaseException) -> SafeText:
    """Return the name of the class that was raised, on whichever side."""
    if isinstance(error, RemoteError) and isinstance(error.exc_type, str) and error.exc_type:
        return safe(error.exc_type, NAME_LIMIT)
    return safe(type(error).__qualname__.removesuffix(_REMOTE_SUFFIX), NAME_LIMIT)


def is_timeout(error: BaseException | None) -> bool:
    """Tell whether our own wait ended, not one of the server's."""
    return isinstance(error, MessagingTimeout) and not _is_marked_remote(error)


def is_remote(invocation: Invocation, error: BaseException) -> bool:
    """Tell whether the exception came in the reply.

    Builtin exceptions keep their class and bear no mark, so the reply's arrival decides.
    """
    if _is_marked_remote(error):
        return True
    ours = (MessagingTimeout, MessageUndeliverable)
    return bool(invocation.replied_ns) and isinstance(error, Exception) and not isinstance(error, ours)


def _is_marked_remote(error: BaseException) -> bool:
    return isinstance(error, RemoteError) or type(error).__name__.endswith(_REMOTE_SUFFIX)


def is_unknown_method(incoming: Incoming, error: BaseException | None) -> bool:
    """Tell whether no endpoint has the method; a handler's own calls may raise the same classes."""
    return isinstance(error, (NoSuchMethod, UnsupportedVersion)) and not incoming.timeline.handler_ns


def status(invocation: Invocation, error: BaseException | None) -> SafeText:
    """Return `rpc.response.status_code` of a call, `NO_STATUS` when there is nothing to say."""
    if error is None:
        return NO_STATUS
    if is_remote(invocation, error):
        return REMOTE_ERROR
    if is_timeout(error):
        return TIMEOUT
    return UNDELIVERABLE if isinstance(error, MessageUndeliverable) else NO_STATUS


def of_failure(invocation: Invocation, error: BaseException, ended_ns: int) -> Attributes:
    """Return what the span of a call or cast says about its failure."""
    attributes: Attributes = {names.ERROR_TYPE: error_type(error)}
    code = status(invocation, error)
    if code:
        attributes[names.RPC_STATUS] = code
    if is_timeout(error):
        attributes |= _of_timeout(invocation)
    if invocation.heartbeats:
        attributes[names.HEARTBEAT_AGE_MS] = max(0, ended_ns - invocation.heartbeat_ns) / 1e6
    return attributes


def _of_timeout(invocation: Invocation) -> Attributes:
    attributes: Attributes = {
        names.TIMEOUT_PHASE: word(invocation.stage),
        names.WHY: safe(where_died(invocation), STORY_LIMIT),
    }
    if invocation.queue_messages is not None:
        attributes[names.QUEUE_MESSAGES] = invocation.queue_messages
    if invocation.queue_consumers is not None:
        attributes[names.QUEUE_CONSUMERS] = invocation.queue_consumers
    return attributes


# ---- the exception itself ---------------------------------------------------------------------


def client_exception(
    invocation: Invocation, error: BaseException, at_ns: int, capture: Capture,
) -> EventRecord:
    """Return the event that records what a caller met; the stack is the server's, where it is wanted."""
    attributes = _of_exception(error, capture)
    stack = capture.remote_traceback(error) if is_remote(invocation, error) else None
    if stack is not None:
        attributes[names.EXCEPTION_STACK] = stack
    form = _CLIENT if invocation.request.mode is Mode.CALL else _SENDER
    return EventRecord(_EVENT, at_ns, attributes, form)


def server_exception(incoming: Incoming, error: BaseException, at_ns: int, capture: Capture) -> EventRecord:
    """Return the event that records a server's exception: its type and where it was raised."""
    attributes = _of_exception(error, capture)
    stack = frames(error.__traceback__)
    if stack:
        attributes[names.EXCEPTION_STACK] = stack
    form = _SERVER if incoming.received.mode is Mode.CALL else _PROCESSOR
    return EventRecord(_EVENT, at_ns, attributes, form)


def _of_exception(error: BaseException, capture: Capture) -> Attributes:
    attributes: Attributes = {names.EXCEPTION_TYPE: error_type(error)}
    text = capture.message(error)
    if text is not None:
        attributes[names.EXCEPTION_MESSAGE] = text
    return attributes


def description(error: BaseException, capture: Capture) -> SafeText:
    """Return what stands beside the status ERROR: the type, and the text where it is wanted."""
    text = capture.message(error)
    return error_type(error) if text is None else safe(f"{error_type(error)}: {text}")


def frames(traceback: TracebackType | None) -> SafeText:
    """Return "file:line:function" of the innermost frames, the innermost last, one a line.

    Written here, because `traceback` reads source files, and their lines hold literals.
    """
    places = []
    while traceback is not None:
        places.append((traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
    return joined([
        safe(f"{code.co_filename.rpartition('/')[2]}:{line}:{code.co_qualname}")
        for code, line in places[-_STACK_LIMIT:]
    ])
