"""A program that eventlet has patched: server and client on green threads; prints JSON.

    python green_program.py URL TOPIC

Run by itself it uses tracedrpc, imported after the patch; with `python -m tracedrpc.compat` it uses
oslo_messaging, and then tracedrpc was imported before the patch.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402 - eventlet wants to be first
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

if "tracedrpc.compat" in sys.modules:
    import oslo_messaging as messaging
else:
    import tracedrpc as messaging

CALLERS = 20
SLOW_S = 0.5


class Endpoint:
    def __init__(self):
        self.heard = 0

    def echo(self, ctxt, value):
        return value

    def slow(self, ctxt, seconds):
        time.sleep(seconds)
        return seconds

    def hear(self, ctxt):
        self.heard += 1

    def fail(self, ctxt):
        raise ValueError("no")


def count_system_threads():
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are counted


def timed(function, *args, **fields):
    began_s = time.monotonic()
    try:
        result = function(*args, **fields)
    except Exception as error:  # noqa: BLE001 - what it is, is told
        result = type(error).__name__
    return [result, time.monotonic() - began_s]


def main(url, topic):
    endpoint = Endpoint()
    served, asking = messaging.get_rpc_transport(None, url), messaging.get_rpc_transport(None, url)
    server = messaging.get_rpc_server(
        served, messaging.Target(topic=topic, server="one"), [endpoint], executor="eventlet",
    )
    server.start()
    client = messaging.get_rpc_client(asking, messaging.Target(topic=topic), timeout=30)
    pool = eventlet.GreenPool(CALLERS)
    told = {
        "echoes": list(pool.imap(lambda number: client.call({}, "echo", value=number), range(200))),
        "at_once": timed(lambda: list(pool.imap(
            lambda _: client.call({}, "slow", seconds=SLOW_S), range(CALLERS),
        ))),
        "monitored": timed(client.prepare(call_monitor_timeout=1).call, {}, "slow", seconds=3),
        "too_late": timed(client.prepare(timeout=1).call, {}, "slow", seconds=2),
        "failed": timed(client.call, {}, "fail"),
        "large": len(client.call({}, "echo", value="x" * 4_000_000)),
        "unroutable": timed(
            client.prepare(
                topic=f"{topic}-absent", transport_options=messaging.TransportOptions(at_least_once=True),
            ).call, {}, "echo", value=1,
        ),
        "dead_broker": dead_broker(),
    }
    for _ in range(50):
        client.cast({}, "hear")
    client.prepare(fanout=True).cast({}, "hear")
    while endpoint.heard < 51:
        time.sleep(0.01)
    eventlet.sleep(5)  # longer than the broker waits for a heartbeat
    told["after_idling"] = client.call({}, "echo", value="idle")
    told["system_threads"] = count_system_threads()
    server.stop()
    server.wait()
    served.cleanup()
    asking.cleanup()
    told["threads_left"] = [each.name for each in threading.enumerate() if each.name.startswith("tracedrpc")]
    sys.stdout.write(json.dumps(told) + "\n")


def dead_broker():
    """Call where nobody listens; only the deadline can end it."""
    transport = messaging.get_rpc_transport(None, "rabbit://guest:guest@127.0.0.1:9/")
    client = messaging.get_rpc_client(transport, messaging.Target(topic="t"), timeout=2)
    told = timed(client.call, {}, "echo", value=1)
    transport.cleanup()
    return told


if __name__ == "__main__":
    main(*sys.argv[1:3])
