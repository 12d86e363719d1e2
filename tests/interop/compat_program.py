"""A program that knows oslo.messaging only: it serves, calls itself and prints JSON.

    python compat_program.py URL TOPIC [--global] [argument ...]

With --global it uses oslo.config's global object, without which stock 18.3.1 cannot call anything.
"""

from __future__ import annotations

import json
import sys

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging.rpc import dispatcher


class Endpoint:
    target = messaging.Target(version="1.3")

    def add(self, ctxt, one, two):
        return [one + two, ctxt["user"]]

    @messaging.expected_exceptions(KeyError)
    def fail(self, ctxt, kind):
        raise {"key": KeyError, "value": ValueError}[kind](kind)


def outcome(call, *args, **fields):
    try:
        return call(*args, **fields)
    except Exception as error:  # noqa: BLE001 - what it is, is told
        return [type(error).__name__, isinstance(error, messaging.MessagingException)]


def main(url, topic):
    conf = cfg.CONF if "--global" in sys.argv else cfg.ConfigOpts()
    conf([])
    transport = messaging.get_rpc_transport(conf, url=url)
    server = messaging.get_rpc_server(
        transport, messaging.Target(topic=topic, server="one"), [Endpoint()],
        access_policy=dispatcher.DefaultRPCAccessPolicy,
    )
    server.start()
    client = messaging.get_rpc_client(transport, messaging.Target(topic=topic, version="1.1"), timeout=10)
    ctxt = {"user": "u"}
    told = {
        "add": client.call(ctxt, "add", one=1, two=2),
        "cast": client.cast(ctxt, "add", one=1, two=2),
        "value": outcome(client.call, ctxt, "fail", kind="value"),
        "absent": outcome(client.call, ctxt, "absent"),
        "newer": outcome(client.prepare(version="1.9").call, ctxt, "add", one=1, two=2),
        "capped": outcome(client.prepare(version_cap="1.0").call, ctxt, "add", one=1, two=2),
        "ctxt": ctxt,
    }
    server.stop()
    server.wait()
    transport.cleanup()
    run = {"argv": sys.argv[1:], "name": __name__, "of": messaging.Target.__module__}
    sys.stdout.write(json.dumps({"told": told, "run": run}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
