"""Opens connections to the brokers of a URL, the next host after each failure."""

from __future__ import annotations

import os
import random
import socket
import sys
from dataclasses import replace
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

import kombu

from tracedrpc.drivers.rabbit import tls
from tracedrpc.drivers.rabbit.connection import Connection, next_id
from tracedrpc.drivers.rabbit.edge import EdgeTransport, Intake
from tracedrpc.drivers.rabbit.errors import BROKEN, ConnectFailed, Reason, connect_failed, reason_of
from tracedrpc.drivers.rabbit.lookout import Lookout
from tracedrpc.drivers.rabbit.resolver import resolve
from tracedrpc.drivers.rabbit.virtual import VirtualLink
from tracedrpc.telemetry import ConnectionInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc._deadline import Deadline
    from tracedrpc.drivers.rabbit.edge import EdgeConnection
    from tracedrpc.drivers.rabbit.link import Link
    from tracedrpc.drivers.rabbit.lookout import Address
    from tracedrpc.drivers.rabbit.outgoing import Outcome, Shipment
    from tracedrpc.options import Options
    from tracedrpc.telemetry import Telemetry
    from tracedrpc.url import TransportHost, TransportURL

_AMQP: Final = frozenset({"", "amqp", "amqps", "pyamqp", "rabbit"})


class Connector:
    """Opens connections for one transport. Thread-safe; holds no connection itself."""

    def __init__(
        self, url: TransportURL, options: Options, telemetry: Telemetry,
        settled: Callable[[Shipment, Outcome], None],
    ) -> None:
        self._options = options
        self._telemetry = telemetry
        self._settled = settled
        scheme, _, virtual = (url.transport or "").partition("+")
        self._virtual = virtual if scheme == "kombu" and virtual not in _AMQP else ""
        self._virtual_host = url.virtual_host or "/"
        self._hosts: list[TransportHost | None] = list(url.hosts) or [None]
        random.shuffle(self._hosts)
        self._turn = 0
        self._found: dict[str, Address] = {}
        self.lookout = Lookout(self._found_addresses, is_alert=not options.kombu_reconnect_splay)
        tls.check(options)

    def open(self, purpose: str, deadline: Deadline) -> Link:
        """Open a connection, trying each host once.

        Raises:
            ConnectFailed: none answered before the deadline; it is the last host's failure.
        """
        if self._virtual:
            return self._open_virtual(purpose)
        turns = self._turns()
        failure = connect_failed(Reason.TIMEOUT, self._peer(self._hosts[turns[0]]))
        for turn, following in zip(turns, [*turns[1:], turns[0]], strict=True):
            if deadline.is_expired():
                break
            try:
                return self._open(self._hosts[turn], purpose, deadline)
            except ConnectFailed as error:
                failure = error
                if self._turn == turn:  # else another thread has moved on already
                    self._turn = following
        raise failure

    def _found_addresses(self) -> list[Address]:
        """Return where the hosts are, as far as their names were looked up."""
        return list(self._found.copy().values())

    def _turns(self) -> list[int]:
        """Return the hosts' numbers in the order to try them: first where it went well or is to go on."""
        first, count = self._turn, len(self._hosts)
        others = [(first + step) % count for step in range(1, count)]
        if self._options.kombu_failover_strategy == "shuffle":
            random.shuffle(others)
        return [first, *others]

    def _peer(self, host: TransportHost | None) -> str:
        return f"{self._address(host)}:{self._port(host)}"

    def _address(self, host: TransportHost | None) -> str:
        return (host and host.hostname) or "localhost"

    def _port(self, host: TransportHost | None) -> int:
        return (host and host.port) or (5671 if self._options.ssl else 5672)

    def _open(self, host: TransportHost | None, purpose: str, deadline: Deadline) -> Connection:
        info, began_ns = ConnectionInfo(next_id(), self._peer(host), purpose), monotonic_ns()
        self._telemetry.connection_created(info)
        intake = Intake()
        limit = deadline.sooner(self._options.connect_timeout)
        try:
            info = replace(info, address=resolve(self._address(host), self._port(host), limit))
            self._found[info.peer] = info.address, self._port(host)
            amqp = self._dial(host, info.address, purpose, intake, limit).transport.establish_connection()
            connection = self._set_up(amqp, intake, info)
        except BaseException as error:
            reason = self._tell_failure(info, error, began_ns)
            if isinstance(error, (*BROKEN, ValueError)):
                raise connect_failed(reason, info.peer) from error
            raise
        self._announce(connection, began_ns)
        return connection

    def _tell_failure(self, info: ConnectionInfo, error: BaseException, began_ns: int) -> Reason:
        reason = reason_of(error, connecting=True)
        self.lookout.failed()
        self._telemetry.connect_failed(info, reason.value, monotonic_ns() - began_ns)
        return reason

    def _announce(self, link: Link, began_ns: int) -> None:
        now_ns = monotonic_ns()
        self.lookout.opened()
        link.info = replace(link.info, ready_ns=now_ns, connect_ns=now_ns - began_ns)
        self._telemetry.connection_ready(link.info)

    def _set_up(self, amqp: EdgeConnection, intake: Intake, info: ConnectionInfo) -> Connection:
        """Open the channel on a connection whose handshake is over."""
        try:
            connection = Connection(amqp, intake, info, self._telemetry, self._settled)
            if info.purpose == "send":
                connection.confirm_publishes()
        except BaseException:
            amqp.collect()
            raise
        amqp.until = None
        return connection

    def _open_virtual(self, purpose: str) -> Link:
        """Open a connection of another transport of kombu, e.g. memory."""
        began_ns = monotonic_ns()
        info = ConnectionInfo(next_id(), f"{self._virtual}:{self._virtual_host}", purpose)
        self._telemetry.connection_created(info)
        try:
            link = VirtualLink(self._dial_virtual(self._hosts[0]), info, self._settled)
        except BaseException as error:
            self._tell_failure(info, error, began_ns)
            raise
        self._announce(link, began_ns)
        return link

    def _dial_virtual(self, host: TransportHost | None) -> Any:
        return kombu.Connection(
            hostname=host and host.hostname, port=host and host.port, userid=host and host.username,
            password=host and host.password, virtual_host=self._virtual_host, transport=self._virtual,
        )

    def _dial(
        self, host: TransportHost | None, address: str, purpose: str, intake: Intake, limit: Deadline,
    ) -> Any:
        options = self._options
        heartbeat_s = options.heartbeat_timeout_threshold
        return kombu.Connection(
            hostname=address,
            port=self._port(host),
            userid=(host and host.username) or "guest",
            password=(host and host.password) or "guest",
            virtual_host=self._virtual_host,
            login_method=options.rabbit_login_method,
            ssl=tls.settings(options, self._address(host)) if options.ssl else False,
            heartbeat=heartbeat_s,
            connect_timeout=max(0.05, limit.left_s()),
            transport=EdgeTransport,
            transport_options={
                "frame_handler": intake.handler,
                "until": limit,
                "socket_settings": _socket_settings(heartbeat_s),
                "write_timeout": options.connect_timeout,
                "client_properties": {
                    "connection_name": f"{os.path.basename(sys.argv[0])}:{os.getpid()}:{purpose}",  # noqa: PTH119
                    "product": "tracedrpc",
                    "capabilities": {
                        "authentication_failure_close": True,
                        "connection.blocked": True,
                        "consumer_cancel_notify": True,
                    },
                },
            },
        )


def _socket_settings(heartbeat_s: float) -> dict[int, int]:
    """Let the kernel give up unacknowledged data after one heartbeat interval."""
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if user_timeout is None or not heartbeat_s:
        return {}
    return {user_timeout: int(heartbeat_s * 1000)}

