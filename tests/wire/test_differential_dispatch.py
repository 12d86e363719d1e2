"""Who answers a request, and how values become primitives, ours against oslo.messaging's own code."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import tracedrpc
from tests.wire.differential import any_values
from tests.wire.differential_endpoints import EndpointSpec
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.version import is_compatible
from tracedrpc.wire.body import Properties, envelope
from tracedrpc.wire.request import decode_request

EXAMPLES = settings(max_examples=60, deadline=None)
namespaces = st.sampled_from([None, "", "admin", "old"])
versions = st.sampled_from(["1.0", "1.1", "1.10", "2.0", "2.1.3", "2.1.4", "0.9"])
methods = st.sampled_from(["ping", "boot", "_hidden", "missing"])
endpoints = st.lists(
    st.builds(
        EndpointSpec, st.integers(1, 99), st.lists(methods.filter("missing".__ne__), max_size=3).map(tuple),
        st.none() | st.fixed_dictionaries({}, optional={
            "namespace": namespaces, "version": versions,
            "legacy_namespaces": st.lists(namespaces, max_size=2),
        }),
    ),
    max_size=3,
)
messages = st.fixed_dictionaries(
    {"method": methods}, optional={"namespace": namespaces, "version": versions, "args": st.just({"x": 1})},
)


def our_answer(specs, message):
    import json

    received = decode_request(envelope(json.dumps(message)), Properties(), max_bytes=1 << 20)
    try:
        return RPCDispatcher([each.make(tracedrpc) for each in specs], None).answer(received)
    except tracedrpc.RPCDispatcherError as error:
        return type(error).__name__, str(error)


@EXAMPLES
@given(endpoints, messages)
def test_the_same_endpoint_answers_or_the_same_error_does(stock, specs, message):
    assert our_answer(specs, message) == stock.dispatch(specs, message)


numbers = st.integers(0, 12)
any_versions = st.one_of(
    st.builds("{}.{}".format, numbers, numbers), st.builds("{}.{}.{}".format, numbers, numbers, numbers),
)


@EXAMPLES
@given(any_versions, any_versions)
def test_versions_are_compatible_when_they_are_for_stock(stock, implemented, asked):
    assert is_compatible(implemented, asked) == stock.is_compatible(implemented, asked)


@EXAMPLES
@given(any_values)
def test_the_json_serializer_makes_the_same_primitives(stock, value):
    ours = tracedrpc.JsonPayloadSerializer().serialize_entity({}, value)
    assert ours == stock.to_primitive(value)
