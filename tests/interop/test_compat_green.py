"""Programs that eventlet has patched: client and server, `executor='eventlet'`, with and without TLS."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracedrpc
from tests.integration.test_tls import TlsProxy, certificates  # noqa: F401 - a fixture
from tests.interop.compat_runs import HERE, output

pytestmark = [pytest.mark.usefixtures("peers"), pytest.mark.timeout(240)]

PROGRAM = str(HERE / "green_program.py")
OPTIONS = "heartbeat_timeout_threshold=2&connect_timeout=3"
WAYS = {
    "tracedrpc is imported after the patch": (),
    "tracedrpc is imported before the patch": ("-m", "tracedrpc.compat"),
    "over TLS": (),
}
BUSY_S = 4.0
"""What a busy machine may add to a time that is asserted."""


@pytest.fixture(scope="module")
def runs(rabbit_url, certificates):  # noqa: F811 - the fixture
    """Run the program in each way, two at a time, and give what it told."""
    broker = tracedrpc.TransportURL.parse(None, rabbit_url)
    proxy = TlsProxy(certificates, broker.hosts[0].port)
    secure = f"rabbit://guest:guest@localhost:{proxy.port}/?ssl=true&ssl_ca_file={certificates / 'ca.pem'}"
    urls = dict.fromkeys(WAYS, f"{rabbit_url}?{OPTIONS}") | {"over TLS": f"{secure}&{OPTIONS}"}

    def run(way):
        topic = f"green-{abs(hash((way, rabbit_url)))}"
        return json.loads(output(*WAYS[way], PROGRAM, urls[way], topic).splitlines()[-1])

    with ThreadPoolExecutor(2) as pool:
        yield {way: pool.submit(run, way) for way in WAYS}
    proxy.close()


@pytest.fixture(params=WAYS)
def told(request, runs):
    """Return what the program told in one of the ways."""
    return runs[request.param].result()


def test_calls_of_green_threads_get_each_their_own_answer(told):
    assert told["echoes"] == list(range(200))
    assert told["large"] == 4_000_000


def test_workers_are_green_and_serve_many_calls_at_once_on_one_system_thread(told):
    results, took_s = told["at_once"]
    assert results == [0.5] * 20
    assert took_s < 0.5 + BUSY_S
    assert told["system_threads"] == 1


def test_heartbeats_keep_a_long_call_alive_under_eventlet(told):
    result, took_s = told["monitored"]
    assert (result, took_s > 2.9) == (3, True)


def test_time_outs_and_errors_are_the_same_under_eventlet(told):
    assert told["too_late"][0] == "MessagingTimeout"
    assert 1 <= told["too_late"][1] < 1 + BUSY_S
    assert told["failed"][0] == "ValueError"
    assert told["unroutable"][0] == "MessageUndeliverable"
    assert told["unroutable"][1] < BUSY_S


def test_a_dead_broker_does_not_hold_a_green_caller_beyond_its_deadline(told):
    result, took_s = told["dead_broker"]
    assert result == "MessagingTimeout"
    assert took_s < 2 + BUSY_S


def test_an_idle_green_connection_stays_alive(told):
    assert told["after_idling"] == "idle"


def test_cleanup_ends_every_green_thread(told):
    assert told["threads_left"] == []
