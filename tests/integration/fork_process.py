"""Connects, forks, and lets parent and children call: `python fork_process.py URL TOPIC`."""

from __future__ import annotations

import os
import sys
import threading
import traceback

import tracedrpc

CHILDREN = 3


def child(client, transport, parents_queue, number):
    before = threading.active_count()
    assert before == 1, f"a child begins with {before} threads"
    for turn in range(5):
        assert client.call({}, "echo", value=[number, turn]) == [number, turn]
    client.cast({}, "note", value=number)
    assert transport.driver._replies.name != parents_queue
    transport.cleanup()


def main(url, topic):
    transport = tracedrpc.get_rpc_transport(url=url)
    client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=10)
    assert client.call({}, "echo", value=0) == 0
    parents_queue = transport.driver._replies.name
    pids = []
    for number in range(CHILDREN):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                child(client, transport, parents_queue, number)
                status = 0
            except BaseException:  # noqa: BLE001 - a child must not go on in the parent's code
                traceback.print_exc()
            finally:
                os._exit(status)
        pids.append(pid)
        assert client.call({}, "echo", value=number) == number
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert client.call({}, "echo", value=99) == 99
    assert transport.driver._replies.name == parents_queue
    transport.cleanup()
    assert statuses == [0] * CHILDREN, statuses


if __name__ == "__main__":
    main(*sys.argv[1:])
