"""What the tests of spans share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.context import get_current

from tests.telemetry.support import Lab
from tracedrpc_otel.scopes import scope_here

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lab() -> Lab:
    """Return a listener over a real SDK."""
    return Lab()


@pytest.fixture(autouse=True)
def _nothing_stays(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before = get_current()
    yield
    assert get_current() == before
    assert not trace.get_current_span().get_span_context().is_valid
    assert scope_here() is None
    words = ("detach", "telemetry_failed tracedrpc.where")
    assert not [record for record in caplog.records if any(word in record.getMessage() for word in words)]
