"""A program that uses both halves of oslo.messaging in one process, and prints JSON.

    python compat_notifications.py URL TOPIC
"""

from __future__ import annotations

import json
import pickle
import queue
import sys

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_messaging.notify import notifier as notifier_module


class RPCEndpoint:
    def __init__(self, notifier):
        self.notifier = notifier

    def build(self, ctxt, name):
        self.notifier.info(ctxt, "instance.built", {"name": name})
        return f"{name} is built"


class NotificationEndpoint:
    filter_rule = messaging.NotificationFilter(event_type=r"^instance\.")

    def __init__(self):
        self.seen = queue.Queue()

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self.seen.put([publisher_id, event_type, payload])
        return messaging.NotificationResult.HANDLED


def raised(kind, call, *args, **fields):
    """Tell whether a call raises what the program catches."""
    try:
        call(*args, **fields)
    except kind:
        return True
    return False


def main(url, topic):
    conf = cfg.ConfigOpts()
    conf([])
    parsed = messaging.TransportURL.parse(conf, url)
    rpc = messaging.get_rpc_transport(conf, url=parsed)
    notifications = messaging.get_notification_transport(conf, url=parsed)
    endpoint = NotificationEndpoint()
    listener = messaging.get_notification_listener(
        notifications, [messaging.Target(topic=f"{topic}-notifications")], [endpoint], executor="threading",
    )
    listener.start()
    notifier = messaging.Notifier(
        notifications, "compute.one", driver="messagingv2", topics=[f"{topic}-notifications"],
    )
    target = messaging.Target(topic=topic, server="one")
    server = messaging.get_rpc_server(rpc, target, [RPCEndpoint(notifier)])
    server.start()
    client = messaging.get_rpc_client(rpc, messaging.Target(topic=topic), timeout=10)
    told = {
        "result": client.call({}, "build", name="vm"),
        "notified": endpoint.seen.get(timeout=20),
        "is_server": isinstance(listener, messaging.MessageHandlingServer),
        "is_notification_transport": isinstance(notifications, messaging.transport.NotificationTransport),
        "driver_error": raised(
            messaging.DriverLoadFailure, messaging.get_notification_transport, conf, url="absent://",
        ),
        "executor_error": raised(
            messaging.ExecutorLoadFailure, messaging.get_notification_listener, notifications,
            [messaging.Target(topic="t")], [endpoint], executor="absent",
        ),
        "target_error": raised(
            messaging.InvalidTarget, notifications._send_notification, messaging.Target(), {}, {}, "2.0",
        ),
        "module": notifier_module.__name__,
        "same": notifier_module.Notifier is messaging.Notifier is messaging.notify.Notifier,
        "pickled": pickle.loads(pickle.dumps(messaging.Notifier)) is messaging.Notifier,  # noqa: S301 - own
        "rpc": type(rpc).__module__,
        "notifications": type(notifications).__module__,
    }
    for each in (server, listener):
        each.stop()
        each.wait()
    rpc.cleanup()
    notifications.cleanup()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
