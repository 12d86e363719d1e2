"""Options whose effect shows on a real broker, one by one; declarations and TLS have files of their own."""

from __future__ import annotations

import bz2
import lzma
import zlib

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, Relay, wait_until, within
from tracedrpc.testing import RecordingTelemetry
from tracedrpc.url import TransportURL

DECOMPRESS = {
    "gzip": (zlib.decompress, "application/x-gzip"),
    "bz2": (bz2.decompress, "application/x-bz2"),
    "lzma": (lzma.decompress, "application/x-lzma"),
}


# ---- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DECOMPRESS)
def test_messages_are_compressed_when_told_so(site, name):
    decompress, header = DECOMPRESS[name]
    site.serve(Endpoint(), transport=site.transport(kombu_compression=name))
    client = site.client(site.transport(kombu_compression=name))
    with site.capture() as captured:
        assert client.call({}, "echo", value="x" * 1000) == "x" * 1000
        message = captured.next()
    assert message.headers["compression"] == header
    assert b'"oslo.message"' in decompress(message.body)
    assert len(message.body) < 1000


@pytest.mark.parametrize(("prefetch", "waiting"), [("4", 1), ("0", 3)])
def test_a_server_is_sent_no_more_than_its_prefetch(site, prefetch, waiting):
    endpoint = Endpoint()
    site.serve(endpoint, transport=site.transport(rabbit_qos_prefetch_count=prefetch), workers=1)
    client = site.client()
    for _ in range(6):  # one is worked on, so many are with the server, the others in the queue
        client.cast({}, "hold")
    assert endpoint.entered.acquire(timeout=SOON_S)
    wait_until(lambda: site.count(site.topic) == waiting)


# ---- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "agreed"), [("0", 0.0), ("7", 7.0)])
def test_the_heartbeat_is_agreed_with_the_broker_or_turned_off(site, asked, agreed):
    client = site.client(site.transport(heartbeat_timeout_threshold=asked))
    site.serve(Endpoint())
    client.call({}, "echo")
    pool = client.transport.driver._pool
    wait_until(lambda: pool.stats().idle == 1)
    link = pool.take_idle(0)
    pool.put_idle(link, 0)
    assert link.heartbeat_s == agreed


@pytest.fixture
def two_hosts(site):
    """Give two ways to the one broker, and the URL that names both."""
    relays = [Relay(site.url), Relay(site.url)]
    parsed = TransportURL.parse(None, site.url)
    parsed.hosts = [TransportURL.parse(None, relay.url).hosts[0] for relay in relays]
    yield relays, str(parsed)
    for transport in site._transports:
        transport.cleanup()
    for relay in relays:
        relay.close()


def in_use(telemetry, relays):
    """Return the way that a client's connections go."""
    (peer,) = {moment.fields["connection"].peer for moment in telemetry.of("connection_created")}
    (relay,) = [each for each in relays if each.url.endswith(f"@{peer}/")]
    return relay


@pytest.mark.parametrize("strategy", ["round-robin", "shuffle"])
def test_when_the_host_in_use_dies_calls_go_on_through_the_other(site, two_hosts, strategy):
    relays, url = two_hosts
    site.serve(Endpoint())
    telemetry = RecordingTelemetry()
    client = site.client(site.transport(telemetry, url=url, kombu_failover_strategy=strategy))
    assert client.call({}, "echo", value=1) == 1
    in_use(telemetry, relays).close()
    with within(SOON_S):
        assert client.call({}, "echo", value=2) == 2


def test_a_pause_before_a_reconnect_is_as_long_as_the_splay_makes_it(site, two_hosts, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    relays, url = two_hosts
    site.serve(Endpoint())
    telemetry = RecordingTelemetry()
    client = site.client(site.transport(telemetry, url=url, kombu_reconnect_splay=1.0))
    assert client.call({}, "echo", value=1) == 1
    with within(SOON_S, least_s=1.0):
        in_use(telemetry, relays).close()
        telemetry.wait_for("connection_lost")
        assert client.call({}, "echo", value=2) == 2


def test_a_least_pool_size_larger_than_our_usual_pool_is_no_error(site):
    transport = site.transport(conn_pool_min_size=10)
    assert transport.options.rpc_conn_pool_size == 10


def test_a_login_method_that_does_not_exist_is_refused_when_the_transport_is_made(site):
    with pytest.raises(tracedrpc.InvalidOption, match="the AMQP library knows no other"):
        site.transport(rabbit_login_method="RABBIT-CR-DEMO")
