"""Which request this thread works on, so that a handler's own log lines can say it.

structlog's context variables: an application whose structlog has `merge_contextvars` needs nothing
else. Set in the context that each request runs in, and gone with it.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Final

from structlog.contextvars import bind_contextvars, merge_contextvars

from tracedrpc import semconv as names
from tracedrpc._safe import LIMIT, safe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import ContextVar

    from structlog.typing import EventDict, WrappedLogger

# Bound once in a context that is thrown away, to get at the variables: set directly they take a
# tenth of the time.
_tokens: Final = Context().run(bind_contextvars, **{names.RPC_METHOD: "", names.MSG_ID: ""})
_method: Final[ContextVar[str]] = _tokens[names.RPC_METHOD].var
_msg_id: Final[ContextVar[str]] = _tokens[names.MSG_ID].var


def bind(method: str, msg_id: str | None) -> None:
    """Let log lines of this context name a request; a cast has no message id. About 1 us."""
    # Nearly every name is fine as it is, and most requests log nothing.
    _method.set(method if len(method) <= LIMIT and method.isprintable() else safe(method))
    if msg_id:
        _msg_id.set(msg_id if len(msg_id) <= LIMIT and msg_id.isprintable() else safe(msg_id))


def merge(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    """Add what is bound here to a line; structlog's `merge_contextvars`, but for one thing.

    A line about another call, made by a handler, does not take this request's message id: a cast
    has none of its own.
    """
    is_of_another = names.RPC_METHOD in fields and names.MSG_ID not in fields
    merged = merge_contextvars(logger, method, fields)
    if is_of_another:
        merged.pop(names.MSG_ID, None)
    return merged


def bound() -> Mapping[str, str]:
    """Return what log lines of this context should say of their request; empty outside of one."""
    found = {names.RPC_METHOD: _method.get(""), names.MSG_ID: _msg_id.get("")}
    # `...` is how structlog marks a variable that was unbound.
    return {key: value for key, value in found.items() if value and isinstance(value, str)}
