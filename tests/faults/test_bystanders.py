"""Faults of others, which a good caller must not notice."""

from __future__ import annotations

import sys
import threading
import time
import uuid

import amqp
import pytest

from tests.faults.support import Executions
from tracedrpc import MessagingTimeout, Target, _guard, _threads
from tracedrpc.message import Mode, Request
from tracedrpc.telemetry import Scope, Telemetry
from tracedrpc.url import TransportURL
from tracedrpc.wire.request import encode_request


class BrokenScope(Scope):
    """Raises whatever is asked of it."""

    def _raise(self, *args, **kwargs):
        raise RuntimeError("broken telemetry")

    __enter__ = __exit__ = failed = _raise


class ScopeWithBrokenCarrier(Scope):
    """Raises when it is asked for its trace context."""

    @property
    def carrier(self):
        raise RuntimeError("broken telemetry")

    ids = carrier


class ScopeWithNonsense(Scope):
    """Has a trace context that is none."""

    carrier = {"traceparent": 1}  # noqa: RUF012
    ids = {"trace_id": object()}  # noqa: RUF012


def telemetry_with(make_scope):
    """Return a telemetry whose moments all raise and whose scopes are the ones given."""
    broken = Telemetry()
    for name in _guard.MOMENTS:
        setattr(broken, name, BrokenScope()._raise)
    broken.call = broken.process = lambda subject: make_scope()
    return type("BrokenTelemetry", (Telemetry,), {
        "__init__": lambda self: self.__dict__.update(vars(broken)),
    })()


@pytest.mark.parametrize(
    "make_scope", [BrokenScope()._raise, BrokenScope, ScopeWithBrokenCarrier, ScopeWithNonsense],
    ids=["no scope", "every method", "carrier", "nonsense"],
)
def test_telemetry_that_raises_everywhere_disturbs_no_call(site, make_scope):
    done = Executions()
    site.server(done, site.transport(telemetry=telemetry_with(make_scope)))
    client = site.client(site.transport(telemetry=telemetry_with(make_scope)), timeout=3)
    assert client.call({}, "work", number="call") == "call"
    assert client.prepare(call_monitor_timeout=1).call({}, "work", number="monitored") == "monitored"
    with pytest.raises(ValueError, match="as asked"):
        client.call({}, "fail")
    client.cast({}, "work", number="cast")
    client.prepare(fanout=True).cast({}, "work", number="fanout")
    assert done.wait_for(4)


def test_callers_that_are_gone_do_not_slow_down_a_good_one(site):
    done = Executions()
    site.server(done)
    client = site.client(timeout=5)
    client.call({}, "work", number="before")
    with raw_channel(site.url) as channel:
        for _ in range(50):
            channel.basic_publish(request_of_nobody(site.topic), "", site.topic)
        took_s = sorted(timed(client, str(index)) for index in range(200))
    assert took_s[197] < 0.5
    assert done.wait_for(251)


def raw_channel(url):
    """Return a channel past tracedrpc, with its connection, to be used once."""
    host = TransportURL.parse(None, url).hosts[0]
    connection = amqp.Connection(f"{host.hostname}:{host.port}", host.username, host.password)
    connection.connect()
    return ChannelOf(connection)


class ChannelOf:
    """A channel, and its connection that ends with the block."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self.connection.channel()

    def __exit__(self, *exc_info):
        self.connection.close()


def request_of_nobody(topic):
    """Return a call whose reply queue does not exist."""
    identity, gone = uuid.uuid4().hex, f"reply_{uuid.uuid4().hex}"
    request = Request(
        Target(topic=topic), "work", {"number": identity}, {}, Mode.CALL, identity, uuid.uuid4().hex, 60,
    )
    body = encode_request(request, {}, gone, carrier_in_context=False)
    return amqp.Message(body, content_type="application/json", content_encoding="utf-8")


def timed(client, number):
    """Return how long a call takes."""
    began_s = time.perf_counter()
    client.call({}, "work", number=number)
    return time.perf_counter() - began_s


def test_a_server_hears_again_after_a_moment_without_threads(site, monkeypatch):
    done = Executions()
    site.server(done)
    client = site.client(timeout=1)
    begin = _threads.start

    def no_more(name, run):
        if "worker" in name:
            raise RuntimeError("can't start new thread")
        return begin(name, run)

    with monkeypatch.context() as patched:
        patched.setattr(_threads, "start", no_more)
        with pytest.raises(MessagingTimeout):
            client.call({}, "work", number="nobody runs this")
    assert client.prepare(timeout=5).call({}, "work", number="after") == "after"


def test_late_and_timely_replies_together_break_no_call(site):
    waiters = site.transport().driver._waiters
    errors: list[BaseException] = []

    def remember(name):
        try:
            for index in range(20_000):
                waiters._remember(f"{name}-{index}", "late")
        except RuntimeError as error:
            errors.append(error)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=remember, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval_s)
    assert errors == []
