"""The example service `api`: takes the users' wishes and hands them on.

Run it with `python -m tracedrpc_console.services.api rabbit://guest:guest@127.0.0.1:5672/`.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import tracedrpc as messaging
from tracedrpc_console.services import targets
from tracedrpc_console.services.running import run

_log: Final = logging.getLogger("demo.api")


class Api:
    """The endpoint: each public method can be called remotely."""

    def __init__(self, transport: messaging.Transport) -> None:
        self._scheduler = messaging.get_rpc_client(transport, targets.SCHEDULER, timeout=10)
        self._compute = messaging.get_rpc_client(transport, targets.COMPUTE, timeout=10)

    def boot_instance(self, ctxt: dict[str, Any], name: str) -> Any:
        """Boot an instance wherever the scheduler finds room; return where."""
        _log.info("%s is to be booted", name)
        return self._scheduler.call(ctxt, "place_instance", name=name)

    def migrate_instance(self, ctxt: dict[str, Any], name: str) -> Any:
        """Move an instance: slow, and given up only when the host shows no sign of life."""
        host = self._compute.prepare(
            server=targets.HOSTS[0], timeout=30, call_monitor_timeout=targets.MONITOR_S,
        )
        return host.call(ctxt, "migrate_instance", name=name)

    def delete_instance(self, ctxt: dict[str, Any], name: str) -> Any:
        """Delete an instance; what the host raises passes through us to the caller."""
        return self._compute.prepare(server=targets.HOSTS[1]).call(ctxt, "delete_instance", name=name)

    def evacuate_host(self, ctxt: dict[str, Any], name: str) -> Any:
        """Empty a host: a snapshot that nobody waits for to its end, a fanout, a slow move, a cast."""
        slow = self._compute.prepare(
            server=targets.HOSTS[1], timeout=targets.PATIENCE_S, call_monitor_timeout=targets.MONITOR_S,
        )
        try:
            slow.call(ctxt, "snapshot_instance", name=name)
        except messaging.MessagingTimeout:
            _log.warning("no snapshot of %s in time, going on without", name)
        self.refresh_hosts(ctxt)
        host = self.migrate_instance(ctxt, name)
        self._scheduler.cast(ctxt, "update_usage", host=host, instances=0)
        return host

    def refresh_hosts(self, ctxt: dict[str, Any]) -> None:
        """Tell every host at once to take stock; nobody waits for them."""
        self._compute.prepare(fanout=True).cast(ctxt, "take_stock")


def make_server(transport: messaging.Transport, server: str) -> messaging.MessageHandlingServer:
    """Return the server, not yet started."""
    target = targets.API(server=server)
    made: messaging.MessageHandlingServer = messaging.get_rpc_server(
        transport, target, [Api(transport)], executor="threading",
    )
    return made


if __name__ == "__main__":
    run("api", make_server)
