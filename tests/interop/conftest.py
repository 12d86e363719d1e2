"""Every pairing is run once a session; three at a time, because most of a run is waiting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.interop.pairings import PAIRINGS, Pairing, Run, run
from tests.interop.processes import PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE = 3
RUN_S = 110.0


@pytest.fixture(scope="session")
def peers() -> None:
    """Fail when the environment that has all kinds of peers is missing."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON} is missing: `make test-interop` makes it", pytrace=False)


@pytest.fixture(scope="session")
def outcome(rabbit_url: str, peers: None) -> Iterator[Callable[[Pairing], Run]]:
    """Give what came of a pairing."""
    pool = ThreadPoolExecutor(AT_ONCE)
    runs = {pairing: pool.submit(run, pairing, rabbit_url) for pairing in PAIRINGS}
    yield lambda pairing: runs[pairing].result(RUN_S)
    pool.shutdown(cancel_futures=True)
