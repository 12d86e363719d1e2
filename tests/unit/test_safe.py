"""Text that goes into logs and spans: one short line, nothing that steers a terminal or parser."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc._safe import LIMIT, safe


def test_plain_text_stays_as_it_is():
    assert safe("compute/reboot_instance") == "compute/reboot_instance"


def test_letters_of_all_languages_stay():
    assert safe("naïve 東京 🚀") == "naïve 東京 🚀"


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\x1b", "\0", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\ud800"],
)
def test_a_character_that_could_forge_a_line_is_escaped(character):
    text = safe(f"a{character}b")
    assert character not in text
    assert text.startswith("a\\")


def test_long_text_is_cut_and_shows_it():
    text = safe("x" * 1000)
    assert len(text) == LIMIT
    assert text.endswith("…")


def test_text_of_just_the_limit_is_not_cut():
    assert safe("x" * 10, 10) == "x" * 10


def test_other_values_are_shown_as_their_text():
    assert safe(42) == "42"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=400))
def test_whatever_comes_in_one_encodable_line_comes_out(text):
    told = safe(text)
    told.encode()
    assert not told or len(told.splitlines()) == 1
    assert not any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in told)
    assert len(told) <= LIMIT * 6
