"""Log lines of an application that took the recommended configuration, or parts of it."""

from __future__ import annotations

import json
import logging
import sys
import types
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import Ended, run
from tracedrpc_otel import logs
from tracedrpc_otel.log_processors import FIRST, in_order

PRELUDE = """
import logging, sys
import structlog, tracedrpc_otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from tests.telemetry.programs import Echo, echo_client
from tracedrpc_otel import logs
trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("t")

class Talking(Echo):
    def echo(self, ctxt, value):
        structlog.get_logger("shop").warning("order_placed", order=value)
        logging.getLogger("lib").warning("old %s", "style", extra={"shop.order": value})
        return value

def call():
    with echo_client(Talking()) as client:
        client.call({}, "echo", value=3)
"""


def _lines(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(text) for text in ended.stderr.splitlines()]


def test_every_line_is_one_json_object_with_the_same_fields_on_top() -> None:
    script = PRELUDE + """
logs.recommended_config(service_name="nova-api", level="DEBUG")
logging.getLogger("amqp").setLevel("WARNING")
with tracer.start_as_current_span("work"):
    call()
"""
    lines = _lines(run(script))
    events = {line["event"]: line for line in lines}
    assert events.keys() >= {"order_placed", "old style", "call_finished", "request_finished"}
    for name in ("order_placed", "old style", "call_finished", "request_finished"):
        assert list(events[name])[:8] == list(FIRST), events[name]
        assert events[name]["service.name"] == "nova-api"
    assert [events[name]["logger"] for name in ("order_placed", "old style", "call_finished")] == [
        "shop", "lib", "tracedrpc",
    ]
    assert events["old style"]["shop.order"] == events["order_placed"]["order"] == 3
    assert events["call_finished"]["rpc.method"] == "compute/echo"
    assert events["call_finished"]["level"] == "debug"
    assert events["call_finished"]["timestamp"].endswith("Z")


def test_lines_of_a_handler_and_ours_about_it_name_the_same_call() -> None:
    script = PRELUDE + """
logs.recommended_config(level="DEBUG")
call()
logging.getLogger("shop").warning("outside")
"""
    events = {line["event"]: line for line in _lines(run(script))}
    names = ("tracedrpc.msg_id", "trace_id", "span_id", "rpc.method")
    of_request = [events["request_finished"][name] for name in names]
    for event in ("order_placed", "old style"):
        assert [events[event][name] for name in names] == of_request
    assert events["call_finished"]["tracedrpc.msg_id"] == events["order_placed"]["tracedrpc.msg_id"]
    assert not set(names) & events["outside"].keys()


def test_an_exception_is_a_structure_without_local_variables() -> None:
    script = PRELUDE + """
logs.recommended_config()
secret = "hunter2"
try:
    {}["apple"]
except KeyError:
    logging.getLogger("lib").exception("stdlib")
    structlog.get_logger("shop").exception("structlog")
"""
    ended = run(script)
    lines = _lines(ended)
    assert [line["exception"][0]["exc_type"] for line in lines] == ["KeyError", "KeyError"]
    assert "hunter2" not in ended.stderr


def test_lines_for_people_are_text() -> None:
    script = PRELUDE + """
logs.recommended_config(json=False)
call()
try:
    {}["apple"]
except KeyError:
    logging.getLogger("lib").exception("broken")
"""
    text = run(script).stderr
    placed = next(line for line in text.splitlines() if "order_placed" in line)
    assert "[warning  ]" in placed
    assert "order=3" in placed
    assert "rpc.method=compute/echo" in placed
    assert "KeyError: 'apple'" in text
    assert "\x1b" not in text


def test_processors_of_the_application_run_last() -> None:
    script = PRELUDE + """
logs.recommended_config(processors=[logs.redact({"password"}), logs.ecs_fields])
with tracer.start_as_current_span("work"):
    structlog.get_logger("shop").warning("order_placed", password="hunter2", user={"db.password": "hunter2"})
logging.getLogger("lib").warning("a whole sentence", extra={"password": "hunter2"})
"""
    ended = run(script)
    placed, sentence = _lines(ended)
    assert "hunter2" not in ended.stderr
    assert placed["password"] == placed["user"]["db.password"] == sentence["password"] == "[redacted]"
    assert (placed["message"], placed["event.action"]) == ("order_placed", "order_placed")
    assert sentence["message"] == "a whole sentence"
    assert "event.action" not in sentence
    assert {"@timestamp", "log.level", "log.logger", "trace.id", "span.id"} <= placed.keys()


def test_a_second_call_replaces_the_first_and_files_stay(tmp_path: Any) -> None:
    script = PRELUDE + """
logging.basicConfig()
file = logging.FileHandler(sys.argv[1])
logging.root.addHandler(file)
logs.recommended_config()
logs.recommended_config(service_name="second")
assert file in logging.root.handlers and len(logging.root.handlers) == 2
logging.getLogger("lib").warning("hello")
"""
    path = tmp_path / "lines"
    (line,) = _lines(run(script, str(path)))
    assert line["service.name"] == "second"
    assert path.read_text() == "hello\n"


def test_with_configure_too_each_line_is_also_an_otlp_record() -> None:
    script = PRELUDE.replace("trace.set_tracer_provider(TracerProvider())", "") + """
logs.recommended_config()
configured = tracedrpc_otel.configure("x", endpoint=sys.argv[1], redact={"password"})
structlog.get_logger("shop").warning("order_placed", order=3, password="hunter2")
call()
"""
    with OtlpReceiver() as receiver:
        lines = _lines(run(script, receiver.http_url))
        records = sorted(receiver.logs, key=lambda log: log.at_ns)
        assert [log.event_name or log.body for log in records] == [line["event"] for line in lines]
        assert records[0].attributes == {"order": 3, "password": "[redacted]"}
        names = ("trace_id", "span_id")
        of_lines = [tuple(line.get(name, "") for name in names) for line in lines]
        assert [(log.trace_id, log.span_id) for log in records] == of_lines
        calls = [log.attributes.get("tracedrpc.msg_id") for log in records]
        assert calls == [line.get("tracedrpc.msg_id") for line in lines]
        assert len(set(calls)) == 2


def test_orjson_is_used_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def dumps(value: Any, default: Any, option: int) -> bytes:
        asked.append((value, default, option))
        return json.dumps(value, default=default).encode()

    monkeypatch.setitem(sys.modules, "orjson", types.SimpleNamespace(dumps=dumps, OPT_NON_STR_KEYS=4))
    assert logs._serializer()({"a": object()}, default=lambda _: "thing") == '{"a": "thing"}'
    assert asked[0][2] == 4
    monkeypatch.setitem(sys.modules, "orjson", None)
    assert logs._serializer()({"a": object(), "b": "é"}, default=lambda _: "thing") == '{"a":"thing","b":"é"}'


# ---- parts ------------------------------------------------------------------------------------


def test_what_a_line_says_of_its_span_stays() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("work") as span:
        said = logs.add_trace_context(None, "info", {"trace_id": "own"})
        added = logs.add_trace_context(None, "info", {"event": "x"})
    assert said == {"trace_id": "own"}
    assert added["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert logs.add_trace_context(None, "info", {"event": "x"}) == {"event": "x"}


def test_plain_logging_shows_ids_with_a_filter_and_a_format() -> None:
    script = PRELUDE + """
handler = logging.StreamHandler()
handler.addFilter(logs.TraceContextFilter())
form = "%(trace_id)s %(span_id)s %(trace_flags)s %(rpc.method)s %(tracedrpc.msg_id)s %(message)s"
logging.basicConfig(handlers=[handler], format=form)
logging.getLogger("lib").warning("outside")
call()
"""
    outside, inside = [text.split(" ") for text in run(script).stderr.splitlines()]
    assert outside == ["", "", "", "", "", "outside"]
    assert [len(word) for word in inside[:3]] == [32, 16, 2]
    assert inside[3] == "compute/echo"
    assert len(inside[4]) == 32
    assert inside[5:] == ["old", "style"]


def test_redaction_does_not_change_what_it_was_given() -> None:
    given = {"event": "x", "rows": [{"password": 1}, 2], "user.password": 3, "PASSWORD": 4, "passwords": 5}
    seen = logs.redact(["password"])(None, "info", given)
    hidden = "[redacted]"
    assert seen == {
        "event": "x", "rows": [{"password": hidden}, 2],
        "user.password": hidden, "PASSWORD": hidden, "passwords": 5,
    }
    assert given["rows"] == [{"password": 1}, 2]


def test_redaction_ends_in_a_loop_of_references() -> None:
    loop: dict[str, Any] = {"event": "x"}
    loop["self"] = loop
    assert "[redacted]" in str(logs.redact(["password"])(None, "info", loop))


def test_order_is_for_the_eye_only() -> None:
    assert in_order(None, "info", {"z": 1, "event": "x", "a": 2}) == {"z": 1, "event": "x", "a": 2}
    assert list(in_order(None, "info", {"z": 1, "event": "x", "a": 2})) == ["event", "z", "a"]


# ---- without structlog configured -------------------------------------------------------------


def test_without_structlog_configured_our_lines_are_readable_and_structured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tracedrpc._log import WARNING, line

    with caplog.at_level(logging.WARNING, "tracedrpc"):
        line(WARNING, "call_timed_out", {"rpc.method": "compute/reboot", "tracedrpc.why": "no queue"})
    (record,) = caplog.records
    assert record.getMessage() == 'call_timed_out rpc.method=compute/reboot tracedrpc.why="no queue"'
    assert vars(record)["otel.event.name"] == "call_timed_out"
    assert vars(record)["rpc.method"] == "compute/reboot"


def test_oslo_log_shows_our_lines_as_text_and_as_json() -> None:
    script = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
from oslo_config import cfg
from oslo_log import log as oslo
from tracedrpc._log import WARNING, line
conf = cfg.ConfigOpts()
oslo.register_options(conf)
conf([], project="x")
conf.set_override("use_stderr", True)
conf.set_override("use_json", "json" in sys.argv)
oslo.setup(conf, "x")
line(WARNING, "call_timed_out", {"rpc.method": "compute/reboot", "tracedrpc.elapsed_ms": 1.5})
"""
    assert "WARNING tracedrpc [-] call_timed_out rpc.method=compute/reboot" in run(script).stderr
    line = json.loads(run(script, "json").stderr)
    assert line["extra"]["rpc.method"] == "compute/reboot"
    assert line["extra"]["tracedrpc.elapsed_ms"] == 1.5
    assert line["extra"]["otel.event.name"] == "call_timed_out"
