"""Pictures of traces as SVG: well-formed, to scale, safe with any text."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from tests.console.support import a_call, failed, span
from tracedrpc import semconv
from tracedrpc_console.drawing import WIDTH, draw
from tracedrpc_console.spans import Kind, Trace

SVG = "{http://www.w3.org/2000/svg}"


def parsed(spans) -> ET.Element:
    return ET.fromstring(draw(Trace(spans)))  # noqa: S314 - our own text


def texts(picture) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def test_every_span_has_a_row_with_its_name_and_duration():
    picture = parsed(a_call())
    words = texts(picture)
    assert {"compute/reboot", "publish nova:compute", "cast audit/log", "receive reply_{id}"} <= set(words)
    assert {"1.90 ms", "24.0 ms", "0.20 ms"} <= set(words)


def test_bars_are_to_scale_and_inside():
    picture = parsed(a_call())
    bars = [each for each in picture.iter(f"{SVG}rect") if each.get("rx")]
    widths = [float(bar.get("width")) for bar in bars]
    assert abs(widths[2] / widths[0] - 24 / 40) < 0.01
    assert all(float(bar.get("x")) + float(bar.get("width")) <= WIDTH for bar in bars)


def test_the_phases_of_the_call_are_a_strip_as_wide_as_the_picture():
    phases = {semconv.phase_ms("queue"): 10.0, semconv.phase_ms("handler"): 30.0, semconv.WHY: "40 ms: so"}
    call, *rest = a_call()
    picture = parsed([replace(call, attributes=phases), *rest])
    strip = [each for each in picture.iter(f"{SVG}rect") if each.get("height") == "16"]
    assert abs(sum(float(each.get("width")) for each in strip) - (WIDTH - 24)) < 0.1
    assert {"queue 10.0 ms", "handler 30.0 ms", "40 ms: so"} <= set(texts(picture))


def test_waiting_is_hatched():
    queue = span("6", "1", "compute", "queue nova:compute", Kind.INTERNAL, 2, 11.9)
    rects = parsed([*a_call(), queue]).iter(f"{SVG}rect")
    hatched = [each for each in rects if (each.get("fill") or "").startswith("url(#wait")]
    assert len(hatched) == 1


def test_failures_are_marked():
    picture = parsed(failed(a_call(), "1", "3"))
    assert any("bad" in each.get("class", "") for each in picture.iter(f"{SVG}text"))


def test_names_from_the_wire_are_only_text():
    picture = parsed([replace(a_call()[0], name='<script>"&', service="<a>")])
    assert '<script>"&' in " ".join(texts(picture))
    assert not list(picture.iter(f"{SVG}script"))


def test_a_trace_without_spans_is_an_empty_picture():
    assert not list(parsed([]))
