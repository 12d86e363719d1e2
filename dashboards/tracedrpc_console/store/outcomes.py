"""How a trace ended, told from its root span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracedrpc import semconv as names
from tracedrpc_console.store.model import Outcome
from tracedrpc_console.store.values import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def outcome_of(is_error: bool, attributes: Mapping[str, Any]) -> tuple[Outcome, str]:
    """Return the outcome and the sentence that says why, or ""."""
    why = text_of(attributes.get(names.WHY))
    if not is_error:
        return Outcome.OK, why
    error_type = text_of(attributes.get(names.ERROR_TYPE))
    timed_out = names.TIMEOUT_PHASE in attributes or "timeout" in error_type.lower()
    return (Outcome.TIMEOUT if timed_out else Outcome.ERROR), why
