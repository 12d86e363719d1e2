"""The example service `compute`: the instances of one host. The demo runs two, host-1 and host-2.

Run it with `python -m tracedrpc_console.services.compute rabbit://guest:guest@127.0.0.1:5672/ host-1`.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import tracedrpc as messaging
from tracedrpc_console.services import targets
from tracedrpc_console.services.running import run

_log: Final = logging.getLogger("demo.compute")


class InstanceNotFound(Exception):
    """There is no such instance on this host."""


class Compute:
    """The endpoint: each public method can be called remotely."""

    def __init__(self, transport: messaging.Transport, host: str) -> None:
        self._host = host
        self._instances: set[str] = set()
        self._scheduler = messaging.get_rpc_client(transport, targets.SCHEDULER, timeout=10)

    def boot_instance(self, ctxt: dict[str, Any], name: str) -> str:
        """Boot an instance, tell the scheduler, return the host."""
        time.sleep(0.008 + 0.003 * (len(self._instances) % 4))  # disks are not always alike
        self._instances.add(name)
        _log.info("%s runs on %s", name, self._host)
        self._scheduler.cast(ctxt, "update_usage", host=self._host, instances=len(self._instances))
        time.sleep(0.004)
        return self._host

    def migrate_instance(self, ctxt: dict[str, Any], name: str) -> str:  # noqa: ARG002
        """Copy an instance's memory: far longer than the caller's monitor time-out."""
        time.sleep(targets.MIGRATION_S)
        return self._host

    def snapshot_instance(self, ctxt: dict[str, Any], name: str) -> str:  # noqa: ARG002
        """Copy an instance's disk: longer than the caller waits."""
        time.sleep(targets.SNAPSHOT_S)
        return f"{name}.qcow2"

    def delete_instance(self, ctxt: dict[str, Any], name: str) -> None:  # noqa: ARG002
        """Delete an instance; raises `InstanceNotFound`, which the caller sees."""
        if name not in self._instances:
            _log.error("%s is not on %s", name, self._host)
            raise InstanceNotFound(f"{name} is not on {self._host}")
        self._instances.remove(name)

    def take_stock(self, ctxt: dict[str, Any]) -> None:  # noqa: ARG002
        """Count what is here; every host gets this fanout."""
        time.sleep(0.005)


def make_server(transport: messaging.Transport, server: str) -> messaging.MessageHandlingServer:
    """Return the server, not yet started."""
    target = targets.COMPUTE(server=server)
    made: messaging.MessageHandlingServer = messaging.get_rpc_server(
        transport, target, [Compute(transport, server)], executor="threading",
    )
    return made


if __name__ == "__main__":
    run("compute", make_server)
