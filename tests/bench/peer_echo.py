"""A hand-written py-amqp echo: the floor, one thread a side, nothing but AMQP and JSON.

Many callers are a window of so many messages in flight in the one client thread. A cast is a
publish whose confirm has come back.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import amqp

from tests.bench.load import PAYLOAD, Clocks, Load, Run, drain
from tests.bench.peer import main

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_connection(url: str) -> amqp.Connection:
    """Connect to the broker that `url` names."""
    parts = urlsplit(url)
    connection = amqp.Connection(
        host=f"{parts.hostname}:{parts.port or 5672}",
        userid=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        virtual_host=unquote(parts.path[1:]) or "/",
    )
    connection.connect()
    return connection


class EchoServer:
    """Consumes a queue: acks each message, answers those that name a reply queue."""

    def __init__(self, connection: amqp.Connection, topic: str) -> None:
        self.connection = connection
        self.noted = 0
        self._channel = connection.channel()
        self._channel.queue_declare(topic, exclusive=True)
        self._channel.basic_consume(topic, callback=self._on_message)

    def _on_message(self, message: amqp.Message) -> None:
        self._channel.basic_ack(message.delivery_tag)
        reply_to = message.properties.get("reply_to")
        value = json.loads(message.body)
        if reply_to is None:
            self.noted += 1
            return
        result = self.noted if value == "noted" else value
        correlation_id = message.properties["correlation_id"]
        reply = amqp.Message(json.dumps(result), correlation_id=correlation_id)
        self._channel.basic_publish(reply, routing_key=reply_to)


class EchoService:
    """Publishes to the queue and reads the replies, all in the calling thread."""

    def __init__(self, connection: amqp.Connection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._calls = connection.channel()
        self._reply_queue = self._calls.queue_declare("", exclusive=True).queue
        self._calls.basic_consume(self._reply_queue, callback=self._on_reply, no_ack=True)
        self._casts = connection.channel()
        self._casts.confirm_select()
        self._casts.events["basic_ack"].add(self._on_confirm)
        self._sent = 0
        self._waiting: dict[str, float] = {}
        self._unconfirmed: deque[tuple[int, float]] = deque()
        self._casts_sent = 0
        self._last_reply: object = None
        self.latencies: list[float] = []

    def call(self) -> None:
        """Publish and wait for the reply."""
        self.call_window(1)

    def cast(self) -> None:
        """Publish and wait for the confirm."""
        self.cast_window(1)

    def noted(self) -> int:
        """Ask the server for its count."""
        self._publish_call("noted")
        self.settle()
        if not isinstance(self._last_reply, int):
            raise TypeError(f"the echo answered {self._last_reply!r} to `noted`")
        return self._last_reply

    def call_window(self, window: int) -> None:
        """Publish one call, then read replies until there is room for another."""
        self._publish_call(PAYLOAD)
        while len(self._waiting) >= window:
            self._connection.drain_events(timeout=10)

    def cast_window(self, window: int) -> None:
        """Publish one cast, then read confirms until there is room for another."""
        self._casts_sent += 1
        self._unconfirmed.append((self._casts_sent, time.perf_counter()))
        self._casts.basic_publish(amqp.Message(json.dumps(PAYLOAD)), routing_key=self._topic)
        while len(self._unconfirmed) >= window:
            self._connection.drain_events(timeout=10)

    def settle(self) -> None:
        """Read until nothing is in flight."""
        while self._waiting or self._unconfirmed:
            self._connection.drain_events(timeout=10)

    def _publish_call(self, value: object) -> None:
        self._sent += 1
        correlation_id = str(self._sent)
        self._waiting[correlation_id] = time.perf_counter()
        message = amqp.Message(json.dumps(value), reply_to=self._reply_queue, correlation_id=correlation_id)
        self._calls.basic_publish(message, routing_key=self._topic)

    def _on_reply(self, message: amqp.Message) -> None:
        start = self._waiting.pop(message.properties["correlation_id"])
        self._last_reply = json.loads(message.body)
        self.latencies.append(time.perf_counter() - start)

    def _on_confirm(self, delivery_tag: int, multiple: bool) -> None:
        now = time.perf_counter()
        while self._unconfirmed and self._unconfirmed[0][0] <= delivery_tag:
            self.latencies.append(now - self._unconfirmed.popleft()[1])


def run_window(service: EchoService, load: Load) -> Run:
    """Put `load` on the echo: as many messages in flight as there would be callers."""
    work = service.call_window if load.mode == "call" else service.cast_window
    step = partial(work, load.callers)
    casts_before = service.noted()
    service.latencies.clear()
    spin_until(step, time.perf_counter() + load.warmup_s)
    service.settle()
    warm = len(service.latencies)
    if load.mode == "cast":
        drain(service, casts_before + warm)
    service.latencies.clear()
    begin = Clocks.read(load.server_pid)
    spin_until(step, begin.wall + load.seconds)
    service.settle()
    end = Clocks.read(load.server_pid)
    return Run(list(service.latencies), begin, end, warm, casts_before + warm)


def spin_until(step: partial[None], until: float) -> None:
    """Repeat `step` until the clock says `until`."""
    while time.perf_counter() < until:
        step()


@contextmanager
def serve(url: str, topic: str) -> Iterator[None]:
    """Serve `topic` from one thread."""
    connection = open_connection(url)
    EchoServer(connection, topic)
    threading.Thread(target=consume, args=(connection,), name="echo", daemon=True).start()
    yield


def consume(connection: amqp.Connection) -> None:
    """Read from the broker for as long as the process lives."""
    while True:
        connection.drain_events()


@contextmanager
def connect(url: str, topic: str) -> Iterator[EchoService]:
    """Open a client of `topic`."""
    connection = open_connection(url)
    yield EchoService(connection, topic)
    connection.close()


if __name__ == "__main__":
    main(serve, connect, run_window)
