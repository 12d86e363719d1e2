"""What anybody may send is understood or refused, and never anything else."""

from __future__ import annotations

import gc
import sys
from random import Random
from time import monotonic

import pytest

from tests.fuzz.mutate import inputs_of, mutated
from tests.fuzz.targets import TARGETS

RUN_S = 2.0
WARM_S = 0.3
MOST_BLOCKS = 20_000
"""Objects that may stay for caches; what grew with each of the inputs would be many times more."""


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_what_once_broke_a_target_pass(target):
    inputs = inputs_of("seeds", target) + inputs_of("crashes", target)
    assert inputs, "a target has seeds"
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_two_seconds_of_changed_seeds_break_nothing_and_leave_nothing(target):
    seeds, random = inputs_of("seeds", target) + inputs_of("crashes", target), Random(target)
    rush(target, seeds, random, WARM_S)
    gc.collect()
    before = sys.getallocatedblocks()
    count = rush(target, seeds, random, RUN_S - WARM_S)
    gc.collect()
    assert count > 100
    assert sys.getallocatedblocks() - before < MOST_BLOCKS


def rush(target: str, seeds: list[bytes], random: Random, seconds: float) -> int:
    count, end_s = 0, monotonic() + seconds
    while monotonic() < end_s:
        data = mutated(random, seeds)
        try:
            TARGETS[target](data)
        except BaseException as error:
            error.add_note(f"input, for tests/fuzz/crashes/{target}: {data!r}")
            raise
        count += 1
    return count
