"""The parent's end of the pipe to oslo.messaging's own code, and what both sides are asked about."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tracedrpc.wire.body import Properties

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ROOT = Path(__file__).parents[2]
START_S = 60.0
ANSWER_S = 30.0
MOST = 1 << 20


class StockFailed(Exception):
    """Stock raised where that was no answer; the text is its traceback."""


class Stock:
    """oslo.messaging 18.3.1 in a process of its own: `stock.NAME(...)` runs the function there."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def ask(*args: Any, **kwargs: Any) -> Any:
            self._pipe.send((name, args, kwargs))
            assert self._pipe.poll(ANSWER_S), f"no answer from {name}"
            answer, trouble = self._pipe.recv()
            if trouble is not None:
                raise StockFailed(trouble)
            return answer

        return ask


def stock_process():
    """Start it, yield its `Stock`, end it."""
    ours, theirs = Pipe()
    fd = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.wire.differential_stock", str(fd)],
        cwd=ROOT, pass_fds=[fd],
    )
    theirs.close()
    try:
        assert ours.poll(START_S), "stock did not start"
        ours.recv()
        yield Stock(ours)
    finally:
        ours.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def inner(body: bytes) -> dict[str, Any]:
    """Return the message in an uncompressed body."""
    outer = json.loads(body)
    assert set(outer) == {"oslo.version", "oslo.message"}
    assert outer["oslo.version"] == "2.0"
    return json.loads(outer["oslo.message"])


def properties(content: tuple[Any, Any, dict[str, Any]]) -> Properties:
    """Return the AMQP properties of what stock has sent."""
    kind, encoding, headers = content
    return Properties(kind, encoding, headers)


CONTENT = ("application/json", "utf-8", {})
"""Content type, encoding and headers of an uncompressed message of ours."""

# ---- what travels --------------------------------------------------------------------------------

texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""What comes back as it went."""

odd_values = st.one_of(
    st.dates(dt.date(1000, 1, 1)), st.datetimes(dt.datetime(1000, 1, 1)),  # noqa: DTZ001 - any will do
    st.datetimes(dt.datetime(1000, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001
    st.uuids(), st.decimals(), st.ip_addresses(), st.sets(st.integers(0, 7)), st.tuples(texts, st.integers()),
    st.binary(max_size=4).filter(lambda data: data.isascii()),
    st.dictionaries(st.integers() | st.booleans() | st.none(), texts, max_size=2),
    st.builds(range, st.integers(0, 3)),
)
"""What JSON has no form for, and both libraries send all the same."""

any_values = st.recursive(
    json_values | odd_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["image", "_x1", "größe", "name", "value"])
keyword_arguments = st.dictionaries(names, any_values, max_size=3)
contexts = st.dictionaries(
    st.text(max_size=6) | st.sampled_from(["user", "request_id", "is_admin"]), any_values, max_size=3,
).filter(lambda context: not {"traceparent", "tracestate", "self"} & set(context))
