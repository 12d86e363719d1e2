"""Sources as rows name them, read once for many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracedrpc_console.store.rows import Origin

if TYPE_CHECKING:
    import sqlite3


class Origins(dict[int, Origin]):
    """The origins of one answer, read when they are first asked for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, source: int) -> Origin:
        row = self._connection.execute(
            "SELECT service, resource, scope FROM source WHERE id = ?", (source,),
        ).fetchone()
        origin = self[source] = Origin(*row)
        return origin
