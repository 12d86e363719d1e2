"""What the tests of the wire share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire.differential import Stock, stock_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stock() -> Iterator[Stock]:
    """Give oslo.messaging's own code, in a process of its own."""
    yield from stock_process()
