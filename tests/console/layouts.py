"""The layouts of one call that were tried in Jaeger, with the same times; ms on the caller's clock.

A request of 62 ms calls a server: 11.8 for a connection, 11.3 of it connecting, 0.9 publishing, 18 in
the queue, 24 on the server, 15 of it in the handler, 0.7 on the reply's way.
"""

from __future__ import annotations

from tracedrpc_console.analysis.critical import PathSpan

GAP = 0.1

Row = tuple[str, str, str, float, float]
"""Name, kind, parent's name, start and end."""

REQUEST: Row = ("POST", "SERVER", "", 0, 62)
CALL: Row = ("call", "CLIENT", "POST", 2, 58)
ACQUIRE: Row = ("acquire", "INTERNAL", "call", 2.3, 14.1)
CONNECT: Row = ("connect", "CLIENT", "acquire", 2.6, 13.9)
PUBLISH: Row = ("publish", "CLIENT", "call", 14.2, 15.1)
QUEUE: Row = ("queue", "INTERNAL", "call", 15.2, 33.1 - 0.001)
SERVER: Row = ("server", "SERVER", "call", 33.1, 57.1)
HANDLE: Row = ("handle", "INTERNAL", "server", 41, 56)
REPLY: Row = ("publish reply", "PRODUCER", "server", 56.3, 57.0)
RECEIVE: Row = ("receive", "CLIENT", "call", 57.1 + 0.001, 57.8)


def spans(*rows: Row) -> list[PathSpan]:
    """Return the spans of a layout, with their names for ids."""
    return [
        PathSpan(name, parent, name, kind, round(start * 1000), round(end * 1000))
        for name, kind, parent, start, end in rows
    ]


def moved(row: Row, by: float, start: float = 0.0, end: float = 0.0) -> Row:
    """Return a row shifted, and its ends shifted further."""
    name, kind, parent, begun, ended = row
    return (name, kind, parent, begun + by + start, ended + by + end)


def under(row: Row, parent: str, kind: str | None = None) -> Row:
    """Return a row below another parent, perhaps of another kind."""
    return (row[0], kind or row[1], parent, row[3], row[4])


BASE = (REQUEST, CALL, ACQUIRE, CONNECT, PUBLISH)
SERVED = (SERVER, HANDLE, REPLY)
DEAD = (REQUEST, ("call", "CLIENT", "POST", 2, 1002), ("publish", "CLIENT", "call", 3, 4))
"""A call that times out after a second; the request's span is as long as it must be."""

LAYOUTS: dict[str, list[PathSpan]] = {
    "A": spans(
        REQUEST, under(CALL, "POST", "PRODUCER"), under(SERVER, "call", "CONSUMER"), HANDLE, REPLY,
    ),
    "B": spans(*BASE, under(SERVER, "publish"), HANDLE, REPLY),
    "C": spans(*BASE, *SERVED, ("wait", "CLIENT", "call", 15.1, 57.8)),
    "D": spans(*BASE, *SERVED),
    "E": spans(*BASE, QUEUE, *SERVED, RECEIVE),
    "F": spans(
        *BASE, moved(QUEUE, 0, start=-0.1, end=0.001), *SERVED, moved(RECEIVE, 0, start=-0.001),
    ),
    "G": spans(
        moved(REQUEST, 0, end=950), *DEAD[1:], ("server", "SERVER", "call", 10, 3010),
    ),
    "J": spans(*BASE, *(moved(row, 40) for row in SERVED)),
    "K": spans(moved(REQUEST, 0, end=950), *DEAD[1:], ("receive", "CLIENT", "call", 5, 1002)),
    "L1": spans(*BASE, QUEUE, moved(SERVER, 0, end=0.2), HANDLE, REPLY, RECEIVE),
    "L2": spans(
        *BASE, QUEUE, moved(SERVER, 0, end=0.2), HANDLE, REPLY, moved(RECEIVE, 0, start=0.2),
    ),
    "L3": spans(*BASE, moved(QUEUE, 0, end=5), *(moved(row, 5) for row in SERVED)),
    "L4": spans(*BASE, moved(QUEUE, 0, end=-5), *(moved(row, -5) for row in SERVED), RECEIVE),
    "L5": spans(*BASE, QUEUE, SERVER, HANDLE, moved(REPLY, 0, end=0.4), RECEIVE),
}
