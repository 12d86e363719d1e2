"""A service as oslo.service runs it, which knows oslo.messaging only.

    python service_program.py LAUNCHER URL TOPIC LOG

LAUNCHER is "service" (one process) or "process" (two workers in processes of their own). Each
execution appends its id and the worker's process id to LOG.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import os  # noqa: E402 - eventlet wants to be first
import sys  # noqa: E402
import time  # noqa: E402

import oslo_messaging as messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_service import service  # noqa: E402


class Endpoint:
    def __init__(self, log):
        self.log = log

    def work(self, ctxt, id, seconds):  # noqa: A002 - the name on the wire
        os.write(self.log, b"began %d\n" % id)
        time.sleep(seconds)
        os.write(self.log, b"%d %d\n" % (id, os.getpid()))
        return id


class Resets:
    """A service beside the server that says when oslo.service resets it."""

    def __init__(self, log):
        self.log = log

    def start(self):
        os.write(self.log, b"started %d\n" % os.getpid())

    def stop(self):
        pass

    def wait(self):
        pass

    def reset(self):
        os.write(self.log, b"reset %d\n" % os.getpid())


def main(launcher_name, url, topic, log_path):
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    service.ServiceBase.register(Resets)
    conf = cfg.ConfigOpts()
    conf([])
    transport = messaging.get_rpc_transport(conf, url=url)
    server = messaging.get_rpc_server(
        transport, messaging.Target(topic=topic, server="one"), [Endpoint(log)], executor="eventlet",
    )
    assert isinstance(server, service.ServiceBase)
    launcher = {"service": service.ServiceLauncher, "process": service.ProcessLauncher}[launcher_name](conf)
    if launcher_name == "process":
        launcher.launch_service(server, workers=2)
    else:
        launcher.launch_service(server)
        launcher.launch_service(Resets(log))
    launcher.wait()
    os.write(log, b"ended %d\n" % os.getpid())


if __name__ == "__main__":
    main(*sys.argv[1:])
