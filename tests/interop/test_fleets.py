"""Servers of both libraries at the same queues, whichever of them declared those first."""

from __future__ import annotations

import pytest

from tests.interop.pairings import run_fleet
from tests.interop.topics import FLEET

ORDERS = [("ours", "stock"), ("stock", "ours")]
BOTH = ["ours", "stock"]


@pytest.mark.usefixtures("peers")
@pytest.mark.parametrize("order", ORDERS, ids="-before-".join)
def test_both_libraries_serve_the_same_queues(rabbit_url, order):
    met = run_fleet(*order, rabbit_url)
    everyone = [BOTH, [1, 1], BOTH]
    assert met == {kind: {variant.name: everyone for variant in FLEET} for kind in BOTH}
