"""Exceptions on the wire, ours against oslo.messaging's own code: told and rebuilt the same."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

import tracedrpc
from tests.wire import differential_errors as errors
from tests.wire.differential import any_values, json_values, properties, texts
from tests.wire.differential_errors import HERE, Spec
from tracedrpc.wire.failure import rebuild_failure, serialize_failure
from tracedrpc.wire.reply import decode_reply, encode_failure

EXAMPLES = settings(max_examples=60, deadline=None)
MSG_ID = "1" * 32
LIBRARY = ("oslo_messaging.rpc.dispatcher", "oslo_messaging.exceptions", "oslo_messaging.rpc.client")


def raised(spec):
    return errors.caught(errors.find(spec, tracedrpc), spec)


def told(spec):
    return json.loads(serialize_failure(raised(spec)))


def rebuilt(text, allowed):
    """Describe what our caller gets, in the names of stock; fields that only ours have must be empty."""
    found = errors.described(rebuild_failure(text, allowed))
    if found["module"] == "tracedrpc.exceptions":
        found["module"] = "oslo_messaging.rpc.client"
    if found["name"] == "MessagingTimeout_Remote":
        assert set(found["attributes"].values()) == {None}
        found["attributes"] = {}
    return found


exception_values = st.builds(LookupError, texts) | st.sampled_from([ValueError, len])
"""Which both libraries tell as text when an exception has them as arguments."""

specs = st.one_of(
    st.builds(
        Spec, st.sampled_from(["ValueError", "KeyError", "LookupError", "RuntimeError", "Plain", "Spoken"]),
        st.lists(any_values | exception_values, max_size=3).map(tuple), st.just({}), st.integers(0, 3),
        st.booleans(),
    ),
    st.builds(Spec, st.just("OSError"), st.tuples(st.sampled_from([2, 13, 999]), texts)),
    st.builds(
        Spec, st.just("NoDisk"), st.tuples(any_values),
        st.dictionaries(st.sampled_from(["unit", "disk"]), any_values),
    ),
    st.builds(
        Spec, st.just("NotFound"), st.tuples() | st.tuples(texts),
        st.dictionaries(st.sampled_from(["name", "id"]), texts),
    ),
    st.builds(Spec, st.just("Positional"), st.tuples(texts, texts)),
    st.builds(Spec, st.sampled_from(["ZeroDivisionError", "NotImplementedError"])),
)
library_specs = st.one_of(
    st.builds(Spec, st.just("NoSuchMethod"), st.tuples(texts)),
    st.builds(Spec, st.just("UnsupportedVersion"), st.tuples(texts), st.just({"method": "m"})),
    st.builds(Spec, st.sampled_from(["MessagingTimeout", "MessageDeliveryFailure"]), st.tuples(texts)),
    st.builds(Spec, st.just("RemoteError"), st.tuples(texts, texts, st.lists(texts, max_size=2))),
    st.builds(Spec, st.just("RPCVersionCapError"), st.tuples(texts, texts)),
)
allowances = st.sampled_from([[], [HERE], ["somewhere.else"], [HERE, *LIBRARY]])


@EXAMPLES
@given(specs)
def test_an_exception_is_told_as_stock_tells_it(stock, spec):
    assert told(spec) == json.loads(stock.serialize(spec))


@EXAMPLES
@given(library_specs)
def test_an_exception_of_the_library_is_told_as_stock_tells_its_own(stock, spec):
    theirs, ours = json.loads(stock.serialize(spec)), told(spec)
    del theirs["tb"], ours["tb"]  # the class is called by its module there
    assert ours == theirs


@EXAMPLES
@given(specs | library_specs, allowances)
def test_what_stock_tells_is_rebuilt_as_stock_rebuilds_it(stock, spec, allowed):
    text = stock.serialize(spec)
    assert rebuilt(text, allowed) == stock.rebuild(text, allowed)


@EXAMPLES
@given(specs | library_specs, allowances)
def test_what_we_tell_is_rebuilt_the_same_by_both(stock, spec, allowed):
    text = serialize_failure(raised(spec))
    assert rebuilt(text, allowed) == stock.rebuild(text, allowed)


@EXAMPLES
@given(specs, st.sampled_from([[], [HERE]]))
def test_an_exception_that_passes_through_a_server_is_told_again_as_stock_tells_it(stock, spec, allowed):
    text = stock.serialize(spec)
    ours, theirs = json.loads(serialize_failure(rebuild_failure(text, allowed))), stock.relay(text, allowed)
    theirs = json.loads(theirs)
    del theirs["tb"], ours["tb"]  # its new frames are those of the library
    assert ours == theirs


names = st.sampled_from([
    "ValueError", "Plain", "NoDisk", "NotFound", "Positional", "NoSuchMethod", "HERE", "Missing", "raise_it",
    "SystemExit",
])
modules = st.sampled_from(["builtins", "exceptions", HERE, "oslo_messaging.rpc.dispatcher", "os"])
failures = st.fixed_dictionaries(
    {"class": names, "module": modules, "message": texts, "tb": st.lists(texts, max_size=2)},
    optional={
        "args": st.lists(json_values, max_size=2),
        "kwargs": st.dictionaries(st.sampled_from(["unit", "x"]), json_values, max_size=2),
    },
)


@EXAMPLES
@given(failures, allowances)
def test_any_failure_is_rebuilt_as_stock_rebuilds_it(stock, failure, allowed):
    text = json.dumps(failure)
    assert rebuilt(text, allowed) == stock.rebuild(text, allowed)


@EXAMPLES
@given(specs)
def test_a_failure_reply_crosses_both_ways(stock, spec):
    sent = stock.fail(MSG_ID, spec)
    reply = decode_reply(sent["body"], properties(sent["content"]), 1 << 20)
    assert (reply.result, reply.ending) == (None, True)
    text = serialize_failure(raised(spec))
    assert json.loads(reply.failure) == json.loads(text)
    back = stock.wait(MSG_ID, [(encode_failure(MSG_ID, "u", text), sent["content"])], [HERE], None)
    assert back == {"raised": rebuilt(text, [HERE])}
