"""What the tests with faults share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Proxy
from tests.faults.support import LogFile, Site
from tracedrpc.url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracedrpc_console.broker import Broker


@pytest.fixture
def site(rabbit_url: str, topic: str, no_leaks: object) -> Iterator[Site]:
    """Give a place for clients and servers on the session's broker."""
    made = Site(rabbit_url, topic)
    yield made
    made.close()


@pytest.fixture
def own_site(private_broker: Broker, topic: str) -> Iterator[Site]:
    """Give a place for clients and servers on a broker that the test may kill."""
    made = Site(private_broker.url, topic)
    yield made
    made.close()


@pytest.fixture
def proxy(rabbit_url: str) -> Iterator[Proxy]:
    """Give a proxy before the session's broker."""
    with Proxy(TransportURL.parse(None, rabbit_url).hosts[0].port) as made:
        yield made


@pytest.fixture
def far_site(proxy: Proxy, topic: str) -> Iterator[Site]:
    """Give a place for clients and servers behind the proxy."""
    made = Site(proxy.url, topic)
    yield made
    made.close()


@pytest.fixture
def log_file(tmp_path: Path) -> LogFile:
    """Give a log that servers in other processes append to."""
    return LogFile(tmp_path / "executed")
