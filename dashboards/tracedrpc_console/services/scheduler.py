"""The example service `scheduler`: knows how full each host is, and picks one.

Run it with `python -m tracedrpc_console.services.scheduler rabbit://guest:guest@127.0.0.1:5672/`.
"""

from __future__ import annotations

import threading
from typing import Any

import tracedrpc as messaging
from tracedrpc_console.services import targets
from tracedrpc_console.services.running import run


class Scheduler:
    """The endpoint: each public method can be called remotely."""

    def __init__(self, transport: messaging.Transport) -> None:
        self._compute = messaging.get_rpc_client(transport, targets.COMPUTE, timeout=10)
        self._lock = threading.Lock()
        self._usage = dict.fromkeys(targets.HOSTS, 0)

    def place_instance(self, ctxt: dict[str, Any], name: str) -> Any:
        """Boot an instance on the emptier host; return where."""
        with self._lock:
            host = min(self._usage, key=lambda each: self._usage[each])
            self._usage[host] += 1
        return self._compute.prepare(server=host).call(ctxt, "boot_instance", name=name)

    def update_usage(self, ctxt: dict[str, Any], host: str, instances: int) -> None:  # noqa: ARG002
        """Hear from a host how many instances it has; sent as a cast."""
        with self._lock:
            self._usage[host] = instances


def make_server(transport: messaging.Transport, server: str) -> messaging.MessageHandlingServer:
    """Return the server, not yet started."""
    target = targets.SCHEDULER(server=server)
    made: messaging.MessageHandlingServer = messaging.get_rpc_server(
        transport, target, [Scheduler(transport)], executor="threading",
    )
    return made


if __name__ == "__main__":
    run("scheduler", make_server)
