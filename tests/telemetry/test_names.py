"""Names are those of the conventions, switches are obeyed, log lines know their span."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields, replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv import _incubating, attributes

from tracedrpc import semconv
from tracedrpc._guard import install, installed
from tracedrpc.telemetry import Telemetry
from tracedrpc_otel import OTelTelemetry, add_trace_context, instrument, telemetry, uninstrument
from tracedrpc_otel.destinations import address_attributes, destination
from tracedrpc_otel.instrumentor import TracedRPCInstrumentor
from tracedrpc_otel.settings import Detail, Events, Relation, ReplyWait, Settings


def _conventional() -> set[str]:
    found: set[str] = set()
    incubating = importlib.import_module(f"{_incubating.__name__}.attributes")
    for package in (attributes, incubating):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            found |= {value for value in vars(module).values() if isinstance(value, str)}
    return found


def test_every_name_is_conventional_or_ours() -> None:
    values = [value for key, value in vars(semconv).items() if key.isupper() and isinstance(value, str)]
    others = {semconv.SCHEMA_URL, semconv.SYSTEM_VALUE, semconv.OLD_REQUEST_ID}
    names = [value for value in values if "." in value and value not in others]
    assert len(names) > 40
    conventional = _conventional()
    assert not [name for name in names if not name.startswith("tracedrpc.") and name not in conventional]


def test_the_schema_is_one_that_exists() -> None:
    from opentelemetry.semconv.schemas import Schemas

    assert semconv.SCHEMA_URL in {schema.value for schema in Schemas}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("nova", "compute", ""), "nova:compute"),
        (("", "reply_1", ""), "reply_1"),
        (("compute_fanout", "", "compute_fanout_1"), "compute_fanout:compute_fanout_1"),
        (("nova", "compute", "compute"), "nova:compute"),
    ],
)
def test_destinations_are_written_as_the_rabbitmq_page_says(parts: Any, expected: str) -> None:
    assert destination(*parts) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("rabbit-1:5672", {"server.address": "rabbit-1", "server.port": 5672}),
        ("[::1]:5672", {"server.address": "::1", "server.port": 5672}),
        ("memory", {"server.address": "memory"}),
        ("", {}),
    ],
)
def test_peers_become_addresses(peer: str, expected: dict[str, Any]) -> None:
    assert address_attributes(peer) == expected


# ---- switches ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRACEDRPC_TRACING", "off"),
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "requests, tracedrpc"),
    ],
)
def test_switches_are_obeyed(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(telemetry(), OTelTelemetry)
    monkeypatch.setenv(variable, value)
    assert telemetry() is None
    before = installed()
    try:
        assert type(instrument()) is Telemetry
    finally:
        install(before)


def test_an_unknown_detail_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEDRPC_TRACING", "loud")
    assert telemetry() is not None


def test_every_switch_has_its_variable() -> None:
    said = {
        "TRACEDRPC_TRACING": "FULL", "TRACEDRPC_PHASE_MIN_MS": "2.5", "TRACEDRPC_EVENTS": "dup",
        "TRACEDRPC_SEMCONV": "Oslo", "TRACEDRPC_METRICS": "off", "TRACEDRPC_LONG_BUCKETS": "on",
        "TRACEDRPC_REPLY_WAIT": "off", "TRACEDRPC_CAST_TRACE_MODE": "link",
        "TRACEDRPC_FANOUT_TRACE_MODE": "link", "TRACEDRPC_CAPTURE": "args.image, result,",
        "TRACEDRPC_BAGGAGE": " tenant ,user", "TRACEDRPC_NATIVE": "off",
    }
    assert Settings.from_environment(said) == Settings(
        tracing=Detail.FULL, phase_min_ms=2.5, events=Events.DUP, semconv="oslo", metrics=False,
        long_buckets=True, reply_wait=ReplyWait.OFF, cast_trace_mode=Relation.LINK,
        fanout_trace_mode=Relation.LINK, capture=frozenset({"args.image", "result"}),
        baggage=frozenset({"tenant", "user"}), native=False,
    )
    assert {f"TRACEDRPC_{field.name.upper()}" for field in fields(Settings)} == set(said)


def test_what_a_variable_says_wrongly_is_as_if_it_said_nothing() -> None:
    said = {f"TRACEDRPC_{field.name.upper()}": "n\0nsense" for field in fields(Settings)}
    found = Settings.from_environment(said | {"TRACEDRPC_PHASE_MIN_MS": "-1", "TRACEDRPC_CAPTURE": " , "})
    harmless = {"semconv": "n\0nsense", "baggage": frozenset({"n\0nsense"})}
    assert found == replace(Settings(), **harmless)


def test_instrument_and_uninstrument() -> None:
    before = installed()
    try:
        traced = instrument(TracerProvider(shutdown_on_exit=False))
        assert installed() is traced
        uninstrument()
        assert type(installed()) is Telemetry
        instrumentor = TracedRPCInstrumentor()
        instrumentor._instrument()
        assert isinstance(installed(), OTelTelemetry)
        instrumentor._uninstrument()
        assert type(installed()) is Telemetry
    finally:
        install(before)


# ---- logs -------------------------------------------------------------------------------------


def test_log_lines_name_the_current_span() -> None:
    assert add_trace_context(None, "info", {"event": "x"}) == {"event": "x"}
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    with tracer.start_as_current_span("x") as span:
        fields = add_trace_context(None, "info", {"event": "x"})
    context = span.get_span_context()
    assert fields["trace_id"] == f"{context.trace_id:032x}"
    assert fields["span_id"] == f"{context.span_id:016x}"
    assert len(fields["trace_flags"]) == 2
