"""A client in a process of its own: many calls from many threads.

    python client_process.py URL TOPIC CALLS THREADS

Prints threads and sockets after the warm-up and waits for a line; then makes the calls and prints
what came of them, with threads and sockets again.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from server_process import count, say

import tracedrpc

WARM_UP = 100


def main(url, topic, calls, threads):
    with tracedrpc.get_rpc_transport(url=url) as transport, ThreadPoolExecutor(threads) as pool:
        client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=topic), timeout=30)
        barrier = threading.Barrier(threads)

        def meet(number):
            barrier.wait(20)
            return client.call({}, "meet", id=number)

        def double(number):
            try:
                return client.call({}, "double", id=number)
            except tracedrpc.MessagingException as error:
                return f"{type(error).__name__}: {error}"

        list(pool.map(meet, range(-WARM_UP, threads - WARM_UP)))
        list(pool.map(double, range(threads - WARM_UP, 0)))
        say(json.dumps(count()))
        sys.stdin.readline()
        began_s = time.monotonic()
        results = list(pool.map(double, range(calls)))
        took_s = time.monotonic() - began_s
        wrong = [(number, result) for number, result in enumerate(results) if result != 2 * number]
        say(json.dumps(count() | {"wrong": wrong[:10], "took_s": took_s}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
