"""JSON and its envelope: what is sent, what is accepted, and that nothing else gets in."""

from __future__ import annotations

import bz2
import collections
import datetime as dt
import decimal
import io
import ipaddress
import itertools
import json
import lzma
import uuid
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.exceptions import DecodeError, EncodeError
from tracedrpc.wire.body import (
    BZ2,
    COMPRESSIONS,
    GZIP,
    LZMA,
    Properties,
    compress,
    encode,
    envelope,
    is_deeper,
    open_envelope,
)

MOST = 1 << 20
PLAIN = Properties()
PACKERS = [(GZIP, zlib.compress), (BZ2, bz2.compress), (LZMA, lzma.compress)]


def opened(body, properties=PLAIN, most=MOST):
    return open_envelope(body, properties, most)


def refused(body, properties=PLAIN, most=MOST):
    with pytest.raises(DecodeError) as caught:
        opened(body, properties, most)
    return caught.value.reason


def compressed(kind):
    return Properties(headers={"compression": kind})


# ---- encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (dt.datetime(2020, 1, 2, 3, 4, 5, 6, dt.UTC), '"2020-01-02T03:04:05.000006"'),
        (dt.date(2020, 1, 2), '"2020-01-02"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.50"), '"1.50"'),
        (ipaddress.ip_address("10.0.0.1"), '"10.0.0.1"'),
        (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
        (b"abc", '"abc"'),
        ({1}, "[1]"),
        (frozenset({"a"}), '["a"]'),
        ((1, 2), "[1, 2]"),
        (range(2), "[0, 1]"),
        ((each for each in "ab"), '["a", "b"]'),
        ({1: 2, None: 3}, '{"1": 2, "null": 3}'),
        (collections.UserDict(a=1), '{"a": 1}'),
        ({"k": 1}.values(), "[1]"),
        (float("nan"), "NaN"),
        ("\ud800é", '"\\ud800\\u00e9"'),
    ],
)
def test_a_value_is_written_as_oslo_messaging_writes_it(value, told):
    assert encode(value, "result") == told


class Image:
    """Something JSON knows nothing of."""


def cyclic():
    value = {"images": []}
    value["images"].append(value)
    return value


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


class Hostile:
    def __iter__(self):
        raise RuntimeError("secret text")


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (Image(), "args", "it is a Image"),
        ({"image": {"owner": Image()}}, "args.image.owner", "no form"),
        ({"images": [1, (2, Image())]}, "args.images[1][1]", "no form"),
        ({"set": {1}, "file": io.BytesIO()}, "args.file", "BytesIO"),
        ({"data": b"\xff"}, "args.data", "not UTF-8"),
        ({"ids": {(1, 2): 3}}, "args.ids", "a key is a tuple"),
        ({"n": itertools.count()}, "args.n", "count"),
        ({"cls": dict}, "args.cls", "type"),
        ({"call": len}, "args.call", "builtin_function"),
        ({"error": ValueError("x")}, "args.error", "ValueError"),
        ({"it": Hostile()}, "args.it", "raised RuntimeError"),
        (cyclic(), "args.images[0]", "contains itself"),
    ],
)
def test_an_error_names_the_place_that_json_cannot_hold(value, path, reason):
    with pytest.raises(EncodeError, match=reason) as caught:
        encode(value, "args")
    assert caught.value.path == path
    assert "secret" not in str(caught.value)


def test_too_deep_a_value_is_refused_before_it_is_sent():
    with pytest.raises(EncodeError, match="deeper than 100"):
        encode(deep(100_000), "result")


def test_the_envelope_is_version_2_0_around_a_json_string():
    body = envelope('{"method": "é\\""}')
    assert json.loads(body) == {"oslo.version": "2.0", "oslo.message": '{"method": "é\\""}'}


# ---- accepting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [bytes, memoryview, bytes.decode])
def test_a_body_may_come_as_bytes_memoryview_or_text(form):
    assert opened(form(envelope('{"a": 1}'))) == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        b'{"oslo.message": "{\\"a\\": 1}", "oslo.version": "2.0"}',
        b'{"oslo.version":"2.0","oslo.message":"{\\"a\\":1}"}',
        b'{"oslo.version": "2.0", "oslo.message": "{\\"a\\": 1}", "more": 1}',
        b' {"oslo.version": "2.0.0", "oslo.message": "{\\"a\\": 1}"}\n',
        b'{"oslo.version": "2.0", "oslo.message": "junk", "oslo.message": "{\\"a\\": 1}"}',
    ],
)
def test_an_envelope_may_be_written_in_other_ways(body):
    assert opened(body) == {"a": 1}


@pytest.mark.parametrize("body", [b'{"a": 1}', b'{"a": 1, "a": 1}'])
def test_a_body_without_envelope_is_the_message_itself(body):
    assert opened(body) == {"a": 1}


def test_half_an_envelope_is_a_message_itself():
    assert opened(b'{"oslo.version": "9.9"}') == {"oslo.version": "9.9"}


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [(None, None), ("application/json", "UTF-8"), ("application/json; charset=utf-8", ""), ("", "ascii")],
)
def test_content_type_and_encoding_may_be_missing_or_said_differently(kind, encoding):
    assert opened(b"{}", Properties(kind, encoding)) == {}


@pytest.mark.parametrize(("kind", "pack"), PACKERS)
def test_compressed_bodies_are_accepted(kind, pack):
    assert opened(pack(envelope('{"a": 1}')), compressed(kind)) == {"a": 1}


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_what_we_compress_under_any_name_is_accepted(name):
    body, header = compress(envelope('{"a": 1}'), name)
    assert opened(body, compressed(header)) == {"a": 1}


def test_depth_of_just_the_limit_is_accepted():
    text = '{"a":' + "[" * 99 + "]" * 99 + "}"
    assert opened(text)["a"]


def test_brackets_inside_strings_do_not_count():
    message = {"text": "[{" * 500 + '\\"' + "[" * 500}
    assert opened(json.dumps(message)) == message


def test_wide_messages_are_accepted():
    message = {"rows": [{"id": number} for number in range(5000)]}
    assert opened(envelope(json.dumps(message))) == message


# ---- refusing ------------------------------------------------------------------------------------

POISON = {
    "nothing": (b"", "json"),
    "a blank": (b" ", "json"),
    "truncated": (envelope('{"a": 1}')[:-3], "json"),
    "truncated inside": (envelope('{"a": '), "json"),
    "text after": (b'{"a": 1} x', "json"),
    "text after the envelope": (envelope('{"a": 1}') + b"x", "json"),
    "single quotes": (b"{'a': 1}", "json"),
    "a control character": (b'{"a": "\n"}', "json"),
    "a bad escape": (b'{"a": "\\x"}', "json"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "json"),
    "a huge integer": (b'{"a": ' + b"9" * 5000 + b"}", "json"),
    "undefined": (b'{"a": undefined}', "json"),
    "pickle": (b"\x80\x04N.", "encoding"),
    "latin-1": (b'{"a": "\xe9"}', "encoding"),
    "utf-16": ('{"a": 1}'.encode("utf-16"), "encoding"),
    "half a character": (b'{"a": "\xc3"}', "encoding"),
    "encoded surrogates": (b'{"a": "\xed\xa0\x80"}', "encoding"),
    "a list": (b"[]", "schema"),
    "a string": (b'"text"', "schema"),
    "a number": (b"1", "schema"),
    "null": (b"null", "schema"),
    "not a number": (b"NaN", "schema"),
    "a list inside": (envelope("[1]"), "schema"),
    "null inside": (envelope("null"), "schema"),
    "an object as message": (b'{"oslo.version": "2.0", "oslo.message": {}}', "schema"),
    "null as message": (b'{"oslo.version": "2.0", "oslo.message": null}', "schema"),
    "deep lists": (b"[" * 100_000, "json"),
    "deep lists, closed": (b"[" * 100_000 + b"]" * 100_000, "depth"),
    "deep objects": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "depth"),
    "one level too deep": (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "depth"),
    "deep inside": (envelope("[" * 50_000 + "]" * 50_000), "depth"),
    "strings that seem to close": (b'["]",' * 200 + b"1" + b"]" * 200, "depth"),
    "too large": (b'{"a": "' + b"x" * MOST + b'"}', "size"),
    **{
        f"version {version}": (f'{{"oslo.version": {version}, "oslo.message": "{{}}"}}'.encode(), "version")
        for version in (
            '"2.1"', '"2.9"', '"3.0"', '"1.0"', '"2"', '""', '"2.0.1"', '"x.y"', '"-2.0"', '"2.0 "',
            "2.0", "null", "[2, 0]", '"' + "2" * 5000 + '.0"',
        )
    },
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_with_a_reason(name):
    body, reason = POISON[name]
    # An unclosed nest may be called bad JSON or too deep, whichever is seen first.
    assert refused(body) in ({reason, "depth"} if name == "deep lists" else {reason})


@pytest.mark.parametrize("kind", ["application/x-python-serialize", "text/plain", "application/jsonx"])
def test_other_content_types_are_refused(kind):
    assert refused(b"{}", Properties(content_type=kind)) == "content_type"


@pytest.mark.parametrize("encoding", ["binary", "latin-1", "utf-16", 5])
def test_other_encodings_are_refused(encoding):
    assert refused(b"{}", Properties(content_encoding=encoding)) == "encoding"


@pytest.mark.parametrize("kind", ["application/x-brotli", "gzip", 5, [1], {"a": 1}, True])
def test_other_compressions_are_refused(kind):
    assert refused(b"{}", compressed(kind)) == "encoding"


@pytest.mark.parametrize("body", [b"", b"junk", zlib.compress(b'{"a": 1}')[:-4], "\ud800"])
@pytest.mark.parametrize("kind", [GZIP, BZ2, LZMA])
def test_damaged_compression_is_refused(kind, body):
    assert refused(body, compressed(kind)) == "encoding"


@pytest.mark.parametrize(("kind", "pack"), PACKERS)
def test_a_bomb_is_refused_when_it_exceeds_the_size(kind, pack):
    body = pack(b'{"a": "' + b" " * (8 * MOST) + b'"}')
    assert len(body) < MOST
    assert refused(body, compressed(kind)) == "size"


def test_an_lzma_header_that_asks_for_too_much_memory_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 28}]
    body = lzma.compress(b"{}", filters=filters)
    assert len(body) < 100
    assert refused(body, compressed(LZMA)) == "encoding"


# ---- for any value -------------------------------------------------------------------------------

REASONS = {"size", "encoding", "content_type", "json", "depth", "version", "schema"}


def outcome(*given, **named):
    try:
        return opened(*given, **named)
    except DecodeError as error:
        return error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
texts = st.text(max_size=30)
hostile_headers = st.dictionaries(
    st.sampled_from(["compression", "traceparent", "x"]),
    texts | st.sampled_from([GZIP, BZ2, LZMA]) | st.integers() | st.binary(max_size=5) | st.none(),
)
bodies = st.one_of(
    st.binary(max_size=60),
    texts,
    st.builds(envelope, texts),
    st.builds(lambda value: json.dumps(value).encode(), json_values),
    st.builds(lambda value, cut: envelope(json.dumps(value))[:cut], json_values, st.integers(0, 200)),
    st.builds(zlib.compress, st.binary(max_size=60)),
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=2))
def test_what_is_put_into_an_envelope_comes_out_again(message):
    assert opened(envelope(encode(message, "args"))) == message


@settings(max_examples=100, deadline=None)
@given(bodies, st.none() | texts | st.just("application/json"), st.none() | texts, hostile_headers)
def test_whatever_comes_only_decode_errors_are_raised(body, kind, encoding, headers):
    told = outcome(body, Properties(kind, encoding, headers), 100)
    if isinstance(told, DecodeError):
        assert told.reason in REASONS
    else:
        assert isinstance(told, dict)


def depth_of(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth_of, children), default=0)


@settings(max_examples=100, deadline=None)
@given(json_values, st.integers(0, 6))
def test_depth_is_counted_exactly_without_parsing(value, most):
    assert is_deeper(json.dumps(value), most) == (depth_of(value) > most)
