"""`docker/prove.py` against engines that answer as the real ones do: it finds what is missing."""

from __future__ import annotations

import copy
import json
import threading
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from docker import await_ready, prove

TRACE_ID = "5b8efff798038103d269b633813fc60c"


def span(name, **tags):
    return {"operationName": name, "tags": [{"key": key, "value": value} for key, value in tags.items()]}


def trace(services, *spans):
    return {
        "traceID": TRACE_ID, "spans": list(spans),
        "processes": {f"p{n}": {"serviceName": name} for n, name in enumerate(services)},
    }


TIMED_OUT = span(
    prove.TIMED_OUT,
    **{"tracedrpc.sampling.keep_reason": "timeout", "tracedrpc.timeout.phase": "queue_or_server"},
)
ANSWERS = {
    f"/api/traces?operation={prove.BOOT}": {"data": [trace(prove.SERVICES, span(prove.BOOT))]},
    f"/api/traces?operation={prove.TIMED_OUT}": {"data": [trace(["traffic", "compute"], TIMED_OUT)]},
    f"/api/traces/{TRACE_ID}": {"data": [trace(["traffic"], TIMED_OUT)]},
    "/api/metrics/calls": {"metrics": [{"labels": [], "metricPoints": []}]},
    "/loki/api/v1/query_range": {"data": {"result": [{"values": [["1", "call_timed_out rpc.method=..."]]}]}},
    "/api/v1/query?query=up == 0": {"data": {"result": []}},
    "/api/v1/query": {"data": {"result": [{"metric": {"job": "loki"}, "value": [1, "1"]}]}},
    "/api/v1/rules": {"data": {"groups": [{"rules": [{"name": "a", "health": "ok"}]}]}},
    "/api/v1/query_exemplars": {"data": [{"exemplars": [{"labels": {"trace_id": TRACE_ID}}]}]},
    "/api/search": [{"uid": "rpc"}],
    "/api/datasources/uid/prometheus/health": {"status": "OK"},
    "/api/datasources/uid/loki/health": {"status": "OK"},
    "/api/datasources/uid/jaeger/health": {"status": "OK"},
}


@contextmanager
def serving(answers):
    """Answer with what is given for a path, or for a path and one value of its query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            split = urllib.parse.urlsplit(self.path)
            pairs = urllib.parse.parse_qsl(split.query)
            asked = [f"{split.path}?{key}={value}" for key, value in pairs] + [split.path]
            found = next((answers[each] for each in asked if each in answers), None)
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wrong_with(answers):
    with serving(answers) as url:
        return prove.prove(prove.Engines(url, url, url, url), 0.0)


def test_all_is_proved_when_all_is_there(capsys):
    assert wrong_with(ANSWERS) == {}
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(prove.PROOFS)
    assert all(line.startswith("ok ") for line in lines)


def without_services(answers):
    answers[f"/api/traces?operation={prove.BOOT}"]["data"][0]["processes"].popitem()


def without_reason(answers):
    answers[f"/api/traces?operation={prove.TIMED_OUT}"]["data"][0]["spans"][0]["tags"].pop(0)


def without_line(answers):
    answers["/loki/api/v1/query_range"]["data"]["result"][0]["values"][0][1] = "call_finished"


def without_one_metric(answers):
    answers[f"/api/v1/query?query={prove.METRICS[3]} > 0"] = {"data": {"result": []}}


def with_a_target_down(answers):
    answers["/api/v1/query?query=up == 0"] = {"data": {"result": [{"metric": {"job": "jaeger"}}]}}


def with_a_failing_rule(answers):
    answers["/api/v1/rules"]["data"]["groups"][0]["rules"][0]["health"] = "err"


def without_rules(answers):
    answers["/api/v1/rules"]["data"]["groups"] = []


def with_an_exemplar_of_no_trace(answers):
    answers["/api/v1/query_exemplars"]["data"][0]["exemplars"][0]["labels"]["trace_id"] = "0" * 32


def without_monitor(answers):
    answers["/api/metrics/calls"]["metrics"] = []


def without_dashboards(answers):
    answers["/api/search"] = []


def with_a_source_that_fails(answers):
    answers["/api/datasources/uid/loki/health"]["status"] = "ERROR"


@pytest.mark.parametrize(("change", "proofs", "said"), [
    (without_services, ["chain_is_whole"], "has all of"),
    (without_reason, ["time_out_was_kept", "time_out_was_logged"], "was kept for its time-out"),
    (without_line, ["time_out_was_logged"], "none of them call_timed_out"),
    (without_one_metric, ["metrics_are_there"], prove.METRICS[3]),
    (with_a_target_down, ["all_targets_are_up"], "jaeger"),
    (with_a_failing_rule, ["rules_are_loaded"], "failing: ['a: ']"),
    (without_rules, ["rules_are_loaded"], "0 rules"),
    (with_an_exemplar_of_no_trace, ["exemplar_leads_to_its_trace"], "none of the traces of 1 exemplars"),
    (without_monitor, ["monitor_has_calls"], "no calls of compute"),
    (without_dashboards, ["dashboards_are_there"], "no dashboard"),
    (with_a_source_that_fails, ["sources_answer"], "data source loki"),
])
def test_what_is_missing_is_found(change, proofs, said):
    answers = copy.deepcopy(ANSWERS)
    change(answers)
    wrong = wrong_with(answers)
    assert sorted(wrong) == sorted(proofs)
    assert said in wrong[proofs[0]]


def test_an_engine_that_is_not_there_fails_every_proof():
    with serving({}) as url:
        gone = url
    wrong = prove.prove(prove.Engines(gone, gone, gone, gone), 0.0)
    assert set(wrong) == {each.__name__ for each in prove.PROOFS}


def test_an_answer_of_another_shape_is_told_and_does_not_end_the_proofs():
    wrong = wrong_with(ANSWERS | {"/api/v1/rules": {"data": {}}})
    assert wrong == {"rules_are_loaded": "an answer of another shape: KeyError: 'groups'"}


# ---- waiting -------------------------------------------------------------------------------------


def test_waiting_ends_at_once_when_all_are_ready():
    with serving({"/ready": "ok"}) as url:
        assert await_ready.main(["0", f"{url}/ready"]) == 0


def test_waiting_says_who_is_not_ready(capsys):
    with serving({"/ready": "ok"}) as url:
        assert await_ready.main(["0", f"{url}/ready", f"{url}/other"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "/other is not ready after 0 s" in line
    assert "404" in line
