"""OTLP as JSON: like protobuf's own JSON, but ids are hex digits and unknown fields are left out."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from google.protobuf.json_format import (  # type: ignore[import-untyped]  # it ships none
    ParseDict,
    ParseError,
)

from tracedrpc_console.store.signals import REQUESTS, Request, Signal

DEPTH_MOST: Final = 60
_IDS: Final = frozenset({
    "traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id",
})
_VALUES: Final = frozenset({"attributes", "body", "value"})
"""Below these are the values of an application, in which nothing is an id."""


class JsonError(ValueError):
    """The text is no OTLP/JSON."""


def from_json(signal: Signal, body: bytes) -> Request:
    """Return an export request.

    Raises:
        JsonError: it is no JSON, or not of OTLP.
    """
    try:
        told = _with_base64_ids(_object(body), DEPTH_MOST)
        request = REQUESTS[signal]()
        ParseDict(told, request, ignore_unknown_fields=True)
    except JsonError:
        raise
    except (ParseError, ValueError, RecursionError, TypeError, AttributeError, KeyError) as error:
        raise JsonError(f"the body is no OTLP/JSON: {error}"[:300]) from error
    return request


def _object(body: bytes) -> dict[str, Any]:
    told = json.loads(body)
    if not isinstance(told, dict):
        raise JsonError("an export is a JSON object")
    return told


def _with_base64_ids(value: Any, depth: int) -> Any:
    if depth == 0:
        raise JsonError(f"the body is nested more than {DEPTH_MOST} deep")
    if isinstance(value, list):
        return [_with_base64_ids(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _field(name, item, depth) for name, item in value.items()}


def _field(name: str, item: Any, depth: int) -> Any:
    if name in _IDS:
        return _base64(item)
    return item if name in _VALUES else _with_base64_ids(item, depth - 1)


def _base64(digits: Any) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(digits)).decode()
    except (ValueError, TypeError) as error:
        raise JsonError(f"an id is no hex digits: {str(digits)[:60]!r}") from error
