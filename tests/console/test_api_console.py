"""The page's JSON API on a whole console."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.console.consoles import (
    DEAD,
    MSG_ID,
    SLOW,
    START_NS,
    WHY,
    ask,
    console,
    get,
    record,
    row,
    story,
    tell,
)
from tracedrpc_console.api import tail
from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import LogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracedrpc_console.server import Console

START_US = START_NS // 1000
NOBODY = "0" * 32


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("console")) as running:
        records = [record(f"step {at}", at, event="step" if at else "first") for at in range(3)]
        bad = record("disk is full", 5, level="ERROR", severity=17, service="compute", trace_id="")
        tell(running, *story(), *records, bad)
        yield running


# ---- searches ------------------------------------------------------------------------------------


def test_a_search_gives_the_newest_first_and_a_cursor(told: Console) -> None:
    first = get(told, "traces?limit=1")
    second = get(told, f"traces?limit=1&before={first['next']}")
    assert [first["traces"][0]["id"], second["traces"][0]["id"]] == [DEAD, SLOW]
    assert second["next"] is None


def test_a_row_of_a_search_has_what_the_page_shows(told: Console) -> None:
    assert get(told, "traces?outcome=timeout")["traces"] == [{
        "id": DEAD, "start": START_US + 100_000, "duration": 1000.0,
        "root": {"service": "api", "name": "gone/boot", "duration": 1000.0},
        "spans": 1, "errors": 1, "services": [{"name": "api", "spans": 1, "errors": 1}],
        "outcome": "timeout", "why": WHY, "orphans": 0,
    }]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("service=compute", [SLOW]), ("method=gone/boot", [DEAD]), ("operation=publish+nova:compute", [SLOW]),
        ("errors=1", [DEAD]), ("errors=0", [DEAD, SLOW]), ("min=500", [DEAD]), ("max=50&kind=client", [SLOW]),
        ("attr=tracedrpc.msg_id=" + MSG_ID, [SLOW]), ("q=listening", [DEAD]), ("outcome=ok", [SLOW]),
        (f"from={START_US + 50_000}", [DEAD]), (f"to={START_US + 50_000}", [SLOW]), ("service=nobody", []),
        ("service=&q=&attr=", [DEAD, SLOW]),
    ],
)
def test_each_condition_of_a_search_counts(told: Console, query: str, ids: list[str]) -> None:
    assert [each["id"] for each in get(told, f"traces?{query}")["traces"]] == ids


def test_the_scatter_has_a_point_for_each_trace(told: Console) -> None:
    assert get(told, "scatter?limit=1")["points"] == [
        [START_US + 100_000, 1000.0, "timeout", DEAD], [START_US, 40.0, "ok", SLOW],
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("traces?limit=none", "limit='none' is no whole number"), ("traces?limit=0", "limit='0'"),
        ("traces?min=nan", "min='nan' is no number of milliseconds"), ("traces?min=-1", "min='-1'"),
        ("traces?min=1e30", "min='1e30'"), ("traces?from=yesterday", "from='yesterday'"),
        (f"traces?from={10**30}", "from="), ("traces?attr=novalue", "attr='novalue' is no key=value"),
        ("traces?outcome=bad", "none of ok, error, timeout"), ("traces?kind=bad", "none of UNSPECIFIED"),
        ("traces?before=nonsense", "before is no `next`"), ("logs?before=nonsense", "before is no `next`"),
        ("logs?level=loud", "level='loud'"), ("logs?level=25", "level='25'"),
        ("operations", "service is missing"),
        ("methods?from=2&to=1", "from is later than to"), ("traces?limit=%C2%B2", "limit='²'"),
        (f"traces?q={'x' * 2001}", "q is longer than 2000"),
        (f"trace/{SLOW}/export?format=pdf", "none of otlp, jaeger, chrome, html, svg"),
    ],
)
def test_a_question_that_cannot_be_understood_is_answered_with_what_is_wrong(
    told: Console, path: str, text: str,
) -> None:
    status, answer = ask(f"{told.url}/api/c/{path}", told.token)
    assert status == 400
    assert text in answer["error"]


@pytest.mark.parametrize(
    "path",
    [f"trace/{NOBODY}", f"trace/{NOBODY}/export", "trace/none", "explain/none", "nothing", "trace/a/b/c"],
)
def test_what_is_not_there_is_answered_with_404_and_a_sentence(told: Console, path: str) -> None:
    status, answer = ask(f"{told.url}/api/c/{path}", told.token)
    assert status == 404
    assert answer["error"].startswith("there is no")


# ---- one trace -----------------------------------------------------------------------------------


def test_a_trace_comes_in_the_order_of_its_tree(told: Console) -> None:
    spans = get(told, f"trace/{SLOW}")["spans"]
    assert [(each["name"], each["depth"]) for each in spans] == [
        ("compute/boot", 0), ("publish nova:compute", 1), ("compute/boot", 1), ("lost", 0),
    ]
    assert [each["missingParent"] for each in spans] == [False, False, False, True]


def test_a_span_has_all_that_was_exported(told: Console) -> None:
    call, *_, lost = get(told, f"trace/{SLOW.upper()}")["spans"]
    assert call["phases"] == {"queue": 10.0, "handler": 24.0}
    assert call["version"] == "1.2"
    assert call["events"] == [{
        "name": "heartbeat_received", "at": START_US + 20_000, "attributes": {"tracedrpc.heartbeat.count": 1},
    }]
    assert lost["attributes"] == {"odd": "inf", "big": str(2**60), "raw": "AP8="}


def test_a_trace_says_why_and_shows_its_critical_path(told: Console) -> None:
    found = get(told, f"trace/{SLOW}")
    assert found["why"] == "compute/boot: 40.0 ms: 10.0 in the queue and on the way there, 24.0 in the method"
    path = [(each["id"][-1], each["from"] - START_US, each["to"] - START_US) for each in found["critical"]]
    assert path == [
        ("1", 0, 1000), ("2", 1000, 2000), ("1", 2000, 12_000), ("3", 12_000, 36_000), ("1", 36_000, 40_000),
    ]
    assert found["logs"] == 3


def test_the_logs_of_a_trace_are_in_the_order_of_time(told: Console) -> None:
    logs = get(told, f"trace/{SLOW}/logs")["logs"]
    assert [each["body"] for each in logs] == ["step 0", "step 1", "step 2"]
    assert logs[0]["at"] == START_US


@pytest.mark.parametrize("wanted", [SLOW, SLOW.upper(), MSG_ID])
def test_a_trace_is_explained_by_its_id_or_a_message_id(told: Console, wanted: str) -> None:
    said = get(told, f"explain/{wanted}")
    assert said["trace"] == SLOW
    assert said["critical"][0] == {"service": "compute", "name": "compute/boot", "ms": 24.0}
    assert said["advice"]


@pytest.mark.parametrize("wanted", ["otlp", "jaeger", "chrome", "html", "svg"])
def test_a_trace_can_be_downloaded(told: Console, wanted: str) -> None:
    status, content = ask(f"{told.url}/api/c/trace/{SLOW}/export?format={wanted}", told.token)
    assert status == 200
    assert "publish nova:compute" in (content.decode() if isinstance(content, bytes) else json.dumps(content))


# ---- logs, methods, map, status ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "bodies"),
    [
        ("q=disk", ["disk is full"]), ("level=warn", ["disk is full"]), ("level=17", ["disk is full"]),
        ("service=compute", ["disk is full"]), ("event=first", ["step 0"]),
        (f"trace={SLOW}&limit=1", ["step 2"]),
    ],
)
def test_each_condition_of_a_log_search_counts(told: Console, query: str, bodies: list[str]) -> None:
    assert [each["body"] for each in get(told, f"logs?{query}")["logs"]] == bodies


def test_methods_are_compared_over_two_stretches_of_time(told: Console) -> None:
    middle, end = START_US + 50_000, START_US + 10**7
    found = get(told, f"methods?from=0&to={middle}&from2={middle}&to2={end}")["methods"]
    counts = {
        each["method"]: [side and side["count"] for side in (each["a"], each["b"])] for each in found
    }
    assert counts == {"compute/boot": [1, None], "gone/boot": [None, 1]}
    assert next(each["b"]["timeouts"] for each in found if each["b"]) == {"unroutable": 1}


def test_methods_are_compared_over_two_versions(told: Console) -> None:
    found = get(told, "methods?version=1.2&version2=1.3")["methods"]
    assert {each["method"]: (each["a"] is not None, each["b"]) for each in found} == {
        "compute/boot": (True, None), "gone/boot": (True, None),
    }


def test_the_map_has_services_and_queues(told: Console) -> None:
    drawn = get(told, "map")
    assert {(each["name"], each["kind"]) for each in drawn["nodes"]} == {
        ("api", "service"), ("compute", "service"), ("compute (queue)", "queue"), ("gone", "queue"),
    }
    assert {(each["from"], each["to"], each["calls"], each["errors"]) for each in drawn["edges"]} == {
        ("api", "compute (queue)", 1, 0), ("compute (queue)", "compute", 1, 0), ("api", "gone", 1, 1),
    }


def test_services_operations_and_status_say_what_there_is(told: Console) -> None:
    services = get(told, "services")["services"]
    assert [(each["name"], each["spans"], each["versions"]) for each in services] == [
        ("api", 3, ["1.2"]), ("compute", 2, ["1.2"]),
    ]
    operations = get(told, "operations?service=compute")["operations"]
    assert {"name": "compute/boot", "kind": "SERVER"} in operations
    status = get(told, "status")
    assert (status["spans"], status["traces"], status["logs"]) == (5, 2, 4)
    assert status["retention_s"] == 72 * 3600


def test_without_metrics_the_pools_are_empty(told: Console) -> None:
    assert get(told, "pool") == {"pools": [], "heartbeats": [], "timeouts": {}}


# ---- the tail ------------------------------------------------------------------------------------


@contextmanager
def followed(running: Console, query: str) -> Iterator[http.client.HTTPResponse]:
    headers = {"Authorization": f"Bearer {running.token}"}
    with closing(http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)) as connection:
        connection.request("GET", f"/api/c/logs/tail?{query}", headers=headers)
        with connection.getresponse() as answer:
            yield answer


def test_the_tail_gives_what_arrives_and_is_asked_for(told: Console) -> None:
    with followed(told, "level=error&q=tail") as answer:
        assert answer.status == 200
        assert answer.headers.get_content_type() == "text/event-stream"
        assert answer.readline().startswith(b":")
        bad = {"level": "ERROR", "severity": 17, "trace_id": ""}
        tell(told, record("tail: not this", trace_id=""), record("tail: this", **bad))
        tell(told, record("nor that", **bad), record("tail: and this", **bad))
        assert [each["body"] for each in events(answer, 2)] == ["tail: this", "tail: and this"]


def test_no_more_than_so_many_follow_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail.Tail.__init__, "__defaults__", (1,))
    with console(tmp_path) as running:
        with followed(running, "") as first:
            assert first.status == 200
            assert first.readline()
            with followed(running, "") as second:
                assert second.status == 503
                assert b"close one" in second.read()
        assert eventually(running) == 200


def test_a_follower_that_is_far_behind_goes_on_with_what_is_new(told: Console) -> None:
    tailing = tail.Tail(told.reader)
    now_us = START_US + 10**12
    behind_us = now_us - 10 * tail.BEHIND_MOST_US
    lines, after_id, has_more = tailing._read(LogQuery(), behind_us, now_us)
    assert lines[0] == 'event: skipped\ndata: {"seconds": 600}\n\n'
    assert after_id >= now_us - tail.SETTLED_US
    assert not has_more


def eventually(running: Console) -> int:
    """Follow again and again until there is room; return the last status."""
    status, give_up = 0, time.monotonic() + 20
    while status != 200 and time.monotonic() < give_up:
        with followed(running, "") as answer:
            status = answer.status
    return status


def events(answer: http.client.HTTPResponse, most: int) -> list[Any]:
    found = []
    while len(found) < most:
        line = answer.readline()
        assert line
        if line.startswith(b"data: "):
            found.append(json.loads(line.removeprefix(b"data: ")))
    return found


# ---- hostile names -------------------------------------------------------------------------------


def test_any_text_comes_back_as_it_went_in(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\u202e\u0000\"'`"
    with console(tmp_path) as running:
        tell(running, row("1", "", name, name, Kind.CLIENT, 0, 1, {name: name}, trace_id=DEAD))
        (span,) = get(running, f"trace/{DEAD}")["spans"]
    assert (span["service"], span["name"], span["attributes"][name]) == (name, name, name)


def test_a_peer_that_hangs_up_in_the_middle_harms_nobody(told: Console) -> None:
    address = urlsplit(told.otlp_url)
    with socket.create_connection((address.hostname, address.port), 5) as peer:
        peer.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf")
    assert get(told, "status")["spans"] >= 5
