"""Whatever a client does, it comes out the same, whoever of the four kinds asks and serves."""

from __future__ import annotations

import pytest

from tests.interop.expected import OUTCOMES
from tests.interop.pairings import PAIRINGS


@pytest.mark.parametrize("pairing", PAIRINGS, ids=str)
def test_every_operation_comes_out_the_same(outcome, pairing):
    assert outcome(pairing).results == OUTCOMES
