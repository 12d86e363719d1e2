"""The table of instruments is what exists, and its names are those of the conventions or ours."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from opentelemetry.semconv import _incubating, metrics

from tests.telemetry.meters import Spy
from tracedrpc import semconv
from tracedrpc_otel import instruments
from tracedrpc_otel.instrument import Instrument, Kind
from tracedrpc_otel.instruments import CALL_BUCKETS, INSTRUMENTS, LONG_BUCKETS
from tracedrpc_otel.metrics import Metrics, metrics_for
from tracedrpc_otel.settings import Settings


def _conventional() -> set[str]:
    found: set[str] = set()
    incubating = importlib.import_module(f"{_incubating.__name__}.metrics")
    for package in (metrics, incubating):
        modules = [importlib.import_module(info.name) for info in pkgutil.iter_modules(
            package.__path__, f"{package.__name__}.",
        )]
        for module in (package, *modules):
            found |= {value for value in vars(module).values() if isinstance(value, str)}
    return found


def test_the_instruments_that_are_made_are_those_of_the_table() -> None:
    spy = Spy()
    Metrics(spy)
    rows = [(row.kind.value, row.name, row.unit, row.description) for row in INSTRUMENTS]
    assert sorted(spy.made) == sorted(rows)


def test_every_row_of_the_module_is_in_the_table_once() -> None:
    rows = [value for value in vars(instruments).values() if isinstance(value, Instrument)]
    assert sorted(row.name for row in rows) == sorted(row.name for row in INSTRUMENTS)
    assert len({row.name for row in INSTRUMENTS}) == len(INSTRUMENTS)


def test_names_are_conventional_or_ours() -> None:
    conventional = _conventional()
    foreign = [row.name for row in INSTRUMENTS if not row.name.startswith("tracedrpc.")]
    assert len(foreign) == 4
    assert set(foreign) <= conventional


def test_keys_come_from_the_one_module_of_names() -> None:
    known = {value for key, value in vars(semconv).items() if key.isupper() and isinstance(value, str)}
    assert {key for row in INSTRUMENTS for key in row.attributes} <= known


@pytest.mark.parametrize("key", [
    semconv.MSG_ID, semconv.UNIQUE_ID, semconv.REPLY_QUEUE, semconv.QUEUE, semconv.TARGET_SERVER,
    semconv.SERVER_NAME, semconv.DESTINATION, semconv.ROUTING_KEY, semconv.MESSAGE_ID,
    semconv.CONVERSATION_ID, semconv.CONNECTION_ID, semconv.PEER_ADDRESS, semconv.RPC_METHOD_ORIGINAL,
])
def test_no_key_has_a_value_for_each_message_or_host(key: str) -> None:
    assert not [row.name for row in INSTRUMENTS if key in row.attributes]


def test_only_durations_are_recorded_one_by_one() -> None:
    assert {row.unit for row in INSTRUMENTS if row.kind is Kind.HISTOGRAM} == {"s"}
    assert {bool(row.buckets) for row in INSTRUMENTS if row.kind is Kind.HISTOGRAM} == {True}
    assert not [row.name for row in INSTRUMENTS if row.buckets and row.kind is not Kind.HISTOGRAM]


def test_buckets_are_the_conventions_and_longer_ones_on_request() -> None:
    plain, long = Spy(), Spy()
    metrics_for(Settings(), plain)
    metrics_for(Settings(long_buckets=True), long)
    assert plain.buckets["rpc.client.call.duration"] == (
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    )
    assert long.buckets["rpc.server.call.duration"] == (*CALL_BUCKETS, *LONG_BUCKETS)
    assert long.buckets["tracedrpc.client.connection.wait_time"] == (
        plain.buckets["tracedrpc.client.connection.wait_time"]
    )
    for buckets in (*plain.buckets.values(), *long.buckets.values()):
        assert list(buckets) == sorted(set(buckets))


def test_the_markdown_has_a_row_for_each_instrument_and_all_its_keys() -> None:
    rows = instruments.as_markdown().splitlines()[2:]
    assert len(rows) == len(INSTRUMENTS)
    for row, text in zip(INSTRUMENTS, rows, strict=True):
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        assert cells[:3] == [f"`{row.name}`", row.kind.value, f"`{row.unit}`"]
        assert all(f"`{key}`" in cells[3] for key in row.attributes)
        assert cells[5] == row.description


def test_switched_off_there_are_no_metrics() -> None:
    spy = Spy()
    assert not metrics_for(Settings(metrics=False), spy).is_on()
    assert not spy.made
    assert metrics_for(Settings(), spy).is_on()


@pytest.mark.parametrize(("word", "expected"), [("on", True), ("1", True), ("", False), ("off", False)])
def test_the_environment_asks_for_long_buckets(word: str, expected: bool) -> None:
    assert Settings.from_environment({"TRACEDRPC_LONG_BUCKETS": word}).long_buckets is expected
