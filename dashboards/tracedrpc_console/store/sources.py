"""Who sent it: resources with scopes, and operations, each stored once and known by a number."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from tracedrpc_console.store.values import attributes_of, text_of
from tracedrpc_console.store.words import operation_marks, service_mark

if TYPE_CHECKING:
    import sqlite3

CACHE_MOST: Final = 5000
NO_SERVICE: Final = "unknown_service"


@dataclass(frozen=True, slots=True)
class Source:
    """A process and the instrumentation of it that said something."""

    id: int
    service: str
    mark: str


@dataclass(slots=True)
class Operation:
    """A span name of a service with its kind, and what this transaction adds to its counts."""

    id: int
    marks: str
    spans: int = 0
    errors: int = 0
    last_ns: int = 0


class Sources:
    """The numbers of sources and operations, for the writer's thread.

    Args:
        connection: the writer's; a transaction is open whenever anything is asked here.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sources: dict[bytes, Source] = {}
        self._operations: dict[tuple[str, str, int], Operation] = {}
        self._seen: set[int] = set()

    def source(self, of_resource: Any, of_scope: Any) -> Source:
        """Return the source of a `ResourceSpans` and a `ScopeSpans` of it, or of logs or metrics alike.

        OTLP numbers the fields of the three alike, so that what is stored can be read as either.
        """
        resource = ResourceSpans(
            resource=of_resource.resource, schema_url=of_resource.schema_url,
        ).SerializeToString(deterministic=True)
        scope = ScopeSpans(
            scope=of_scope.scope, schema_url=of_scope.schema_url,
        ).SerializeToString(deterministic=True)
        key = blake2b(len(resource).to_bytes(8) + resource + scope, digest_size=16).digest()
        found = self._sources.get(key)
        if found is None:
            found = self._sources[key] = self._find(key, of_resource, resource, scope)
        self._seen.add(found.id)
        return found

    def operation(self, service: str, name: str, kind: int) -> Operation:
        """Return the operation; the caller counts on it."""
        key = (service, name, kind)
        if (found := self._operations.get(key)) is None:
            found = self._operations[key] = Operation(self._operation_id(key), operation_marks(*key))
        return found

    def write_counts(self, now_us: int) -> None:
        """Write what was counted since the last time, at the end of a transaction."""
        changed = [each for each in self._operations.values() if each.spans]
        self._connection.executemany(
            "UPDATE operation SET spans = spans + ?, errors = errors + ?, last_ns = max(last_ns, ?) "
            "WHERE id = ?",
            [(each.spans, each.errors, each.last_ns, each.id) for each in changed],
        )
        self._connection.executemany(
            "UPDATE source SET seen = ? WHERE id = ?", [(now_us, each) for each in self._seen],
        )
        self._seen.clear()
        for each in changed:
            each.spans = each.errors = each.last_ns = 0
        if len(self._operations) > CACHE_MOST:
            self._operations.clear()
        if len(self._sources) > CACHE_MOST:
            self._sources.clear()

    def forget(self) -> None:
        """Know nothing by heart: rows were removed, or a transaction was taken back."""
        self._sources.clear()
        self._operations.clear()
        self._seen.clear()

    def _find(self, key: bytes, of_resource: Any, resource: bytes, scope: bytes) -> Source:
        row = self._connection.execute("SELECT id, service FROM source WHERE hash = ?", (key,)).fetchone()
        if row is not None:
            return Source(row[0], row[1], service_mark(row[1]))
        attributes = attributes_of(of_resource.resource.attributes)
        service, version, instance = (
            text_of(attributes.get(name, default)) for name, default in (
                ("service.name", NO_SERVICE), ("service.version", ""), ("service.instance.id", ""),
            )
        )
        service = service or NO_SERVICE
        made = self._connection.execute(
            "INSERT INTO source (hash, service, version, instance, resource, scope, seen) "
            "VALUES (?, ?, ?, ?, ?, ?, 0)",
            (key, service, version, instance, resource, scope),
        )
        return Source(made.lastrowid or 0, service, service_mark(service))

    def _operation_id(self, key: tuple[str, str, int]) -> int:
        row = self._connection.execute(
            "SELECT id FROM operation WHERE service = ? AND name = ? AND kind = ?", key,
        ).fetchone()
        if row is not None:
            return int(row[0])
        made = self._connection.execute(
            "INSERT INTO operation (service, name, kind, spans, errors, last_ns) VALUES (?, ?, ?, 0, 0, 0)",
            key,
        )
        return made.lastrowid or 0
