"""How much is stored, and of whom."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from tracedrpc_console.store.model import ServiceInfo, StoreStatus

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def read_status(connection: sqlite3.Connection, path: Path) -> StoreStatus:
    """Return the counts, the size and what was refused."""
    alive = dict(connection.execute("SELECT signal, sum(alive) FROM shelf GROUP BY signal").fetchall())
    (traces,) = connection.execute("SELECT count(*) FROM trace").fetchone()
    (points,) = connection.execute("SELECT count(*) FROM point").fetchone()
    first_trace, last_trace, first_log, last_log = (
        connection.execute(f"SELECT {column} FROM {table}").fetchone()[0]  # noqa: S608 - made of constants
        for column, table in (
            ("min(start_ns)", "trace"), ("max(start_ns)", "trace"), ("min(key)", "log"), ("max(key)", "log"),
        )
    )
    dropped: dict[str, dict[str, int]] = defaultdict(dict)
    for signal, reason, n in connection.execute("SELECT signal, reason, n FROM dropped"):
        dropped[signal][reason] = n
    return StoreStatus(
        spans=alive.get("spans", 0),
        traces=traces,
        logs=alive.get("logs", 0),
        points=points,
        bytes=_bytes(path),
        oldest_ns=min(filter(None, (first_trace, first_log)), default=0),
        newest_ns=max(filter(None, (last_trace, last_log)), default=0),
        dropped=dict(dropped),
    )


def read_services(connection: sqlite3.Connection) -> list[ServiceInfo]:
    """Return the services of stored spans, by name, with the versions that they told."""
    versions: dict[str, set[str]] = defaultdict(set)
    told = connection.execute("SELECT DISTINCT service, version FROM source WHERE version <> ''")
    for service, version in told:
        versions[service].add(version)
    rows = connection.execute(
        "SELECT service, sum(spans), sum(errors), max(last_ns) FROM operation WHERE spans > 0 "
        "GROUP BY service ORDER BY service",
    )
    return [
        ServiceInfo(name, spans, errors, last_ns, tuple(sorted(versions[name])))
        for name, spans, errors, last_ns in rows
    ]


def _bytes(path: Path) -> int:
    """Return the size of the file and its write-ahead log."""
    size = 0
    for each in (path, path.with_name(path.name + "-wal")):
        with suppress(FileNotFoundError):
            size += each.stat().st_size
    return size
