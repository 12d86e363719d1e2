from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.console.support import a_call, beat, failed, span
from tests.console.test_spans import any_spans
from tracedrpc_console.glyphs import ASCII, UNICODE, Glyphs, for_encoding
from tracedrpc_console.spans import Kind, Span, Trace
from tracedrpc_console.waterfall import milliseconds, waterfall

WIDE = """\
                                        0                                                40.0     ms
api     compute/reboot         CLIENT   ███████████████████████████♥█████████♥███████████████   40.0
api     ├╴publish nova:compute CLIENT   ███                                                     1.90
compute ├╴compute/reboot       SERVER      ░░░░░░░░░░░░█████████████████████████████████        24.0
compute │ └╴cast audit/log     PRODUCER                                        ▏                0.20
api     └╴receive reply_{id}   CLIENT                                                   ░░███   2.00
█ span, to scale   ♥ heartbeat   ░ waiting in a queue"""

NARROW = """\
                                       0               40.0     ms
api     compute/reboot        CLIENT   ==========v===v=====   40.0
api      publish nova:compute CLIENT   =                      1.90
compute  compute/reboot       SERVER    .....============     24.0
compute   cast audit/log      PRODUCER                |       0.20
api      receive reply_{id}   CLIENT                     .=   2.00
= span, to scale   v heartbeat   . waiting in a queue"""


def drawn(spans: list[Span], width: int = 100, glyphs: Glyphs = UNICODE) -> list[str]:
    return [line.plain for line in waterfall(Trace(spans), width, glyphs)]


@pytest.mark.parametrize(("width", "glyphs", "picture"), [(100, UNICODE, WIDE), (66, ASCII, NARROW)])
def test_a_call_as_a_picture(width: int, glyphs: Glyphs, picture: str) -> None:
    assert "\n".join(drawn(a_call(), width, glyphs)) == picture


def test_no_line_is_wider_than_the_screen() -> None:
    for width in (60, 80, 99, 100, 120, 200):
        assert max(map(len, drawn(a_call(), width)[:-1])) <= width


def test_ascii_alone_is_enough() -> None:
    text = "\n".join(drawn(failed(a_call(), "3"), 120, ASCII))
    assert text.isascii()
    assert "v" in text
    assert "|-compute/reboot" in text


def test_an_error_is_red_and_says_so_without_colour() -> None:
    lines = waterfall(Trace(failed(a_call(), "3")), 100, UNICODE)
    assert lines[3].plain.endswith(" ERROR")
    assert "red" in str(lines[3].spans)
    assert "red" not in str(lines[2].spans)


def test_the_wait_in_the_queue_is_hatched_only_where_there_was_one() -> None:
    at_once = span("3", "1", "compute", "compute/reboot", Kind.SERVER, 2.1, 36)
    assert "░" not in "\n".join(drawn([*a_call()[:2], at_once]))


def test_a_cast_waits_from_its_producers_end() -> None:
    cast = span("1", "", "api", "cast audit/log", Kind.PRODUCER, 0, 10)
    handled = span("2", "1", "audit", "process audit/log", Kind.CONSUMER, 60, 100)
    assert drawn([cast, handled])[2].count("░") >= 20


def test_an_unknown_event_is_named_in_the_legend() -> None:
    retried = span("1", "", "api", "n", Kind.CLIENT, 0, 10, events=(beat("publish_retried", 5),))
    assert drawn([retried])[-1].endswith("◆ publish retried")


def test_no_spans_no_picture() -> None:
    assert drawn([]) == []


@given(any_spans(), st.integers(60, 200))
def test_whatever_arrives_can_be_drawn(spans: list[Span], width: int) -> None:
    lines = drawn(spans, width)
    assert len(lines) == (len(Trace(spans).rows()) + 2 if spans else 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00 ms"), (0.424, "0.42 ms"), (41.23, "41.2 ms"), (1204.4, "1204 ms")],
)
def test_durations_are_for_people(value: float, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("UTF8", UNICODE), ("ascii", ASCII), (None, ASCII)],
)
def test_the_signs_follow_the_outputs_encoding(encoding: str | None, glyphs: Glyphs) -> None:
    assert for_encoding(encoding) is glyphs


def test_nothing_but_text_when_it_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=100)
    for line in waterfall(Trace(failed(a_call(), "1")), 100, UNICODE):
        console.print(line)
    assert "\x1b" not in capsys.readouterr().out
