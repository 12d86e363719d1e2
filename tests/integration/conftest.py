"""What the tests against a real RabbitMQ share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.support import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def site(rabbit_url: str, topic: str, exchange: str, no_leaks: object) -> Iterator[Site]:
    """Give a place for transports, servers and clients; they end with the test, without a trace."""
    made = Site(rabbit_url, topic, exchange)
    yield made
    made.close()
