"""Targets: values with the fields and the text of oslo.messaging's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.target import Target

FIELDS = ("exchange", "topic", "namespace", "version", "server", "fanout")
texts = st.none() | st.text(max_size=5)
targets = st.builds(
    Target, texts, texts, texts, texts, texts, st.none() | st.booleans(),
    st.none() | st.lists(st.text(max_size=3), max_size=2),
)


def test_a_call_returns_a_copy_with_fields_replaced():
    one = Target(topic="compute", version="1.0")
    other = one(server="host-1", version=None)
    assert (other.topic, other.server, other.version) == ("compute", "host-1", None)
    assert (one.server, one.version) == (None, "1.0")


def test_a_copy_keeps_the_legacy_namespaces():
    copy = Target(namespace="new", legacy_namespaces=["old", None])(topic="t")
    assert copy.accepted_namespaces == ["new", "old", None]


def test_a_new_namespace_replaces_the_first_accepted_one():
    assert Target(namespace="a", legacy_namespaces=["b"])(namespace="c").accepted_namespaces == ["c", "b"]


def test_an_unknown_field_is_named():
    with pytest.raises(TypeError, match="no field sever"):
        Target()(sever="x")


def test_comparing_with_something_else_is_not_an_error():
    assert Target() != 1


def test_repr_shows_what_is_set():
    text = repr(Target(topic="compute", server="host-1", fanout=False))
    assert text == "<Target topic=compute, server=host-1>"


def test_a_field_that_does_not_exist_cannot_be_set():
    with pytest.raises(AttributeError):
        Target().sever = "x"


@settings(max_examples=100, deadline=None)
@given(targets, targets)
def test_equal_targets_hash_equally(one, other):
    same = all(getattr(one, name) == getattr(other, name) for name in FIELDS)
    same = same and one.accepted_namespaces == other.accepted_namespaces
    assert (one == other) == same
    assert hash(one) == hash(other) or not same


@settings(max_examples=100, deadline=None)
@given(targets)
def test_a_copy_without_changes_is_equal(target):
    assert target() == target
