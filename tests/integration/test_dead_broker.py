"""No broker, or one that does not answer: every call and cast ends at its deadline, and says why."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlencode

import pytest

import tracedrpc
from tests.integration.support import Endpoint, within
from tracedrpc.testing import RecordingTelemetry

GRACE_S = 0.5

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound and not listening: nobody else gets it


@pytest.fixture
def silent_port():
    """Give a port that accepts connections and never says a word."""
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in accepted:
            each.close()


@contextlib.contextmanager
def client_of(url, telemetry=None, **options):
    query = urlencode({"connect_timeout": 5} | options)
    told = telemetry or RecordingTelemetry()
    with tracedrpc.get_rpc_transport(url=f"{url}?{query}", telemetry=told) as transport:
        yield tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic="nobody"), timeout=1.0)


@pytest.mark.parametrize("timeout_s", [0.5, 2])
def test_a_call_to_a_closed_port_ends_at_its_deadline(closed_port, timeout_s):
    with client_of(f"rabbit://127.0.0.1:{closed_port}/") as client:
        with within(timeout_s + GRACE_S, timeout_s - 0.1), pytest.raises(tracedrpc.MessagingTimeout) as error:
            client.prepare(timeout=timeout_s).call({}, "echo")
        assert error.value.phase == "connect"
        assert "no broker could be reached" in str(error.value)


def test_a_cast_to_a_closed_port_ends_at_its_deadline(closed_port):
    with client_of(f"rabbit://127.0.0.1:{closed_port}/") as client:
        with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessageDeliveryFailure) as error:
            client.cast({}, "note")
        assert "nothing listens there" in str(error.value)


def test_a_cast_without_retries_ends_at_once(closed_port):
    with (
        client_of(f"rabbit://127.0.0.1:{closed_port}/") as client,
        within(GRACE_S), pytest.raises(tracedrpc.MessageDeliveryFailure),
    ):
        client.prepare(retry=0).cast({}, "note")


@pytest.mark.parametrize("send", ["call", "cast"])
def test_a_broker_that_accepts_and_says_nothing_is_waited_for_until_the_deadline(silent_port, send):
    with (
        client_of(f"rabbit://127.0.0.1:{silent_port}/", connect_timeout=2) as client,
        within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessagingException),
    ):
        getattr(client, send)({}, "echo")


def test_a_host_that_is_not_known_is_said_so():
    telemetry = RecordingTelemetry()
    with (
        client_of("rabbit://no-such-host.invalid/", telemetry) as client, within(10),
        pytest.raises(tracedrpc.MessageDeliveryFailure, match=r"no-such-host\.invalid:5672"),
    ):
        client.prepare(retry=0).cast({}, "note")
    assert telemetry.of("connect_failed")[0].fields["reason"] == "dns"


def test_after_a_dead_broker_nothing_is_left_behind(closed_port):
    with client_of(f"rabbit://127.0.0.1:{closed_port}/") as client:
        for _ in range(3):
            with pytest.raises(tracedrpc.MessagingTimeout):
                client.prepare(timeout=0.1).call({}, "echo")
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("tracedrpc-")]
        assert len(names) <= 3


def test_a_server_without_a_broker_fails_to_start_within_its_time(closed_port, monkeypatch):
    monkeypatch.setattr("tracedrpc.drivers.rabbit.listener.START_S", 1.0)
    url = f"rabbit://127.0.0.1:{closed_port}/"
    with tracedrpc.get_rpc_transport(url=url, telemetry=RecordingTelemetry()) as transport:
        target = tracedrpc.Target(topic="nobody", server="one")
        server = tracedrpc.get_rpc_server(transport, target, [Endpoint()])
        with within(1.0 + GRACE_S), pytest.raises(tracedrpc.ServerListenError, match="nothing listens"):
            server.start()


# ---- a broker that refuses -----------------------------------------------------------------------



def refused_url(url, *, password=None, virtual_host=None):
    parsed = tracedrpc.TransportURL.parse(None, url)
    if password is not None:
        parsed.hosts[0].password = password
    if virtual_host is not None:
        parsed.virtual_host = virtual_host
    return str(parsed)


@pytest.mark.parametrize(("wrong", "words"), [
    ({"password": "s3cret-wrong"}, "user name or password"),
    ({"virtual_host": "no-such-vhost"}, "virtual host"),
])
def test_wrong_credentials_are_an_error_at_once(rabbit_url, wrong, words):
    with client_of(refused_url(rabbit_url, **wrong)) as client:
        for send in (client.call, client.cast):
            with within(1.0), pytest.raises(tracedrpc.MessageDeliveryFailure, match=words) as error:
                send({}, "echo")
            assert "s3cret" not in str(error.value)


def test_a_server_with_a_wrong_password_fails_to_start_at_once(rabbit_url):
    url = refused_url(rabbit_url, password="wrong")
    with tracedrpc.get_rpc_transport(url=url, telemetry=RecordingTelemetry()) as transport:
        target = tracedrpc.Target(topic="nobody", server="one")
        server = tracedrpc.get_rpc_server(transport, target, [Endpoint()])
        with within(1.0), pytest.raises(tracedrpc.ServerListenError, match="user name or password"):
            server.start()


# ---- several hosts -------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["round-robin", "shuffle"])
def test_a_dead_host_is_passed_over(site, closed_port, strategy):
    site.serve(Endpoint())
    parsed = tracedrpc.TransportURL.parse(None, site.url)
    alive = parsed.hosts[0]
    dead = tracedrpc.TransportHost("127.0.0.1", closed_port, alive.username, alive.password)
    parsed.hosts = [dead, alive]
    for _ in range(4):  # the hosts are shuffled
        client = site.client(site.transport(url=str(parsed), kombu_failover_strategy=strategy))
        with within(2.0):
            assert client.call({}, "echo", value=1) == 1
    peers = {moment.fields["connection"].peer for moment in site.telemetry.of("connect_failed")}
    assert peers <= {f"127.0.0.1:{closed_port}"}


def test_a_silent_host_is_passed_over_after_the_connect_time_out(site, silent_port):
    site.serve(Endpoint())
    parsed = tracedrpc.TransportURL.parse(None, site.url)
    alive = parsed.hosts[0]
    silent = tracedrpc.TransportHost("127.0.0.1", silent_port, alive.username, alive.password)
    parsed.hosts = [silent, alive]
    for _ in range(2):
        client = site.client(site.transport(url=str(parsed), connect_timeout=0.3))
        with within(3.0):
            assert client.call({}, "echo", value=1) == 1


# ---- bad settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "error", "words"), [
    ("rabbit", tracedrpc.InvalidTransportURL, "scheme"),
    ("rabbit://h:notaport/", tracedrpc.InvalidTransportURL, "port of host 1"),
    ("rabbit://a:1,b:99999/", tracedrpc.InvalidTransportURL, "port of host 2"),
    ("rabbit://[::1/", tracedrpc.InvalidTransportURL, "host 1 is no IPv6 address"),
    ("rabbit://u:p#w@h/", tracedrpc.InvalidTransportURL, "after #"),
    ("carrier-pigeon://h/", tracedrpc.DriverLoadFailure, "carrier-pigeon.*there are .*rabbit"),
    ("rabbit://h/?rpc_conn_pool_size=many", tracedrpc.InvalidOption, "size='many'.*whole number"),
    ("rabbit://h/?rpc_conn_pool_size=0", tracedrpc.InvalidOption, "rpc_conn_pool_size=0"),
    ("rabbit://h/?rpc_con_pool_size=3", tracedrpc.InvalidOption, "did you mean rpc_conn_pool_size"),
    (
        "rabbit://h/?conn_pool_min_size=30&rpc_conn_pool_size=8", tracedrpc.InvalidOption,
        "conn_pool_min_size=30 is above",
    ),
    ("rabbit://h/?kombu_failover_strategy=luck", tracedrpc.InvalidOption, "one of 'round-robin', 'shuffle'"),
    ("rabbit://h/?ssl=perhaps", tracedrpc.InvalidOption, "true or false"),
])
def test_a_bad_url_or_option_names_the_part_that_is_wrong(url, error, words):
    with pytest.raises(error, match=words):
        tracedrpc.get_rpc_transport(url=url)
