"""What the fifteen tests share: one receiver, and pairs of processes, for the whole session."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.telemetry.fifteen.stages import Pair, Pairs, Scene
from tests.telemetry.fifteen.stories import Teller
from tests.telemetry.otlp_receiver import OtlpReceiver
from tracedrpc_console import broker as brokers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracedrpc_console.broker import Broker

NEVER_MS = "1000000"
"""No phase takes that long: what is shown depends on the detail alone, on a busy machine too."""


@pytest.fixture(scope="session")
def otlp() -> Iterator[OtlpReceiver]:
    """Give the receiver that all processes export to."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def pairs(otlp: OtlpReceiver, rabbit_url: str) -> Iterator[Pairs]:
    """Give a pair of processes for each detail, one whose spans the SDK makes, and one with nothing set."""
    with Pairs(otlp, {
        "default": {},
        "standard": {"level": "DEBUG", "TRACEDRPC_TRACING": "standard", "TRACEDRPC_PHASE_MIN_MS": NEVER_MS},
        "full": {"level": "DEBUG", "TRACEDRPC_TRACING": "full"},
        "sdk": {
            "level": "DEBUG", "TRACEDRPC_TRACING": "standard", "TRACEDRPC_PHASE_MIN_MS": NEVER_MS,
            "TRACEDRPC_NATIVE": "off",
        },
    }) as started:
        yield started


@pytest.fixture(scope="session", autouse=True)
def starting(request: pytest.FixtureRequest) -> Iterator[Future[Broker] | None]:
    """Begin to start the node that some test will kill, while others run: it takes a while."""
    if not any("mortal" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    manager = brokers.broker(None)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(manager.__enter__)
        yield future
        if future.exception() is None:
            manager.__exit__(None, None, None)


@pytest.fixture(scope="session")
def mortal(broker: Broker, starting: Future[Broker] | None) -> Broker:
    """Return a RabbitMQ node of these tests' own, to be killed; `start` it when a test before may have."""
    assert starting is not None
    return starting.result()


@pytest.fixture
def pair(pairs: Pairs) -> Pair:
    """Return the pair with nothing set."""
    return pairs["default"]


@pytest.fixture
def make_scene(rabbit_url: str) -> Iterator[Callable[[Pair], Scene]]:
    """Give a function that makes scenes of a pair; they end with the test."""
    with ExitStack() as ends:
        yield lambda pair: ends.enter_context(Scene(pair, rabbit_url))


@pytest.fixture
def scene(pair: Pair, rabbit_url: str) -> Iterator[Scene]:
    """Give a scene of the pair with nothing set."""
    with Scene(pair, rabbit_url) as made:
        yield made


@pytest.fixture(scope="session")
def teller(pairs: Pairs, rabbit_url: str) -> Iterator[Teller]:
    """Give who has each scenario played once, at both details, and remembers its trace."""
    made = Teller(pairs.several("standard", "full", "sdk"), rabbit_url)
    yield made
    made.close()
