"""Everything tracedrpc raises: oslo.messaging's names, with fields instead of text to parse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracedrpc.target import Target


class MessagingException(Exception):
    """The root of what tracedrpc raises."""


class MessagingTimeout(MessagingException):
    """No answer in time; the fields say what had been reached by then.

    Attributes:
        method: the remote method, or None when no call was under way.
        target: where the call went.
        msg_id: the call's id, the same in the server's logs.
        reply_queue: where the reply was awaited.
        phase: the last stage known, one of `tracedrpc.message.Stage`.
        elapsed_s: seconds between the call's start and this exception.
        last_heartbeat_age_s: seconds since the server's last sign of life, None without one.
        queue_messages: messages waiting in the request queue, where the broker was asked.
        queue_consumers: consumers of the request queue, where the broker was asked.
    """

    def __init__(
        self,
        message: str = "timed out",
        *,
        method: str | None = None,
        target: Target | None = None,
        msg_id: str | None = None,
        reply_queue: str | None = None,
        phase: str | None = None,
        elapsed_s: float | None = None,
        last_heartbeat_age_s: float | None = None,
        queue_messages: int | None = None,
        queue_consumers: int | None = None,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.target = target
        self.msg_id = msg_id
        self.reply_queue = reply_queue
        self.phase = phase
        self.elapsed_s = elapsed_s
        self.last_heartbeat_age_s = last_heartbeat_age_s
        self.queue_messages = queue_messages
        self.queue_consumers = queue_consumers


class MessageDeliveryFailure(MessagingException):
    """The broker did not take the message; nothing was executed because of it."""


class MessageUndeliverable(Exception):
    """The broker had no queue for a message that was sent with `at_least_once`.

    Attributes:
        exception: the broker's answer, or None.
        exchange: the exchange published to.
        routing_key: the key that no queue is bound with.
        message: the returned message, or None.
    """

    def __init__(self, exception: Any, exchange: str, routing_key: str, message: Any) -> None:
        super().__init__(f"no queue takes exchange '{exchange}', routing key '{routing_key}'")
        self.exception = exception
        self.exchange = exchange
        self.routing_key = routing_key
        self.message = message


class InvalidTarget(MessagingException, ValueError):
    """The target lacks a field that the operation needs, or has one it must not have."""

    def __init__(self, msg: str, target: Target) -> None:
        super().__init__(f"{msg}:{target}")
        self.target = target


class InvalidTransportURL(MessagingException):
    """The URL cannot be understood; the text names the part that is wrong.

    Attributes:
        url: the URL as given, its password hidden.
    """

    def __init__(self, url: str, msg: str) -> None:
        super().__init__(msg)
        self.url = url


class InvalidOption(MessagingException, ValueError):
    """A setting is unknown or its value is out of range.

    Attributes:
        name: the option's name.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class DriverLoadFailure(MessagingException):
    """No driver of that name could be loaded.

    Attributes:
        driver: the name asked for.
        ex: the cause.
    """

    def __init__(self, driver: str, ex: BaseException | str) -> None:
        super().__init__(f'Failed to load transport driver "{driver}": {ex}')
        self.driver = driver
        self.ex = ex


class TransportDriverError(MessagingException):
    """A driver could not do what it was asked."""


class ClientSendError(MessagingException):
    """A message could not be sent because the driver failed.

    Attributes:
        target: where the message went.
        ex: the driver's error.
    """

    def __init__(self, target: Target, ex: BaseException) -> None:
        super().__init__(f'Failed to send to target "{target}": {ex}')
        self.target = target
        self.ex = ex


class RPCVersionCapError(MessagingException):
    """The version asked for is not allowed by the client's version cap.

    Attributes:
        version: the version asked for.
        version_cap: the newest version allowed.
    """

    def __init__(self, version: str | None, version_cap: str) -> None:
        super().__init__(
            f"Requested message version, {version} is incompatible.  It needs to be equal in major "
            f"version and less than or equal in minor version as the specified version cap "
            f"{version_cap}.",
        )
        self.version = version
        self.version_cap = version_cap


class RemoteError(MessagingException):
    """The remote method raised an exception of a class that is not rebuilt here.

    Attributes:
        exc_type: name of the remote class.
        value: its text.
        traceback: the remote traceback, a list of lines or a string.
    """

    def __init__(
        self,
        exc_type: str | None = None,
        value: str | None = None,
        traceback: Any = None,
    ) -> None:
        self.exc_type = exc_type
        self.value = value
        self.traceback = traceback
        super().__init__(f"Remote error: {exc_type} {value}\n{traceback}.")


class MessagingServerError(MessagingException):
    """The root of what a server raises."""


class ExecutorLoadFailure(MessagingServerError):
    """There is no executor of that name.

    Attributes:
        executor: the name asked for.
        ex: the cause.
    """

    def __init__(self, executor: str, ex: BaseException | str) -> None:
        super().__init__(f'Failed to load executor "{executor}": {ex}')
        self.executor = executor
        self.ex = ex


class ServerListenError(MessagingServerError):
    """A server could not begin to listen.

    Attributes:
        target: what it should have listened for.
        ex: the cause.
    """

    def __init__(self, target: Target, ex: BaseException) -> None:
        super().__init__(f'Failed to listen on target "{target}": {ex}')
        self.target = target
        self.ex = ex


class TaskTimeout(MessagingServerError):
    """A server's start, stop or wait took longer than the caller allowed."""


class RPCDispatcherError(MessagingServerError):
    """The root of what the dispatcher raises."""


class NoSuchMethod(RPCDispatcherError, AttributeError):
    """No endpoint has that method.

    Attributes:
        method: the method asked for.
    """

    def __init__(self, method: str) -> None:
        super().__init__(f"Endpoint does not support RPC method {method}")
        self.method = method


class UnsupportedVersion(RPCDispatcherError):
    """No endpoint speaks that version of the interface.

    Attributes:
        version: the version asked for.
        method: the method asked for, or None.
    """

    def __init__(self, version: str, method: str | None = None) -> None:
        text = f"Endpoint does not support RPC version {version}"
        super().__init__(text if method is None else f"{text}. Attempted method: {method}")
        self.version = version
        self.method = method


class ExpectedException(Exception):
    """Wraps an exception that a method declares with `expected_exceptions`.

    Attributes:
        exc_info: the triple of `sys.exc_info()`.
    """

    def __init__(self) -> None:
        import sys  # noqa: PLC0415 - used here only

        super().__init__()
        self.exc_info = sys.exc_info()


class DecodeError(MessagingException):
    """A message from the wire could not be understood; it is counted, logged and dropped.

    Attributes:
        reason: "size", "encoding", "content_type", "json", "depth", "version" or "schema".
        return_address: message id and reply queue of the call that it was, where they could be read.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.return_address: tuple[str, str] | None = None


class ReplyDecodeError(DecodeError):
    """The reply to a call came and cannot be decoded; what the server did, it has done.

    Attributes:
        reason: see `DecodeError`.
        method, target, msg_id, reply_queue, phase, elapsed_s: see `MessagingTimeout`.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        method: str | None = None,
        target: Target | None = None,
        msg_id: str | None = None,
        reply_queue: str | None = None,
        phase: str | None = None,
        elapsed_s: float | None = None,
    ) -> None:
        super().__init__(reason, message)
        self.method = method
        self.target = target
        self.msg_id = msg_id
        self.reply_queue = reply_queue
        self.phase = phase
        self.elapsed_s = elapsed_s


class EncodeError(MessagingException, ValueError):
    """An argument or a result cannot be expressed in JSON.

    Attributes:
        path: where in the value, e.g. "args.image.owner".
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
