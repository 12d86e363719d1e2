"""Where the example services listen, and where their time goes: what they have to agree on.

The topics begin with `demo.`, because a queue is called like its topic, and the broker of `--url`
may have a real `compute` already.
"""

from __future__ import annotations

from typing import Final

import tracedrpc as messaging

EXCHANGE: Final = "demo"
API: Final = messaging.Target(exchange=EXCHANGE, topic="demo.api")
SCHEDULER: Final = messaging.Target(exchange=EXCHANGE, topic="demo.scheduler")
COMPUTE: Final = messaging.Target(exchange=EXCHANGE, topic="demo.compute")

HOSTS: Final = ("host-1", "host-2")
"""The two servers of `compute`."""
NO_HOST: Final = "host-3"
"""A server that does not exist."""

MONITOR_S: Final = 0.8
"""Seconds without a sign of life after which the API gives a migration up."""
MIGRATION_S: Final = 2.0
"""What a migration takes: longer than that, so it lives on heartbeats."""
SNAPSHOT_S: Final = 1.6
"""What a snapshot takes: longer than its caller's time-out."""
PATIENCE_S: Final = 1.0
"""What callers wait for a snapshot."""
