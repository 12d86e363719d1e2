"""The broker's end of one connection: AMQP 0-9-1 methods, read and written with py-amqp's tables."""

from __future__ import annotations

import struct

from amqp import spec
from amqp.serialization import dumps, loads

from tests.simulated.broker import HEARTBEAT_S, RETURN_CODE, Broker, Exchange, Message, Queue
from tests.simulated.network import Wire

METHOD, HEADER, BODY, BEAT = 1, 2, 3, 8
FRAME_MAX = 131_072
BEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"
CAPABILITIES = {
    "publisher_confirms": True, "consumer_cancel_notify": True, "basic.nack": True,
    "connection.blocked": True, "authentication_failure_close": True,
}


class Consumer:
    """One consumer of one channel."""

    def __init__(self, channel: Channel, tag: str, queue: str) -> None:
        self.channel = channel
        self.tag = tag
        self.queue = queue
        self.unacked = 0
        self.most = channel.prefetch

    def has_room(self) -> bool:
        return not self.most or self.unacked < self.most

    def deliver(self, message: Message) -> None:
        channel = self.channel
        channel.delivered += 1
        channel.unacked[channel.delivered] = (self, message)
        self.unacked += 1
        channel.content(
            spec.Basic.Deliver, "sLbss",
            (self.tag, channel.delivered, message.redelivered, message.exchange, message.key), message,
        )

    def cancelled(self) -> None:
        """The queue has gone."""
        self.channel.consumers.pop(self.tag, None)
        self.channel.send(spec.Basic.Cancel, "sb", (self.tag, True))


class Channel:
    """One channel: consumers, deliveries without acknowledgement, confirms."""

    def __init__(self, session: Session, number: int) -> None:
        self.session = session
        self.broker: Broker = session.broker
        self.number = number
        self.prefetch = 0
        self.consumers: dict[str, Consumer] = {}
        self.unacked: dict[int, tuple[Consumer, Message]] = {}
        self.delivered = 0
        self.published = 0
        self.is_confirming = False
        self.is_closed = False
        self._publish: tuple | None = None
        self._header = b""
        self._body = b""

    def send(self, method, form: str = "", values: tuple = ()) -> None:
        self.session.send(self.number, method, form, values)

    def content(self, method, form: str, values: tuple, message: Message) -> None:
        self.send(method, form, values)
        self.session.frame(HEADER, self.number, message.header)
        for start in range(0, len(message.body), FRAME_MAX - 8):
            self.session.frame(BODY, self.number, message.body[start : start + FRAME_MAX - 8])

    # ---- publishing ---------------------------------------------------------------------------

    def publish(self, _ticket, exchange, key, mandatory, _immediate) -> None:
        self._publish = (exchange, key, mandatory)

    def header(self, payload: bytes) -> None:
        self._header, self._body = payload, b""
        self._complete()

    def body(self, payload: bytes) -> None:
        self._body += payload
        self._complete()

    def _complete(self) -> None:
        if len(self._body) < struct.unpack_from(">Q", self._header, 4)[0]:
            return
        exchange, key, mandatory = self._publish
        if exchange and exchange not in self.broker.exchanges:
            self.fail(404, f"no exchange '{exchange}'", spec.Basic.Publish)
            return
        message = self.broker.message(exchange, key, self._header, self._body)
        self.published += 1
        if not self.broker.route(message) and mandatory:
            self.content(spec.Basic.Return, "Bsss", (RETURN_CODE, "NO_ROUTE", exchange, key), message)
        if self.is_confirming:
            self.send(spec.Basic.Ack, "Lb", (self.published, False))

    # ---- consuming ----------------------------------------------------------------------------

    def qos(self, _size, count, _is_global) -> None:
        self.prefetch = count
        self.send(spec.Basic.QosOk)

    def consume(self, _ticket, queue, tag, _no_local, _no_ack, _exclusive, _nowait, _arguments) -> None:
        if queue not in self.broker.queues:
            self.fail(404, f"no queue '{queue}'", spec.Basic.Consume)
            return
        consumer = self.consumers[tag] = Consumer(self, tag, queue)
        self.broker.queues[queue].consumers.append(consumer)
        self.send(spec.Basic.ConsumeOk, "s", (tag,))
        self.broker.feed(self.broker.queues[queue])

    def cancel(self, tag, _nowait) -> None:
        consumer = self.consumers.pop(tag, None)
        if consumer is not None:
            self.broker.drop_consumer(consumer)
        self.send(spec.Basic.CancelOk, "s", (tag,))

    def ack(self, tag, multiple) -> None:
        self._settle(tag, multiple=multiple, requeue=False)

    def nack(self, tag, multiple, requeue) -> None:
        self._settle(tag, multiple=multiple, requeue=requeue)

    def _settle(self, tag: int, *, multiple: bool, requeue: bool) -> None:
        tags = [each for each in self.unacked if each == tag or (multiple and each < tag)]
        if not tags:
            self.fail(406, f"unknown delivery tag {tag}", spec.Basic.Ack)
            return
        for each in sorted(tags, reverse=True):
            consumer, message = self.unacked.pop(each)
            consumer.unacked -= 1
            if requeue:
                self.broker.requeue(consumer.queue, message)
        for name in list(self.broker.queues):
            if name in self.broker.queues:
                self.broker.feed(self.broker.queues[name])

    # ---- objects ------------------------------------------------------------------------------

    def declare_exchange(
        self, _ticket, name, kind, passive, durable, auto_delete, _inner, _nowait, _args,
    ) -> None:
        known = self.broker.exchanges.get(name)
        if known is None and passive:
            self.fail(404, f"no exchange '{name}'", spec.Exchange.Declare)
        elif known is not None and not passive and (known.kind, known.durable) != (kind, durable):
            self.fail(406, f"inequivalent exchange '{name}'", spec.Exchange.Declare)
        else:
            self.broker.exchanges.setdefault(name, Exchange(name, kind, durable, auto_delete))
            self.send(spec.Exchange.DeclareOk)

    def declare_queue(self, _ticket, name, passive, durable, _exclusive, auto_delete, _nowait, told) -> None:
        known = self.broker.queues.get(name)
        if known is None and passive:
            self.fail(404, f"no queue '{name}'", spec.Queue.Declare)
        elif known is not None and not passive and known.durable != durable:
            self.fail(406, f"inequivalent queue '{name}'", spec.Queue.Declare)
        else:
            if known is None:
                self.broker.queues[name] = Queue(name, durable, auto_delete, told.get("x-expires"))
            queue = self.broker.queues[name]
            self.broker.expire_later(queue)
            self.send(spec.Queue.DeclareOk, "sll", (name, len(queue.messages), len(queue.consumers)))

    def bind(self, _ticket, queue, exchange, key, _nowait, _args) -> None:
        if queue not in self.broker.queues or exchange not in self.broker.exchanges:
            self.fail(404, f"nothing to bind: '{queue}', '{exchange}'", spec.Queue.Bind)
            return
        bindings = self.broker.exchanges[exchange].bindings
        if (key, queue) not in bindings:
            bindings.append((key, queue))
        self.send(spec.Queue.BindOk)

    def delete_queue(self, _ticket, name, _if_unused, _if_empty, _nowait) -> None:
        self.send(spec.Queue.DeleteOk, "l", (self.broker.delete_queue(name),))

    def confirm(self, _nowait) -> None:
        self.is_confirming = True
        self.send(spec.Confirm.SelectOk)

    # ---- the end ------------------------------------------------------------------------------

    def open(self, _reserved) -> None:
        self.send(spec.Channel.OpenOk, "S", (b"",))

    def close(self, *_why) -> None:
        self.gone()
        self.send(spec.Channel.CloseOk)
        self.session.channels.pop(self.number, None)

    def fail(self, code: int, text: str, method) -> None:
        """Close the channel with an error."""
        self.send(spec.Channel.Close, "BsBB", (code, text, *method))
        self.gone()
        self.is_closed = True

    def gone(self) -> None:
        """Give back what was delivered, in its order."""
        for consumer in list(self.consumers.values()):
            self.broker.drop_consumer(consumer)
        self.consumers.clear()
        unacked, self.unacked = self.unacked, {}
        for consumer, message in reversed(unacked.values()):
            self.broker.requeue(consumer.queue, message)
        for name in {consumer.queue: None for consumer, _ in unacked.values()}:
            if name in self.broker.queues:
                self.broker.feed(self.broker.queues[name])


METHODS = {
    spec.Channel.Open: ("s", Channel.open), spec.Channel.Close: ("BsBB", Channel.close),
    spec.Confirm.Select: ("b", Channel.confirm),
    spec.Exchange.Declare: ("BssbbbbbF", Channel.declare_exchange),
    spec.Queue.Declare: ("BsbbbbbF", Channel.declare_queue),
    spec.Queue.Bind: ("BsssbF", Channel.bind), spec.Queue.Delete: ("Bsbbb", Channel.delete_queue),
    spec.Basic.Qos: ("lBb", Channel.qos), spec.Basic.Consume: ("BssbbbbF", Channel.consume),
    spec.Basic.Cancel: ("sb", Channel.cancel), spec.Basic.Publish: ("Bssbb", Channel.publish),
    spec.Basic.Ack: ("Lb", Channel.ack), spec.Basic.Nack: ("Lbb", Channel.nack),
}


class Session:
    """One connection as the broker has it."""

    def __init__(self, broker: Broker, wire: Wire) -> None:
        self.broker = broker
        self.wire = wire
        self.channels: dict[int, Channel] = {}
        self.is_lost = False
        self.is_blocked = False
        self._data = b""
        self._heard_ns = broker.world.now_ns
        self._beat()

    # ---- sending ------------------------------------------------------------------------------

    def frame(self, kind: int, channel: int, payload: bytes) -> None:
        if not self.is_lost:
            self.wire.to_client.write(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def send(self, channel: int, method, form: str = "", values: tuple = ()) -> None:
        self.frame(METHOD, channel, struct.pack(">HH", *method) + dumps(form, values))

    def _beat(self) -> None:
        """Send a heartbeat twice per interval; give the client up after two silent ones."""
        if self.is_lost:
            return
        world = self.broker.world
        if world.now_ns - self._heard_ns > 2 * HEARTBEAT_S * 1e9 and not self.is_blocked:
            self.lost()
            self.wire.closed_by_broker()
            return
        self.wire.to_client.write(BEAT_FRAME)
        world.after(HEARTBEAT_S / 2, self._beat)

    def alarm(self, is_on: bool) -> None:
        if is_on:
            self.send(0, spec.Connection.Blocked, "s", ("memory",))
        elif self.is_blocked or not self.is_lost:
            self.send(0, spec.Connection.Unblocked)
            self.is_blocked = False
            self._heard_ns = self.broker.world.now_ns
            self._work()

    # ---- receiving ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the wire, and act on whole frames."""
        self._heard_ns = self.broker.world.now_ns
        self._data += data
        self._work()

    def _work(self) -> None:
        while not self.is_lost and not self.is_blocked:
            if self._data[:4] == b"AMQP":
                self._data = self._data[8:]
                self.send(0, spec.Connection.Start, "ooFSS", (
                    0, 9, {"version": "3.13.0", "capabilities": CAPABILITIES}, b"AMQPLAIN PLAIN", b"en_US"))
                continue
            size = 8 + int.from_bytes(self._data[3:7], "big") if len(self._data) >= 7 else 0
            if not size or len(self._data) < size:
                return
            frame, self._data = self._data[:size], self._data[size:]
            kind, number = struct.unpack_from(">BH", frame)
            self._frame(kind, number, frame[7:-1], frame)

    def _frame(self, kind: int, number: int, payload: bytes, frame: bytes) -> None:
        if kind == BEAT:
            return
        if number == 0:
            self._connection_method(struct.unpack_from(">HH", payload))
            return
        channel = self.channels.setdefault(number, Channel(self, number))
        if kind != METHOD:
            if not channel.is_closed:
                (channel.header if kind == HEADER else channel.body)(payload)
            return
        method = struct.unpack_from(">HH", payload)
        if channel.is_closed:
            if method == spec.Channel.CloseOk:
                del self.channels[number]
            return
        if method == spec.Basic.Publish and self.broker.has_alarm:
            self.is_blocked = True
            self._data = frame + self._data
            return
        form, run = METHODS[method]
        run(channel, *loads(form, payload, 4)[0])

    def _connection_method(self, method: tuple) -> None:
        if method == spec.Connection.StartOk:
            self.send(0, spec.Connection.Tune, "BlB", (2047, FRAME_MAX, HEARTBEAT_S))
        elif method == spec.Connection.Open:
            self.send(0, spec.Connection.OpenOk, "s", ("",))
            if self.broker.has_alarm:
                self.alarm(is_on=True)
        elif method == spec.Connection.Close:
            self.send(0, spec.Connection.CloseOk)
            self.lost()
            self.wire.closed_by_broker()

    # ---- the end ------------------------------------------------------------------------------

    def lost(self) -> None:
        """The client has gone; what it had not acknowledged goes back."""
        if self.is_lost:
            return
        self.is_lost = True
        self.broker.sessions.remove(self)
        for channel in list(self.channels.values()):
            channel.gone()
        self.channels.clear()
