"""Which host of a URL is tried next, and what kombu is told."""

from __future__ import annotations

import pytest

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit import connector as module
from tracedrpc.drivers.rabbit.connector import Connector
from tracedrpc.drivers.rabbit.errors import ConnectFailed, Reason, connect_failed
from tracedrpc.options import Options
from tracedrpc.telemetry import Telemetry
from tracedrpc.url import TransportURL

HOSTS = ("a", "b", "c", "d")


class Cluster:
    """Hosts of which some are up; writes down which are tried."""

    def __init__(self, monkeypatch, **options):
        monkeypatch.setattr("random.shuffle", lambda hosts: None)
        url = TransportURL.parse(None, "rabbit://" + ",".join(f"{host}:1" for host in HOSTS) + "/")
        self.connector = Connector(url, Options(**options), Telemetry(), lambda shipment, outcome: None)
        self.connector._open = self._open
        self.up = set(HOSTS)
        self.tried = []

    def _open(self, host, purpose, deadline):
        self.tried.append(host.hostname)
        if host.hostname not in self.up:
            raise connect_failed(Reason.REFUSED, host.hostname)
        return host.hostname

    def open(self, deadline=None):
        self.tried.clear()
        return self.connector.open("send", deadline or Deadline.after(60))


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


def test_connections_go_to_one_host_while_it_is_up(cluster):
    assert [cluster.open() for _ in range(3)] == ["a", "a", "a"]


def test_the_hosts_after_it_are_tried_in_turn(cluster):
    cluster.up = {"d"}
    assert cluster.open() == "d"
    assert cluster.tried == ["a", "b", "c", "d"]
    assert cluster.open() == "d"
    assert cluster.tried == ["d"]


def test_after_the_last_host_comes_the_first(cluster):
    cluster.up = {"d"}
    cluster.open()
    cluster.up = {"b"}
    assert cluster.open() == "b"
    assert cluster.tried == ["d", "a", "b"]


def test_each_host_is_tried_once_and_then_it_is_an_error(cluster):
    cluster.up = set()
    with pytest.raises(ConnectFailed):
        cluster.open()
    assert cluster.tried == list(HOSTS)


def test_a_host_that_takes_all_the_time_is_not_the_first_the_next_time(cluster):
    deadline = Deadline.after(60)
    answer = cluster.connector._open

    def open_slowly(host, purpose, limit):
        deadline.at_s = 0.0
        return answer(host, purpose, limit)

    cluster.up = {"b"}
    cluster.connector._open = open_slowly
    with pytest.raises(ConnectFailed):
        cluster.open(deadline)
    assert cluster.tried == ["a"]
    cluster.connector._open = answer
    assert cluster.open() == "b"
    assert cluster.tried == ["b"]


def test_with_shuffle_the_others_are_tried_in_any_order_and_each_once(monkeypatch):
    cluster = Cluster(monkeypatch, kombu_failover_strategy="shuffle")
    monkeypatch.setattr("random.shuffle", lambda hosts: hosts.reverse())
    cluster.up = {"b"}
    assert cluster.open() == "b"
    assert cluster.tried == ["a", "d", "c", "b"]


def dialled(monkeypatch, url="rabbit://user:secret@host/", **options):
    """Return what kombu is given to connect with."""
    told = {}
    monkeypatch.setattr(module.kombu, "Connection", lambda **given: told.update(given))
    parsed = TransportURL.parse(None, url)
    connector = Connector(parsed, Options(**options), Telemetry(), lambda shipment, outcome: None)
    connector._dial(parsed.hosts[0], "192.0.2.1", "send", module.Intake(), Deadline.after(1))
    return told


@pytest.mark.parametrize("method", ["PLAIN", "AMQPLAIN", "EXTERNAL"])
def test_the_login_method_is_passed_on(monkeypatch, method):
    assert dialled(monkeypatch, rabbit_login_method=method)["login_method"] == method


def test_a_url_without_a_port_means_the_usual_one_with_tls_or_without(monkeypatch):
    assert dialled(monkeypatch)["port"] == 5672
    assert dialled(monkeypatch, ssl=True)["port"] == 5671
    assert dialled(monkeypatch, "rabbit://host:1234/", ssl=True)["port"] == 1234


def test_heartbeats_can_be_turned_off(monkeypatch):
    assert dialled(monkeypatch, heartbeat_timeout_threshold=0)["heartbeat"] == 0
    assert dialled(monkeypatch, heartbeat_timeout_threshold=7)["heartbeat"] == 7
