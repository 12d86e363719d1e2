"""What is too long or too large is refused at the door, and costs nobody a connection or a wait."""

from __future__ import annotations

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, within
from tracedrpc import InvalidTarget, RemoteError
from tracedrpc.exceptions import EncodeError

SMALL = 20_000


class Filler:
    def fill(self, ctxt, size):
        return "x" * size


@pytest.mark.parametrize("too_long", [{"topic": "t" * 300}, {"server": "s" * 300}, {"exchange": "e" * 300}])
def test_a_name_longer_than_amqp_allows_is_an_invalid_target(site, too_long):
    client, _ = site.pair()
    client.call({}, "note")
    connections = len(site.telemetry.of("connection_created"))
    with pytest.raises(InvalidTarget, match="255 bytes"):
        client.prepare(**too_long).call({}, "note")
    client.call({}, "note")
    assert len(site.telemetry.of("connection_created")) == connections


def test_a_request_above_the_limit_is_refused_before_it_is_sent(site):
    client, endpoint = site.pair(max_message_size=SMALL)
    with within(SOON_S / 2), pytest.raises(EncodeError, match="max_message_size"):
        client.call({}, "echo", value="x" * SMALL)
    assert endpoint.calls == []


def test_a_reply_above_the_limit_is_an_error_at_once(site):
    site.serve(Filler(), Endpoint(), transport=site.transport(max_message_size=SMALL))
    client = tracedrpc.get_rpc_client(site.transport(), tracedrpc.Target(topic=site.topic), timeout=SOON_S)
    with within(SOON_S / 2), pytest.raises(RemoteError, match="max_message_size"):
        client.call({}, "fill", size=SMALL)
    assert client.call({}, "fill", size=10) == "x" * 10
