"""What is written on a shelf for a span or record, and the expression that finds it again.

Beside the words that people search there are marks of our own: the service, the name and so on. A mark
begins with a character that no text can bring in. Shelves may give too much (marks are checksums, and an
attribute is looked for by the words of its value): what is found is compared with the row itself. They never
give too little.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from tracedrpc import semconv as names
from tracedrpc_console.store.values import attributes_of, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_MARK: Final = "\ue000"
"""Of Unicode's private use area."""
TOKENIZER: Final = f"unicode61 categories 'L* N*' tokenchars '_{_MARK}'"
TEXT_MOST: Final = 16_384
"""Characters of one span or record that can be searched."""
WARN: Final = 13
ERROR: Final = 17
"""Severities that have a mark, and so can be found where they are rare."""
_PIECE: Final = re.compile(r'"([^"]*)"|(\w+)(\*?)')
_WORD: Final = re.compile(r"\w+")


def shelf_sql(name: str) -> str:
    """Return the statement that makes a shelf: words only, the text itself is in the rows."""
    return (
        f"CREATE VIRTUAL TABLE {name} USING "
        f'fts5(words, content="", columnsize=0, tokenize="{TOKENIZER}")'
    )


# ---- writing -------------------------------------------------------------------------------------


def span_words(span: Span, attributes: Mapping[str, Any], marks: str, duration_ns: int) -> str:
    """Return what a shelf keeps of a span; `marks` are those of its operation."""
    parts = [f"{marks}{_MARK}d{duration_ns.bit_length()}", span.name]
    if (method := attributes.get(names.RPC_METHOD)) is not None:
        parts.append(_method_mark(text_of(method)))
    _add(parts, attributes.values())
    if span.status.message:
        parts.append(span.status.message)
    for event in span.events:
        parts.append(event.name)
        _add(parts, attributes_of(event.attributes).values())
    return _sheet(parts)


def log_words(record: LogRecord, marks: str) -> str:
    """Return what a shelf keeps of a log record; `marks` are those of its source."""
    parts = [marks]
    if trace_id := record.trace_id:
        parts.append(f"{_MARK}t{trace_id.hex()}")
    if (severity := record.severity_number) >= WARN:
        parts.append(f"{_MARK}w {_MARK}e" if severity >= ERROR else f"{_MARK}w")
    parts.append(record.event_name)
    _add(parts, (value_of(record.body),))
    attributes = attributes_of(record.attributes)
    if (method := attributes.get(names.RPC_METHOD)) is not None:
        parts.append(_method_mark(text_of(method)))
    _add(parts, attributes.values())
    return _sheet(parts)


def operation_marks(service: str, name: str, kind: int) -> str:
    """Return the marks that all spans of an operation share."""
    return f"{service_mark(service)} {_name_mark(name)} {_MARK}k{kind} "


def service_mark(service: str) -> str:
    """Return the mark of a service."""
    return f"{_MARK}s{crc32(service.encode('utf-8', 'replace')):x}"


def _name_mark(name: str) -> str:
    return f"{_MARK}n{crc32(name.encode('utf-8', 'replace')):x}"


def _method_mark(method: str) -> str:
    return f"{_MARK}m{crc32(method.encode('utf-8', 'replace')):x}"


def _sheet(parts: list[str]) -> str:
    return " ".join(parts)[:TEXT_MOST]


def _add(parts: list[str], values: Iterable[Any]) -> None:
    """Add what can be searched of values: all but fractions."""
    for value in values:
        kind = type(value)
        if kind is str:
            parts.append(value.replace(_MARK, " ") if _MARK in value else value)
        elif kind is list:
            _add(parts, value)
        elif kind is dict:
            _add(parts, value.values())
        elif kind is not float:
            parts.append(text_of(value))


# ---- finding -------------------------------------------------------------------------------------


def text_terms(text: str | None) -> list[str]:
    """Return the terms for what somebody typed: words, `beginn*`, "words in this order"."""
    terms = []
    for phrase, word, star in _PIECE.findall(text or ""):
        pieces = _WORD.findall(phrase) if phrase else [word]
        if any(pieces):
            terms.append('"' + " ".join(filter(None, pieces)) + '"' + star)
    return terms


def attribute_terms(attributes: Mapping[str, str]) -> list[str]:
    """Return the terms that spans with these attributes have at least."""
    terms = [f'"{_method_mark(attributes[names.RPC_METHOD])}"'] if names.RPC_METHOD in attributes else []
    others = (value for name, value in attributes.items() if name != names.RPC_METHOD)
    return terms + [f'"{word}"' for value in others for word in _sure_words(value)]


def span_terms(
    service: str | None,
    operation: str | None,
    kind_number: int | None,
    durations: tuple[int | None, int | None],
) -> list[str]:
    """Return the terms for a span's operation and the bounds of its duration."""
    terms = []
    if service is not None:
        terms.append(f'"{service_mark(service)}"')
    if operation is not None:
        terms.append(f'"{_name_mark(operation)}"')
    if kind_number is not None:
        terms.append(f'"{_MARK}k{kind_number}"')
    return terms + _duration_terms(*durations)


def log_terms(service: str | None, trace_id: str | None, least_severity: int | None) -> list[str]:
    """Return the terms for fields of a log record."""
    terms = []
    if service is not None:
        terms.append(f'"{service_mark(service)}"')
    if trace_id is not None:
        terms.append(f'"{_MARK}t{trace_id.lower()}"')
    if least_severity is not None and least_severity >= WARN:
        terms.append(f'"{_MARK}{"e" if least_severity >= ERROR else "w"}"')
    return terms


def _duration_terms(least_ns: int | None, most_ns: int | None) -> list[str]:
    if least_ns is None:
        return []
    bits = range(max(0, least_ns).bit_length(), (most_ns if most_ns is not None else 2**63).bit_length() + 1)
    return ["(" + " OR ".join(f'"{_MARK}d{each}"' for each in bits) + ")"] if bits else []


def _sure_words(value: str) -> Iterator[str]:
    """Give the words of a value that its shelf has for certain; fractions and JSON are not on it."""
    if _is_fraction(value) or value[:1] in {"[", "{"} or len(value) > TEXT_MOST // 4:
        return
    yield from (word for word in _WORD.findall(value) if word.isascii())


def _is_fraction(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return not value.lstrip("-").isdigit()


def as_expression(terms: Iterable[Any]) -> str:
    """Return the terms as one expression of FTS5 that wants all of them."""
    return " AND ".join(terms)
