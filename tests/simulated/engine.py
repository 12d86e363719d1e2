"""The engine as it is, with the simulated world under it instead of the system's threads and sockets."""

from __future__ import annotations

import _thread
import contextlib
import os
import queue
import random
import select
import sys
import threading
import time
from types import SimpleNamespace

import amqp.connection
from amqp.transport import TCPTransport

from tests.simulated import primitives
from tests.simulated.broker import Broker
from tests.simulated.world import World
from tracedrpc._guard import MOMENTS
from tracedrpc.drivers.rabbit import connection, consumer, driver, edge, lookout, resolver, waker
from tracedrpc.drivers.rabbit.driver import RabbitDriver
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.options import Options
from tracedrpc.rpc.transport import RPCTransport, bind
from tracedrpc.telemetry import SILENCE, Telemetry
from tracedrpc.url import TransportHost, TransportURL
from tracedrpc.wire.dedup import Seen


def _urandom(count: int) -> bytes:
    return World.current.random.randbytes(count)


class _Random:
    """Module `random` with the world's seed."""

    def __getattr__(self, name: str):
        return getattr(World.current.random, name)


_OS = SimpleNamespace(**{**vars(os), "urandom": _urandom})
SUBSTITUTES = {
    id(threading): primitives.THREADING, id(_thread): primitives.LOW_THREAD, id(queue): primitives.QUEUE,
    id(select): primitives.SELECT, id(random): _Random(), id(os): _OS, id(os.urandom): _urandom,
    id(time.monotonic): primitives.monotonic, id(time.monotonic_ns): primitives.monotonic_ns,
    id(time.time_ns): primitives.time_ns, id(waker.Waker): primitives.Waker,
    id(resolver.resolve): lambda host, port, deadline: host,
}
MODULES = (
    "tracedrpc._deadline", "tracedrpc._scheduler", "tracedrpc._threads", "tracedrpc.anatomy",
    "tracedrpc.drivers.waiters", "tracedrpc.message", "tracedrpc.rpc.call_context",
    "tracedrpc.rpc.lifecycle", "tracedrpc.rpc.monitor", "tracedrpc.rpc.server", "tracedrpc.rpc.workers",
    "tracedrpc.wire.dedup",
)


def _modules() -> list:
    names = [name for name in sys.modules if name.startswith("tracedrpc.drivers.rabbit.") or name in MODULES]
    return [sys.modules[name] for name in names if name not in {waker.__name__, resolver.__name__}]


class _Transport(TCPTransport):
    """py-amqp's transport over a simulated socket."""

    def _connect(self, host, port, timeout) -> None:
        World.current.pause()
        self.sock = World.current.broker.connect().socket


def _new_transport(_connection, host, connect_timeout, *_unused, **_options):
    return _Transport(host, connect_timeout=connect_timeout)


@contextlib.contextmanager
def simulated():
    """Put the simulated world under the engine; nothing of the engine may be alive before or after."""
    with contextlib.ExitStack() as undo:
        def put(owner, name, value) -> None:
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

        for module in _modules():
            for name, value in list(vars(module).items()):
                if id(value) in SUBSTITUTES:
                    put(module, name, SUBSTITUTES[id(value)])
        put(amqp.connection, "monotonic", primitives.monotonic)
        put(edge.EdgeConnection, "Transport", _new_transport)
        put(connection, "make_poll", primitives.Poll)
        put(consumer, "Waker", primitives.Waker)
        put(lookout, "_answers", lambda address, limit: World.current.broker.is_up)
        put(ConnectionPool.__init__, "__kwdefaults__", {
            **ConnectionPool.__init__.__kwdefaults__, "clock": primitives.monotonic})
        put(Seen.__init__, "__defaults__", (primitives.monotonic,))
        yield
    assert not driver._drivers, "a driver was not cleaned up"


class Listening(Telemetry):
    """Takes turns at each moment, and keeps what a user would have to be told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dropped: set[str] = set()
        self.numbers: dict[int, str] = {}
        for name in MOMENTS:
            setattr(self, name, lambda *told, _name=name, **fields: self._heard(_name, *told))

    def call(self, invocation):
        """Learn the id of what is sent."""
        self.numbers[invocation.request.args["number"]] = invocation.request.unique_id
        return SILENCE

    def _heard(self, name: str, *told) -> None:
        self.world.note(f"{name} {[str(each)[:70] for each in told if isinstance(each, (str, float))]}")
        if name == "background_failed":
            self.world.errors.append(f"background_failed {told!r}")
        if name == "message_dropped" and told[0] is not None:
            self.dropped.add(told[0].request.unique_id)
        self.world.pause()


def transport(world: World, **options) -> RPCTransport:
    """Return a transport of the real driver to the world's broker."""
    settings = Options(**options)
    url = TransportURL(settings, "rabbit", hosts=[TransportHost("127.0.0.1", 5672)])
    telemetry = Listening(world)
    made = RabbitDriver(url, settings, telemetry, [], "openstack")
    return bind(RPCTransport(made), None, settings, telemetry)


def broker(world: World, weather) -> Broker:
    """Give the world its broker."""
    world.broker = Broker(world, weather)
    return world.broker
