"""A server in a process of its own; it obeys lines on its standard input.

    python server_process.py URL TOPIC LOG

Each execution's id goes into LOG. "count" prints threads and sockets, "quit" ends it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import tracedrpc

WORKERS = 16


class Endpoint:
    def __init__(self, log):
        self.log = log
        """A file descriptor: one write for each execution, so that threads cannot mix them up."""
        self.barrier = threading.Barrier(WORKERS)

    def meet(self, ctxt, id):  # noqa: A002 - the name on the wire
        os.write(self.log, b"%d\n" % id)
        self.barrier.wait(20)
        return id

    def double(self, ctxt, id):  # noqa: A002 - the name on the wire
        os.write(self.log, b"%d\n" % id)
        return 2 * id


def count():
    entries = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return {
        "threads": threading.active_count(),
        "sockets": sum(entry.startswith("socket:") for entry in entries),
    }


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url, topic, log_path):
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with tracedrpc.get_rpc_transport(url=url) as transport:
        target = tracedrpc.Target(topic=topic, server="one")
        server = tracedrpc.get_rpc_server(transport, target, [Endpoint(log)])
        server.start(override_pool_size=WORKERS)
        say("ready")
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            say(json.dumps(count()))
        server.stop()
        server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
