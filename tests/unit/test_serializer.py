"""Serializers: from what applications pass around to primitives."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import uuid
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.serializer import JsonPayloadSerializer, NoOpSerializer, Serializer

CONTEXT = {"user": "u"}


class Money:
    def __init__(self, amount):
        self.amount = amount


def to_primitive(value):
    return JsonPayloadSerializer().serialize_entity(CONTEXT, value)


def nested(levels):
    return Money(nested(levels - 1)) if levels else Money(1)


def test_a_serializer_must_say_all_four_things():
    with pytest.raises(TypeError):
        Serializer()


@pytest.mark.parametrize("name", ["serialize_entity", "deserialize_entity"])
def test_the_no_op_serializer_passes_entities_on(name):
    value = object()
    assert getattr(NoOpSerializer(), name)(CONTEXT, value) is value


@pytest.mark.parametrize("name", ["serialize_context", "deserialize_context"])
@pytest.mark.parametrize("serializer", [NoOpSerializer(), JsonPayloadSerializer()])
def test_contexts_are_passed_on(serializer, name):
    assert getattr(serializer, name)(CONTEXT) is CONTEXT


def test_an_entity_may_be_serialized_without_an_instance():
    assert JsonPayloadSerializer.serialize_entity(CONTEXT, (1,)) == [1]


@pytest.mark.parametrize(
    ("value", "primitive"),
    [
        (Money(3), {"amount": 3}),
        (dt.datetime(2020, 1, 2, 3, 4, 5, 6, dt.UTC), "2020-01-02T03:04:05.000006"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"abc", "abc"),
        ({"k": (1, {2})}, {"k": [1, [2]]}),
        ({uuid.UUID(int=1): 1}, {"00000000-0000-0000-0000-000000000001": 1}),
        (ValueError("no"), "ValueError('no')"),
        (len, "<built-in function len>"),
        (SimpleNamespace(items=lambda: [("a", 1)]), {"a": 1}),
        (itertools.count(), "count(0)"),
    ],
)
def test_a_value_becomes_what_oslo_messaging_makes_of_it(value, primitive):
    assert to_primitive(value) == primitive


def test_the_fourth_object_inside_objects_becomes_none():
    assert to_primitive(nested(4)) == {"amount": {"amount": {"amount": None}}}


def test_an_object_without_attributes_is_refused():
    with pytest.raises(ValueError, match="object"):
        to_primitive(object())


def test_the_entity_itself_is_not_changed():
    money = Money([1, {2: 3}])
    to_primitive(money)
    assert money.amount == [1, {2: 3}]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.dates() | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    | st.tuples(inner) | st.builds(Money, inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(values)
def test_whatever_is_serialized_json_can_hold(value):
    primitive = to_primitive(value)
    assert json.loads(json.dumps(primitive)) == primitive
