from __future__ import annotations

from dataclasses import replace

from tests.console.support import span
from tracedrpc_console import expected
from tracedrpc_console.expected import Expected, Scenario, missing
from tracedrpc_console.spans import Event, Kind, Span


def spans_of(scenario: Scenario) -> list[Span]:
    """Return one trace that has exactly what a scenario expects."""
    trace_id = f"{expected.SCENARIOS.index(scenario) + 1:032x}"
    ids = {(each.service, each.name): f"{at:x}" for at, each in enumerate(scenario.expected, 1)}
    made = []
    for at, each in enumerate(scenario.expected, 1):
        events = (Event(each.event, 1),) if each.event else ()
        for copy in range(each.count):
            span_id = f"{at:x}" if copy == 0 else f"{at:x}-{copy}"
            parent_id = ids[each.parent] if each.parent else ""
            one = span(
                span_id, parent_id, each.service, each.name, each.kind, at, at + 1,
                is_error=each.is_error, events=events,
            )
            made.append(replace(one, trace_id=trace_id))
    return made


CALLS = {scenario.root: 1 for scenario in expected.SCENARIOS}
ALL = [each for scenario in expected.SCENARIOS for each in spans_of(scenario)]


def test_nothing_is_missing_when_all_is_there() -> None:
    assert missing(ALL, CALLS) == []


def test_each_span_is_missed() -> None:
    for lost in ALL:
        lacks = missing([each for each in ALL if each is not lost], CALLS)
        assert lacks, lost


def test_what_is_missing_is_named() -> None:
    lacks = missing([each for each in ALL if each.name != "fanout demo.compute/take_stock"], CALLS)
    assert lacks[0] == (
        "a fanout to two servers: no api fanout demo.compute/take_stock PRODUCER "
        "under api demo.api/refresh_hosts in 1 of 1 traces"
    )


def test_a_trace_that_did_not_arrive_is_missed() -> None:
    calls = CALLS | {expected.BOOT.root: 3}
    assert "a chain of three calls that ends in a cast: 1 of 3 traces arrived (demo.api/boot_instance)" in (
        missing(ALL, calls)
    )


def test_a_scenario_that_was_never_driven_is_missed() -> None:
    assert "a fanout to two servers: was never driven" in missing(ALL, {**CALLS, expected.REFRESH.root: 0})


def test_one_server_of_a_fanout_is_not_enough() -> None:
    one = [each for each in ALL if "-" not in each.span_id]
    assert any("x2" in lack for lack in missing(one, CALLS))


def test_a_wrong_status_kind_or_event_is_missed() -> None:
    for at, each in enumerate(ALL):
        for wrong in (replace(each, is_error=not each.is_error), replace(each, kind=Kind.UNSPECIFIED)):
            assert missing([*ALL[:at], wrong, *ALL[at + 1:]], CALLS)
        if each.events:
            assert missing([*ALL[:at], replace(each, events=()), *ALL[at + 1:]], CALLS)


def test_the_memory_driver_publishes_nothing() -> None:
    silent = [
        each for each in ALL if each.kind is not Kind.CLIENT or not each.name.startswith("publish ")
    ]
    assert missing(silent, CALLS)
    assert missing(silent, CALLS, has_broker=False) == []


def test_a_receive_that_one_trace_lacks_is_forgiven() -> None:
    boot = spans_of(expected.BOOT)
    second = [replace(each, trace_id="f" * 32) for each in boot if not each.name.startswith("receive ")]
    assert missing([*ALL, *second], {**CALLS, expected.BOOT.root: 2}) == []


def test_a_lost_parent_makes_no_root() -> None:
    one = Expected("api", "n", Kind.CLIENT, None)
    assert "api n CLIENT" in str(one)
    orphans = [each for each in ALL if each.parent_id]
    assert any("0 of 1 traces arrived" in lack for lack in missing(orphans, CALLS))
