"""A load program written for oslo.messaging runs as it is on either library, on either side."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.pairings import clean_environment
from tests.interop.processes import Process

LIBRARIES = {"ours": ("-m", "tracedrpc.compat", "simulator.py"), "stock": ("simulator.py",)}
PAIRINGS = [(client, server) for client in LIBRARIES for server in LIBRARIES]
SENT = {"call": 300, "cast": 100, "fanout": 20}
LOAD = ["--calls", "300", "--casts", "100", "--fanouts", "20", "--threads", "8", "--size", "2000"]
SUMMARY = [
    "role", "sent", "answered", "received", "lost", "errors", "took_s", "rate_per_s", "latency_ms",
]
SUMMARIES_S = 110.0


def simulate(client, server, url):
    topic = f"interop-{uuid.uuid4().hex[:8]}"
    where = ["--url", f"{url}?amqp_auto_delete=true", "--topic", topic, "--exchange", topic]
    environment = clean_environment("http://127.0.0.1:9") | {"TRACEDRPC_TRACING": "off"}
    with Process(*LIBRARIES[server], "rpc-server", *where, environment=environment) as serving:
        assert serving.line() == "ready"
        with Process(*LIBRARIES[client], "rpc-client", *where, *LOAD, environment=environment) as asking:
            summary = asking.line()
            asking.end()
        serving.end()
        return summary, serving.line()


@pytest.fixture(scope="module")
def summaries(rabbit_url, peers):
    pool = ThreadPoolExecutor(2)
    runs = {pairing: pool.submit(simulate, *pairing, rabbit_url) for pairing in PAIRINGS}
    yield lambda *pairing: runs[pairing].result(SUMMARIES_S)
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_nothing_is_lost_and_nothing_fails(summaries, client, server):
    summary, served = summaries(client, server)
    assert (summary["lost"], summary["errors"]) == (0, {})
    assert summary["answered"] == SENT["call"]
    assert summary["sent"] == summary["received"] == served["received"] == SENT


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
def test_the_summary_says_the_same_things(summaries, client, server):
    summary, served = summaries(client, server)
    assert list(summary) == SUMMARY
    assert list(summary["latency_ms"]) == ["min", "p50", "p90", "p99", "max"]
    assert served["role"] == "rpc-server"
