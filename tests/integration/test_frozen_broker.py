"""A broker that stops in the middle: whatever was under way ends at the caller's deadline."""

from __future__ import annotations

import pytest

import tracedrpc
from tests.integration.support import Endpoint, Relay, within

GRACE_S = 1.0


@pytest.fixture
def relay(site):
    """Give a function that makes relays to the site's broker; they end after the site's transports."""
    made = []

    def make(**fields):
        made.append(Relay(site.url, **fields))
        return made[-1]

    yield make
    site.close()
    for each in made:
        each.close()


@pytest.mark.parametrize("replies", range(5))
def test_a_cast_ends_in_time_when_the_broker_stops_in_the_handshake(site, relay, replies):
    through = relay(replies=replies, delay_s=0.25)
    client = site.client(site.transport(url=through.url), timeout=1.0)
    with within(1.0 + GRACE_S), pytest.raises(tracedrpc.MessageDeliveryFailure):
        client.cast({}, "note")


def warm(site, relay, **options):
    """Return a client with open connections to a broker that can be frozen."""
    through = relay()
    client = site.client(site.transport(url=through.url, **options), timeout=5.0)
    site.serve(Endpoint())
    assert client.call({}, "echo", value=1) == 1
    client.cast({}, "note")
    return client.prepare(timeout=1.0), through


def test_a_cast_ends_in_time_when_the_broker_does_not_confirm(site, relay):
    client, through = warm(site, relay)
    through.frozen.set()
    with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessageDeliveryFailure):
        client.cast({}, "note")


def test_a_cast_ends_in_time_when_the_broker_does_not_declare(site, relay):
    client, through = warm(site, relay)
    through.frozen.set()
    with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessageDeliveryFailure):
        client.prepare(exchange=f"{site.exchange}-new").cast({}, "note")


def test_a_call_ends_in_time_when_the_broker_does_not_declare(site, relay):
    client, through = warm(site, relay)
    through.frozen.set()
    with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessagingTimeout):
        client.prepare(exchange=f"{site.exchange}-new").call({}, "echo")


def test_a_call_that_the_broker_does_not_confirm_says_so(site, relay):
    client, through = warm(site, relay)
    through.frozen.set()
    with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessagingTimeout) as error:
        client.call({}, "echo")
    assert "has not confirmed it" in str(error.value)
    assert error.value.phase == "confirm"


def test_a_large_message_that_the_broker_does_not_read_ends_in_time(site, relay):
    client, through = warm(site, relay)
    through.frozen.set()
    for send in (client.cast, client.call):
        with within(2.0 + GRACE_S), pytest.raises(tracedrpc.MessagingException):
            send({}, "note", value="x" * 12_000_000)


def test_closing_does_not_wait_for_a_frozen_broker(site, relay):
    client, through = warm(site, relay)
    through.frozen.set()
    with within(6.0):
        client.transport.cleanup()
