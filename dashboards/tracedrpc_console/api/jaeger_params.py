"""Parameters of Jaeger's query API: Go's durations, times in three units, tags. Pure."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import QueryParams

US: Final = 1000
MS: Final = 1_000_000
MOST_NS: Final = 2**63 - 1
"""The last instant a store knows, in the year 2262."""
MOST_TRACES: Final = 1500
"""As many traces as one answer holds at most; Jaeger's own searches end there too."""
_UNITS: Final = {
    "ns": 1, "us": US, "µs": US, "μs": US, "ms": MS, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII,
)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})
_LONGEST: Final = 200


class ParamError(Exception):
    """A parameter that cannot be read.

    Attributes:
        status: the HTTP status to answer with.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the tags of a search say, where the store has a field of its own for it."""

    attributes: Mapping[str, str]
    kind: Kind | None
    errors_only: bool


def _unreadable(name: str, reason: str) -> ParamError:
    return ParamError(f"unable to parse param '{name}': {reason}")


def duration_ns(name: str, text: str) -> int | None:
    """Return a Go duration ("1.2s", "1m30s", "500us") as ns; None for an empty text."""
    if text in {"", "0"}:
        return None
    if len(text) > _LONGEST or not _DURATION.fullmatch(text):
        raise _unreadable(name, f"invalid duration {text[:_LONGEST]!r}; as in 1.2s, 100ms")
    return min(MOST_NS, int(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))))


def whole(name: str, text: str, default: int) -> int:
    """Return a whole number, the default for an empty text."""
    if not text:
        return default
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise _unreadable(name, f"invalid number {text[:_LONGEST]!r}")
    return int(text)


def instant_ns(name: str, text: str, unit_ns: int, default_ns: int) -> int:
    """Return a count of units since 1970 as ns."""
    return default_ns if not text else min(MOST_NS, max(0, whole(name, text, 0) * unit_ns))


def rfc3339_ns(name: str, text: str) -> int:
    """Return a time like "2026-11-22T10:00:00.123456789Z" as ns since 1970."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise _unreadable(name, f"{text[:_LONGEST]!r} is no RFC 3339 time")
    day, clock, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{zone.upper().replace('Z', '+00:00')}")
        seconds = (at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, OverflowError) as error:
        raise _unreadable(name, str(error)) from None
    return min(MOST_NS, max(0, int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))))


def flag(name: str, text: str) -> bool:
    """Return a boolean as Go reads it."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _unreadable(name, f"invalid boolean {text[:_LONGEST]!r}")


def kind(name: str, text: str) -> Kind:
    """Return a span kind by Jaeger's word, as in "server"."""
    try:
        return Kind(text.upper())
    except ValueError:
        raise _unreadable(name, f"unsupported span kind: {text[:_LONGEST]!r}") from None


def trace_id(text: str) -> str:
    """Return a trace id as 32 hex digits; shorter ones and base64 are taken as well."""
    if re.fullmatch(r"[0-9a-fA-F]{1,32}", text, re.ASCII):
        return text.lower().zfill(32)
    if re.fullmatch(r"[A-Za-z0-9+/_-]{22}==", text, re.ASCII):
        return base64.b64decode(text.replace("-", "+").replace("_", "/")).hex()
    raise _unreadable("traceID", f"{text[:_LONGEST]!r} is no trace id of up to 32 hex digits")


def limit(name: str, text: str, default: int) -> int:
    """Return how many traces are wanted, never more than `MOST_TRACES`."""
    wanted = whole(name, text, default)
    if wanted <= 0:
        raise ParamError(f"invalid parameter: {name} must be greater than 0")
    return min(wanted, MOST_TRACES)


def json_tags(name: str, text: str) -> dict[str, str]:
    """Return a JSON object of texts, as in {"rpc.method": "compute/reboot"}."""
    if not text:
        return {}
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(name, f"cannot unmarshal JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise _unreadable(name, "cannot unmarshal JSON: expecting an object of strings")
    return found


def tags(query: QueryParams) -> dict[str, str]:
    """Return what `tag=key:value` and `tags={json}` ask for, together."""
    found = {}
    for text in query.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon:
            raise _unreadable("tag", f"expecting key:value, received: {text[:_LONGEST]}")
        found[key] = value
    for text in query.getlist("tags"):
        found |= json_tags("tags", text)
    return found


def wanted(asked: Mapping[str, str]) -> Wanted:
    """Tell tags that Jaeger derives (`error`, `span.kind`, `otel.status_code`) from attributes."""
    attributes = dict(asked)
    is_error = attributes.get("error") == "true" or attributes.get("otel.status_code") == "ERROR"
    if is_error:
        attributes.pop("error", None)
        attributes.pop("otel.status_code", None)
    of_kind = attributes.pop("span.kind", "")
    return Wanted(attributes, kind("span.kind", of_kind) if of_kind else None, is_error)


def in_order(least_ns: int | None, most_ns: int | None, names: tuple[str, str]) -> None:
    """Refuse bounds that nothing can lie between."""
    if least_ns is not None and most_ns is not None and most_ns < least_ns:
        raise ParamError(f"'{names[1]}' should be greater than '{names[0]}'")
