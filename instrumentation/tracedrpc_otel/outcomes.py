"""What an exception means for a span: its type, its status, never its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.exceptions import (
    MessageUndeliverable,
    MessagingTimeout,
    NoSuchMethod,
    RemoteError,
    UnsupportedVersion,
)
from tracedrpc_otel.attributes import (
    EXCEPTION_EVENT,
    NAME_LIMIT,
    REMOTE_ERROR,
    TIMEOUT,
    UNDELIVERABLE,
)
from tracedrpc_otel.records import EventRecord

if TYPE_CHECKING:
    from types import TracebackType

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc_otel.records import Attributes

_REMOTE_SUFFIX: Final = "_Remote"
"""What oslo.messaging appends to the class of an exception that was raised on a server."""
_STACK_LIMIT: Final = 20


def error_type(error: BaseException) -> str:
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


def client_error(invocation: Invocation, error: BaseException, ended_ns: int) -> Attributes:
    """Return what the caller's span says about a failed call or cast."""
    attributes: Attributes = {names.ERROR_TYPE: error_type(error)}
    if is_remote(invocation, error):
        attributes[names.RPC_STATUS] = REMOTE_ERROR
    elif is_timeout(error):
        attributes[names.RPC_STATUS] = TIMEOUT
        attributes[names.TIMEOUT_PHASE] = invocation.stage.value
        if invocation.heartbeats:
            attributes[names.HEARTBEAT_AGE_MS] = max(0, ended_ns - invocation.heartbeat_ns) / 1e6
    elif isinstance(error, MessageUndeliverable):
        attributes[names.RPC_STATUS] = UNDELIVERABLE
    return attributes


def exception_event(error: BaseException, at_ns: int) -> EventRecord:
    """Return the event that records a server's exception: its type and where, not its text."""
    attributes: Attributes = {names.EXCEPTION_TYPE: error_type(error)}
    stack = frames(error.__traceback__)
    if stack:
        attributes[names.EXCEPTION_STACK] = stack
    return EventRecord(EXCEPTION_EVENT, at_ns, attributes)


def frames(traceback: TracebackType | None) -> str:
    """Return "file:line:function" of the innermost frames, the innermost last, one a line.

    Written here, because `traceback` reads source files, and their lines hold literals.
    """
    lines: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = code.co_filename.rpartition("/")[2]
        lines.append(safe(f"{file}:{traceback.tb_lineno}:{code.co_qualname}"))
        traceback = traceback.tb_next
    return "\n".join(lines[-_STACK_LIMIT:])
