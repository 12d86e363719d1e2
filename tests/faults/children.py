"""Programs that the tests start as processes of their own: `python children.py serve|fork ...`."""

from __future__ import annotations

import os
import signal
import sys
import time

import tracedrpc


class Endpoint:
    """Appends what it works on to a file; one small write each, so that lines stay whole."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)

    def work(self, ctxt, number):
        os.write(self._fd, f"{number}\n".encode())
        time.sleep(0.002)
        return number


def serve(url: str, topic: str, name: str, path: str) -> None:
    """Serve until SIGTERM, then stop in good order."""
    transport = tracedrpc.get_rpc_transport(None, url)
    target = tracedrpc.Target(topic=topic, server=name)
    server = tracedrpc.get_rpc_server(transport, target, [Endpoint(path)])
    server.start(override_pool_size=4)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    signal.sigwait({signal.SIGTERM})
    server.stop()
    server.wait()
    transport.cleanup()


def fork(url: str, topic: str, count: str) -> None:
    """Call, fork, let every child call, call again; print how many children could."""
    transport = tracedrpc.get_rpc_transport(None, url)
    client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=10)
    client.call({}, "work", number="parent-before")
    children = [_forked(client, f"child-{index}") for index in range(int(count))]
    could = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children)
    client.call({}, "work", number="parent-after")
    print(could)  # noqa: T201 - the parent reads it
    transport.cleanup()


def _forked(client, number: str) -> int:
    child = os.fork()
    if child == 0:
        try:
            is_answered = client.call({}, "work", number=number) == number
            client.cast({}, "work", number=f"{number}-cast")
        except Exception as error:  # noqa: BLE001 - told by the exit code
            print(repr(error), file=sys.stderr)  # noqa: T201
            is_answered = False
        os._exit(0 if is_answered else 1)
    return child


if __name__ == "__main__":
    {"serve": serve, "fork": fork}[sys.argv[1]](*sys.argv[2:])
