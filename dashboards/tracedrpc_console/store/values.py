"""OTLP's values as Python's, and as the text that is shown and compared."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def value_of(value: AnyValue) -> Any:
    """Return str, bool, int, float, bytes, list, dict or None."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes as a dict."""
    return {pair.key: (value := pair.value).string_value or value_of(value) for pair in pairs}


def text_of(value: Any) -> str:
    """Return a value as the text by which it is searched: of numbers Python's, of lists and maps JSON."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode()
        case int() | float():
            return repr(value)
        case _:
            return json.dumps(value, ensure_ascii=False, default=text_of)


def has_all(attributes: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Return whether all that is wanted is there, compared as text."""
    return all(key in attributes and text_of(attributes[key]) == value for key, value in wanted.items())
