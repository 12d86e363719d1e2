"""What arguments of the command can be, without anything slow to import."""

from __future__ import annotations

from enum import StrEnum


class Driver(StrEnum):
    """What carries the demo's messages."""

    RABBIT = "rabbit"
    MEMORY = "memory"


class Case(StrEnum):
    """What can be investigated."""

    SLOW_POOL = "slow-pool"
    STUCK_QUEUE = "stuck-queue"
    DEAD_SERVER = "dead-server"
