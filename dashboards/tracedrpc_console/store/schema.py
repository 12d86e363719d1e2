"""The tables of the console's file, and how a connection to it is made.

Rows are found by time without an index of their own: `span.key` and `log.key` are the start (the time of
the record) in ns, made unique, and the full-text tables use the same key as their row id. So the newest rows
that hold some words come first out of the index, and a search ends as soon as its page is full.

Full text lies on shelves, `spans_1`, `spans_2`, ... and `logs_1`, ...: each row knows its shelf. A shelf
is thrown away whole once nothing on it is left, which spares taking words out again one by one. The row of a
deleted span may thus still be found on a shelf; whoever reads joins the row itself.

`trace.id`, `log.id` and `point.id` are the instant of arrival in microseconds, made unique. What came
first goes first, whatever the clocks of the senders say.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1
_APPLICATION: Final = 0x74525043
"""`PRAGMA application_id` of our files: "tRPC"."""
BUSY_MS: Final = 5000
WRITER_CACHE_KIB: Final = 32_000
READER_CACHE_KIB: Final = 6_000
PAGE_BYTES: Final = 16_384
WAL_LEAST: Final = 1024 * 1024
WAL_MOST: Final = 16 * 1024 * 1024

TABLES: Final = """
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    instance TEXT NOT NULL,
    resource BLOB NOT NULL,
    scope BLOB NOT NULL,
    seen INTEGER NOT NULL
) STRICT;
CREATE TABLE operation (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    UNIQUE (service, name, kind)
) STRICT;
CREATE TABLE trace (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL UNIQUE,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    root_rank INTEGER NOT NULL,
    root_start_ns INTEGER NOT NULL,
    root_id BLOB NOT NULL,
    root_operation INTEGER NOT NULL,
    root_duration_ns INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX trace_by_start ON trace (start_ns, id, root_duration_ns);
CREATE INDEX trace_failed ON trace (start_ns, id) WHERE errors > 0;
CREATE INDEX trace_long ON trace (last_ns - start_ns) WHERE last_ns - start_ns > 60000000000;
CREATE TABLE span (
    key INTEGER PRIMARY KEY,
    trace INTEGER NOT NULL,
    span_id BLOB NOT NULL,
    parent_id BLOB NOT NULL,
    operation INTEGER NOT NULL,
    source INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    is_error INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    proto BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX span_of_trace ON span (trace, span_id);
CREATE TABLE call (
    key INTEGER PRIMARY KEY,
    trace INTEGER NOT NULL,
    source INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    is_error INTEGER NOT NULL,
    method TEXT NOT NULL,
    mode TEXT NOT NULL,
    error_type TEXT NOT NULL,
    timeout_phase TEXT NOT NULL,
    phases TEXT NOT NULL
) STRICT;
CREATE TABLE edge (
    minute INTEGER NOT NULL,
    parent TEXT NOT NULL,
    child TEXT NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    PRIMARY KEY (minute, parent, child)
) WITHOUT ROWID, STRICT;
CREATE TABLE entry (
    trace INTEGER NOT NULL,
    parent_id BLOB NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (trace, parent_id, key)
) WITHOUT ROWID, STRICT;
CREATE TABLE log (
    key INTEGER PRIMARY KEY,
    id INTEGER NOT NULL UNIQUE,
    at_ns INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    event TEXT NOT NULL,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    source INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    proto BLOB NOT NULL
) STRICT;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    source INTEGER NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    attributes TEXT NOT NULL
) STRICT;
CREATE INDEX series_by_name ON series (name);
CREATE TABLE point (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    value REAL NOT NULL,
    count INTEGER NOT NULL,
    buckets TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX point_of_series ON point (series, at_ns);
CREATE TABLE shelf (
    signal TEXT NOT NULL,
    number INTEGER NOT NULL,
    filled INTEGER NOT NULL,
    alive INTEGER NOT NULL,
    PRIMARY KEY (signal, number)
) WITHOUT ROWID, STRICT;
CREATE TABLE dropped (
    signal TEXT NOT NULL,
    reason TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (signal, reason)
) WITHOUT ROWID, STRICT;
"""


class StoreError(Exception):
    """A file cannot be used as a store; the text says why and what to do.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


def open_to_write(path: Path, wal_bytes: int = WAL_MOST) -> sqlite3.Connection:
    """Open a file, and make its tables when it is new.

    The connection may be used by another thread than this one, by one at a time.

    Args:
        path: the file.
        wal_bytes: from this size on the write-ahead log goes into the file, within bounds.

    Raises:
        StoreError: it is no file of ours, of another version, damaged, or cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreError(path, f"it cannot be opened: {error}") from error
    try:
        _prepare(connection, path, max(WAL_LEAST, min(WAL_MOST, wal_bytes)))
    except sqlite3.Error as error:
        connection.close()
        reason = f"it is no console file, or damaged: {error}; choose another with --db"
        raise StoreError(path, reason) from error
    except StoreError:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that a writer has made, to read only.

    Raises:
        StoreError: there is no such file, it is no file of ours, or of another version.
    """
    if not path.is_file():
        raise StoreError(path, "there is no such file; `tracedrpc console` makes it")
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False,
        )
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
        _check(connection, path)
    except sqlite3.Error as error:
        raise StoreError(path, f"it cannot be read: {error}") from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, wal_bytes: int) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        _create(connection)
    _check(connection, path)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"cache_size = -{WRITER_CACHE_KIB}",
        f"wal_autocheckpoint = {wal_bytes // PAGE_BYTES}",
        f"journal_size_limit = {wal_bytes}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN; {TABLES} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;",
    )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise StoreError(path, "it is a database, but not of tracedrpc's console; choose another with --db")
    if version != VERSION:
        other = "move it away or choose another with --db"
        raise StoreError(path, f"it has format {version}, this version reads {VERSION}; {other}")
