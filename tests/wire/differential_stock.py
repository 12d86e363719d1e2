"""oslo.messaging's own code in a process of its own, asked over a pipe.

    python -W ignore -m tests.wire.differential_stock FD

Importing it warns, loads eventlet and registers options on the global configuration: no test of ours
should run beside that. All of it is stock but for the connection: what would be published is kept as
the bytes that kombu makes of it.
"""

from __future__ import annotations

import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any, Self

import kombu
import oslo_messaging
from kombu.message import Message
from oslo_config import cfg
from oslo_messaging import _utils
from oslo_messaging._drivers import amqpdriver, common, impl_rabbit
from oslo_messaging.rpc import dispatcher
from oslo_messaging.transport import RPCTransport

from tests.wire import differential_errors as errors

SOON_S = 10.0


class Sent(Exception):
    """Ends a call when its message has been taken."""


class Wire:
    """Stands where the driver has a connection to the broker."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        self.compression: str | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def topic_send(self, exchange_name: str, topic: str, msg: Any, **more: Any) -> None:
        self._keep(msg, exchange=exchange_name, key=topic, timeout=more["timeout"])
        raise Sent

    def fanout_send(self, topic: str, msg: Any, **_more: Any) -> None:
        self._keep(msg, exchange=f"{topic}_fanout", key="", timeout=None)
        raise Sent

    def direct_send(self, queue: str, msg: Any) -> None:
        self._keep(msg, exchange="", key=queue, timeout=None)

    def _keep(self, msg: Any, **where: Any) -> None:
        headers: dict[str, Any] = {}
        body, kind, encoding = kombu.Producer(None)._prepare(
            msg, compression=self.compression, headers=headers,
        )
        body = body if isinstance(body, bytes) else body.encode()
        self.sent = where | {"body": body, "content": (kind, encoding, headers)}

    def declare_direct_consumer(self, _queue: str, _waiter: Any) -> None:
        """Do nothing: messages are brought by hand."""

    def consume(self, timeout: float | None = None) -> None:
        """Rest until it is over: the thread of the reply waiter has nothing to do here."""
        self._stopped.wait(SOON_S * 60 if timeout is None else SOON_S)
        raise common.Timeout

    def stop_consuming(self) -> None:
        self._stopped.set()


class Driver(amqpdriver.AMQPDriverBase):
    """Stock's driver without a broker."""

    def __init__(self, conf: Any) -> None:
        super().__init__(conf, None, None, "openstack", [])
        self.wire = Wire()

    def _get_connection(self, purpose: str = "", retry: Any = None) -> Wire:
        del purpose, retry
        return self.wire


cfg.CONF([], project="differential")
DRIVER = Driver(cfg.CONF)
TRANSPORT = RPCTransport(DRIVER)
LISTENER = amqpdriver.RpcAMQPListener(DRIVER, DRIVER.wire)


# ---- what is asked ----------------------------------------------------------------------------


def request(
    way: str, target: dict[str, Any], ctxt: Any, method: str, args: dict[str, Any],
    compression: str | None = None, **settings: Any,
) -> dict[str, Any]:
    """Send a request with the client and return what goes to the broker."""
    client = oslo_messaging.get_rpc_client(TRANSPORT, oslo_messaging.Target(**target), **settings)
    DRIVER.wire.compression = compression
    try:
        getattr(client, way)(ctxt, method, **args)
    except Sent:
        return DRIVER.wire.sent
    raise AssertionError


def _message(body: bytes, content: tuple[Any, Any, dict[str, Any]]) -> impl_rabbit.RabbitMessage:
    kind, encoding, headers = content
    raw = Message(body, content_type=kind, content_encoding=encoding, headers=headers)
    raw.ack = lambda: None
    return impl_rabbit.RabbitMessage(raw)


def receive(body: bytes, content: tuple[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Take a request in as the server's listener does."""
    LISTENER(_message(body, content))
    incoming = LISTENER.incoming.pop()
    return {
        "ctxt": incoming.ctxt, "message": dict(incoming.message), "msg_id": incoming.orig_msg_id,
        "reply_q": incoming.reply_q, "unique_id": incoming.unique_id, "timeout": incoming.client_timeout,
    }


def _incoming(msg_id: str) -> amqpdriver.AMQPIncomingMessage:
    LISTENER(impl_rabbit.RabbitMessage(_Raw({"method": "m", "_msg_id": msg_id, "_reply_q": "reply_1"})))
    DRIVER.wire.compression = None
    return LISTENER.incoming.pop()


class _Raw:
    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload

    def ack(self) -> None:
        pass


def reply(msg_id: str, result: Any) -> dict[str, Any]:
    """Return what a server sends as a result."""
    DRIVER.wire.sent = {}
    _incoming(msg_id).reply(result)
    return DRIVER.wire.sent


def fail(msg_id: str, spec: errors.Spec) -> dict[str, Any]:
    """Return what a server sends about an exception."""
    _incoming(msg_id).reply(failure=_exc_info(_raised(spec)))
    return DRIVER.wire.sent


def heartbeat(msg_id: str) -> dict[str, Any]:
    """Return what a server sends while a call runs."""
    _incoming(msg_id).heartbeat()
    return DRIVER.wire.sent


def wait(
    msg_id: str, messages: list[tuple[bytes, Any]], allowed: list[str], monitor_s: float | None,
) -> dict[str, Any]:
    """Return what a caller gets out of these messages."""
    wire = Wire()
    waiter = amqpdriver.ReplyWaiter("reply_1", wire, allowed)
    try:
        waiter.listen(msg_id)
        for body, content in messages:
            waiter(_message(body, content))
        result = waiter.wait(msg_id, SOON_S, monitor_s, "reply_1")
        return {"raised": errors.described(result)} if isinstance(result, Exception) else {"result": result}
    finally:
        waiter.stop()


def _raised(spec: errors.Spec) -> BaseException:
    return errors.caught(errors.find(spec, oslo_messaging), spec)


def _exc_info(error: BaseException) -> tuple[Any, Any, Any]:
    return type(error), error, error.__traceback__


def serialize(spec: errors.Spec) -> str:
    """Return what a failure reply tells of an exception."""
    return str(common.serialize_remote_exception(_exc_info(_raised(spec))))


def rebuild(text: str, allowed: list[str]) -> dict[str, Any]:
    """Return what the caller gets of it."""
    return errors.described(common.deserialize_remote_exception(text, allowed))


def relay(text: str, allowed: list[str]) -> str:
    """Return what a server tells that got this failure from another one and lets it pass."""
    error = common.deserialize_remote_exception(text, allowed)
    return str(common.serialize_remote_exception((type(error), error, None)))


def to_primitive(value: Any) -> Any:
    """Return what the JSON serializer makes of a value."""
    return oslo_messaging.JsonPayloadSerializer().serialize_entity({}, value)


def is_compatible(implemented: str, asked: str) -> bool:
    """Tell whether one version serves a request for another."""
    return bool(_utils.version_is_compatible(implemented, asked))


def dispatch(endpoints: list[Any], message: dict[str, Any]) -> Any:
    """Return what the endpoints answer."""
    made = [each.make(oslo_messaging) for each in endpoints]
    incoming = _incoming("1" * 32)
    incoming.message = message
    try:
        return dispatcher.RPCDispatcher(made, None).dispatch(incoming)
    except oslo_messaging.RPCDispatcherError as error:
        return type(error).__name__, str(error)


# ---- the pipe ---------------------------------------------------------------------------------


def main(pipe: Connection) -> None:
    """Answer until the other end is closed."""
    pipe.send("ready")
    while True:
        try:
            name, args, kwargs = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((globals()[name](*args, **kwargs), None))
        except Exception:  # noqa: BLE001 - told to who asked
            pipe.send((None, traceback.format_exc()))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
