"""kombu's other transports pass through: `kombu+memory://`."""

from __future__ import annotations

import uuid

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint
from tracedrpc.testing import RecordingTelemetry

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def pair():
    """Give a client and the endpoint of a server, both over kombu's memory."""
    topic, endpoint, telemetry = f"virtual-{uuid.uuid4().hex[:8]}", Endpoint(), RecordingTelemetry()
    with (
        tracedrpc.get_rpc_transport(url="kombu+memory:///", telemetry=telemetry) as ours,
        tracedrpc.get_rpc_transport(url="kombu+memory:///", telemetry=telemetry) as theirs,
        tracedrpc.get_rpc_server(theirs, tracedrpc.Target(topic=topic, server="one"), [endpoint]),
    ):
        yield tracedrpc.get_rpc_client(ours, tracedrpc.Target(topic=topic), timeout=SOON_S), endpoint


def test_a_call_passes_through_kombus_memory(pair):
    client, _ = pair
    assert [client.call({}, "echo", value=number) for number in range(5)] == list(range(5))


def test_a_cast_passes_through_kombus_memory(pair):
    client, endpoint = pair
    client.cast({}, "note", value=1)
    endpoint.wait_for(1)


def test_a_fanout_passes_through_kombus_memory(pair):
    client, endpoint = pair
    client.prepare(fanout=True).cast({}, "note", value=1)
    endpoint.wait_for(1)


def test_an_error_passes_through_kombus_memory(pair):
    client, _ = pair
    with pytest.raises(ValueError, match="no"):
        client.call({}, "fail")
