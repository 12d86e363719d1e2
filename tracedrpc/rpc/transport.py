"""The handle that clients and servers are made from: settings, telemetry and a driver."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from tracedrpc import _guard
from tracedrpc.exceptions import DriverLoadFailure, MessagingException
from tracedrpc.options import Options, load, set_default_control_exchange
from tracedrpc.telemetry import Telemetry
from tracedrpc.url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracedrpc.driver import Driver

DRIVERS: Final = "tracedrpc.drivers"
"""The entry-point group of drivers."""

T = TypeVar("T", bound="Transport")


class TransportOptions:
    """How a message is to be carried.

    Args:
        at_least_once: raise `MessageUndeliverable` at once when no queue takes the message.
    """

    __slots__ = ("_at_least_once",)

    def __init__(self, at_least_once: bool = False) -> None:
        self._at_least_once = at_least_once

    @property
    def at_least_once(self) -> bool:
        """Whether a message that no queue takes is an error at once."""
        return self._at_least_once

    def __repr__(self) -> str:
        return f"TransportOptions(at_least_once={self._at_least_once})"


class Transport:
    """What clients and servers of one process share. Thread-safe; connects when first used.

    Leave a `with` block, or call `cleanup`, to close its connections.

    Attributes:
        conf: what it was made from: the caller's configuration, or else `options`.
        options: every setting, checked.
        telemetry: who is told what happens.
    """

    conf: Any
    options: Options
    telemetry: Telemetry

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.options = self.conf = Options()
        self.telemetry = Telemetry()

    @property
    def driver(self) -> Driver:
        """What carries the messages."""
        return self._driver

    def cleanup(self) -> None:
        """Close everything; calls under way fail."""
        self._driver.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cleanup()


class RPCTransport(Transport):
    """A transport for RPC."""


def get_rpc_transport(
    conf: Any = None,
    url: str | TransportURL | None = None,
    allowed_remote_exmods: Sequence[str] | None = None,
    transport_cls: type[Transport] = RPCTransport,
    *,
    telemetry: Telemetry | None = None,
) -> Any:
    """Return a transport; nothing connects before it is used.

    Args:
        conf: None, an `Options`, or an oslo.config `ConfigOpts`.
        url: "rabbit://user:password@host:5672/vhost?option=value"; None takes it from the settings.
        allowed_remote_exmods: modules whose exceptions are raised here as what they were there.
        transport_cls: what to return an instance of.
        telemetry: None means the installed one.

    Raises:
        InvalidTransportURL: the URL cannot be understood.
        InvalidOption: a setting is unknown or out of range.
        DriverLoadFailure: there is no driver for the URL's scheme.
    """
    base = load(conf, {})
    if not isinstance(url, TransportURL):
        url = TransportURL.parse(base if conf is None else conf, url)
    options = load(conf, url.query) if url.query else base
    exmods = list(allowed_remote_exmods or ())
    _import_now(exmods)
    told = _guard.guarded(telemetry or _guard.installed())
    driver = _load_driver(
        str(url.transport).partition("+")[0], url, options, told,
        allowed_remote_exmods=exmods, default_exchange=options.control_exchange,
    )
    return bind(transport_cls(driver), conf, options, told)


def _import_now(modules: list[str]) -> None:
    """Import what remote exceptions may be rebuilt from, so that nothing is imported on receipt.

    A module that is not here is no error: the same list often serves several programs. Those of
    oslo.messaging stand for our own exceptions, and need not be here.
    """
    for name in modules:
        if name.partition(".")[0] == "oslo_messaging":
            continue
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def bind(transport: T, conf: Any, options: Options, telemetry: Telemetry) -> T:
    """Give a new transport what it was made from, and return it.

    It is not the constructor's business, because `transport_cls` may be an application's class
    with oslo.messaging's constructor: the driver and nothing else.
    """
    transport.conf = options if conf is None else conf
    transport.options = options
    transport.telemetry = telemetry
    telemetry.transport_opened(conf)
    return transport


def get_transport(
    conf: Any,
    url: str | TransportURL | None = None,
    allowed_remote_exmods: Sequence[str] | None = None,
) -> Any:
    """Return an RPC transport, under the function's old name. Use `get_rpc_transport`."""
    warnings.warn("get_transport is deprecated: use get_rpc_transport", DeprecationWarning, stacklevel=2)
    return get_rpc_transport(conf, url, allowed_remote_exmods)


def set_transport_defaults(control_exchange: str) -> None:
    """Choose the exchange of transports made from now on whose settings do not name one."""
    set_default_control_exchange(control_exchange)


def _load_driver(name: str, *args: Any, **fields: Any) -> Any:
    """Return a driver by the name of its entry point, made with these arguments.

    Raises:
        DriverLoadFailure: there is none, or it cannot be imported; the text names those there are.
        MessagingException: what the driver does not like about its arguments.
    """
    from stevedore import driver  # noqa: PLC0415 - only who makes a transport pays for it

    try:
        return driver.DriverManager(
            DRIVERS, name, invoke_on_load=True, invoke_args=args, invoke_kwds=fields,
        ).driver
    except MessagingException:
        raise
    except Exception as error:
        raise DriverLoadFailure(name, f"{error}; there are {_driver_names()}") from error


def _driver_names() -> str:
    from importlib.metadata import entry_points  # noqa: PLC0415 - on this error only

    names = sorted({entry.name for entry in entry_points(group=DRIVERS)})
    return ", ".join(names) or "none: is the distribution 'tracedrpc' installed?"
