"""What every suite shares: one RabbitMQ a session, names of one's own, and an eye on leaks."""

from __future__ import annotations

import itertools
import os
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hypothesis
import pytest

from tracedrpc._log import limiter
from tracedrpc.clocks import CLOCKS
from tracedrpc_console import broker as brokers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

URL_VARIABLE: Final = "TRACEDRPC_TEST_URL"
SETTLE_S: Final = 3.0
MISSING: Final = pytest.StashKey[str]()

# No example has a time limit: on a busy machine one takes as long as it takes.
hypothesis.settings.register_profile(
    "tracedrpc", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tracedrpc")


# ---- the broker ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[brokers.Broker]:
    """Give the RabbitMQ of this session: the one at TRACEDRPC_TEST_URL, else a private node.

    All tests share it: use names of your own (`topic`), and `private_broker` to kill one.
    """
    with _or_skip(pytestconfig, lambda: brokers.broker(os.environ.get(URL_VARIABLE))) as running:
        yield running


@pytest.fixture(scope="session")
def rabbit_url(broker: brokers.Broker) -> str:
    """Return the transport URL of the session's RabbitMQ."""
    return broker.url


@pytest.fixture(scope="module")
def private_broker(pytestconfig: pytest.Config) -> Iterator[brokers.Broker]:
    """Give a RabbitMQ node of this module's own, to be killed, restarted and reconfigured."""
    with _or_skip(pytestconfig, lambda: brokers.broker(None)) as running:
        yield running


@contextmanager
def _or_skip(
    config: pytest.Config, make: Callable[[], AbstractContextManager[brokers.Broker]]
) -> Iterator[brokers.Broker]:
    manager = make()
    try:
        running = manager.__enter__()
    except brokers.BrokerUnavailable as error:
        config.stash[MISSING] = str(error)
        if os.environ.get("CI"):
            pytest.fail(f"CI needs a RabbitMQ: {error}", pytrace=False)
        pytest.skip(f"no RabbitMQ: {error}")
    try:
        yield running
    finally:
        manager.__exit__(None, None, None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly, once, that suites were skipped for want of a broker."""
    if MISSING in config.stash:
        text = f"NO RABBITMQ, so the tests that need one did not run. {config.stash[MISSING]}"
        terminalreporter.write_line(text, red=True, bold=True)


# ---- what a process remembers --------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh_memory() -> None:
    """Forget what earlier tests wrote to the log, and whose clocks they met."""
    limiter.forget()
    CLOCKS.forget()


# ---- names ---------------------------------------------------------------------------------------

_numbers: Final = itertools.count(1)


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """Return a topic that no other test uses, in this session or another on the same broker."""
    return f"test-{next(_numbers)}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def exchange(topic: str) -> str:
    """Return a control exchange that no other test uses."""
    return f"exchange-{topic}"


# ---- leaks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resources:
    """What this process holds at one instant: tracedrpc's threads by name, and its sockets."""

    threads: tuple[str, ...]
    sockets: int

    @classmethod
    def now(cls) -> Resources:
        """Count."""
        names = (thread.name for thread in threading.enumerate())
        mine = tuple(sorted(name for name in names if name.startswith("tracedrpc-")))
        return cls(mine, sum(_is_socket(entry) for entry in Path("/proc/self/fd").iterdir()))

    def exceeds(self, before: Resources) -> bool:
        """Return whether there is more of anything than before."""
        return len(self.threads) > len(before.threads) or self.sockets > before.sockets


def _is_socket(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith("socket:")
    except OSError:  # closed meanwhile
        return False


@pytest.fixture
def resources() -> Callable[[], Resources]:
    """Return a function that counts threads and sockets; compare two of its results."""
    return Resources.now


@pytest.fixture
def no_leaks() -> Iterator[Resources]:
    """Fail the test when, soon after it, there are more threads or sockets than before it.

    `@pytest.mark.usefixtures("no_leaks")` puts it first, so that what later fixtures own is gone.
    """
    before = Resources.now()
    yield before
    give_up = time.monotonic() + SETTLE_S
    while (after := Resources.now()).exceeds(before) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not after.exceeds(before), f"left behind: {before} -> {after}"
