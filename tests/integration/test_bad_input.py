"""Messages that no peer should send: refused, counted, acknowledged; server and client live on."""

from __future__ import annotations

import bz2
import datetime as dt
import json
import os
import zlib

import amqp
import pytest

from tests.integration.support import Endpoint, wait_until
from tracedrpc.testing import RecordingTelemetry
from tracedrpc.wire.body import Properties
from tracedrpc.wire.reply import decode_reply

MOST_BYTES = 64 * 1024
"""What the server and the client of these tests accept, so that "too large" needs no megabytes."""

REPLY_TO = "reply_" + "0" * 32


def wrapped(inner, version="2.0"):
    text = inner if isinstance(inner, str) else json.dumps(inner)
    return json.dumps({"oslo.version": version, "oslo.message": text}).encode()


def request(**fields):
    return wrapped({"method": "note", "args": {}, "_unique_id": "u" * 32} | fields)


def reply(**fields):
    told = {"result": 1, "failure": None, "ending": True, "_msg_id": "a" * 32, "_unique_id": "u"}
    return wrapped(told | fields)


def nested(levels):
    return '{"method": "note", "args": {"value": ' + "[" * levels + "]" * levels + "}}"


# name: (body, properties, reason). What the envelope refuses is refused in both directions.
BODIES = {
    "empty": (b"", {}, "json"),
    "not utf-8": (b"\xff\xfe\x00\x01", {}, "encoding"),
    "not json": (b"hello", {}, "json"),
    "truncated": (request()[:-20], {}, "json"),
    "truncated in the inner message": (wrapped('{"method": "no'), {}, "json"),
    "a list": (b"[1, 2]", {}, "schema"),
    "a number": (b"5", {}, "schema"),
    "null": (b"null", {}, "schema"),
    "inner message is a list": (wrapped("[]"), {}, "schema"),
    "inner message is an object": (b'{"oslo.version": "2.0", "oslo.message": {}}', {}, "schema"),
    "newer minor version": (wrapped({"method": "note"}, "2.9"), {}, "version"),
    "newer major version": (wrapped({"method": "note"}, "3.0"), {}, "version"),
    "version is no version": (wrapped({"method": "note"}, "two"), {}, "version"),
    "version is a number": (b'{"oslo.version": 2.0, "oslo.message": "{}"}', {}, "version"),
    "version is huge": (wrapped({"method": "note"}, "9" * 5000 + ".0"), {}, "version"),
    "deep": (wrapped(nested(101)), {}, "depth"),
    "very deep": (wrapped(nested(20_000)), {}, "depth"),
    "deep outside": (b"[" * 30_000, {}, "depth"),
    "huge": (request(args={"value": "x" * MOST_BYTES}), {}, "size"),
    "content type": (request(), {"content_type": "application/x-python-serialize"}, "content_type"),
    "content type yaml": (request(), {"content_type": "application/x-yaml"}, "content_type"),
    "content encoding": (request(), {"content_encoding": "utf-16"}, "encoding"),
    "content encoding binary": (request(), {"content_encoding": "binary"}, "encoding"),
    "damaged gzip": (b"x\x9cnot zlib", {"compression": "application/x-gzip"}, "encoding"),
    "truncated gzip": (zlib.compress(request())[:-6], {"compression": "application/x-gzip"}, "encoding"),
    "gzip bomb": (zlib.compress(b" " * 20 * MOST_BYTES), {"compression": "application/x-gzip"}, "size"),
    "bz2 bomb": (bz2.compress(b" " * 20 * MOST_BYTES), {"compression": "application/x-bz2"}, "size"),
    "damaged bz2": (b"BZh9nothing", {"compression": "application/x-bz2"}, "encoding"),
    "unknown compression": (request(), {"compression": "application/x-lzma"}, "encoding"),
}
REQUESTS = {
    "no method": (wrapped({"args": {}}), "schema"),
    "method is a number": (request(method=5), "schema"),
    "method is empty": (request(method=""), "schema"),
    "args is a list": (request(args=[1]), "schema"),
    "too many args": (request(args={f"a{number}": 1 for number in range(10_001)}), None),
    "namespace is a list": (request(namespace=["a"]), "schema"),
    "version is a number": (request(version=1.0), "schema"),
    "unique id is an object": (request(_unique_id={}), "schema"),
    "message id is a number": (request(_msg_id=5, _reply_q=REPLY_TO), "schema"),
    "message id without reply queue": (request(_msg_id="a" * 32), "schema"),
    "reply queue without message id": (request(_reply_q=REPLY_TO), "schema"),
    "reply queue is another queue": (request(_msg_id="a" * 32, _reply_q="nova.compute"), "schema"),
    "reply queue is RabbitMQ's own": (
        request(_msg_id="a" * 32, _reply_q="amq.rabbitmq.reply-to"), "schema",
    ),
    "reply queue with a line break": (request(_msg_id="a" * 32, _reply_q=REPLY_TO + "\n"), "schema"),
    "reply queue too long": (request(_msg_id="a" * 32, _reply_q="reply_" + "a" * 300), "schema"),
    "reply queue is a list": (request(_msg_id="a" * 32, _reply_q=[REPLY_TO]), "schema"),
    "monitor is a text": (request(_msg_id="a" * 32, _reply_q=REPLY_TO, _timeout="soon"), "schema"),
    "monitor is true": (request(_msg_id="a" * 32, _reply_q=REPLY_TO, _timeout=True), "schema"),
}
REPLIES = {
    "no message id": (wrapped({"result": 1, "failure": None}), "schema"),
    "message id is a number": (reply(_msg_id=5), "schema"),
    "failure is an object": (reply(failure={"class": "ValueError"}), "schema"),
    "ending is a text": (reply(ending="yes"), "schema"),
    "unique id is a number": (reply(_unique_id=5), "schema"),
}
HEADERS = {
    "numbers": {
        "traceparent": 5, "tracestate": [1], "x-tracedrpc-sent-ns": 7, "x-tracedrpc-timing": {"a": 1},
    },
    "nonsense": {
        "traceparent": "x" * 10_000, "x-tracedrpc-sent-ns": "-1", "x-tracedrpc-deadline-ms": "never",
    },
    "digits": {
        "x-tracedrpc-sent-ns": "9" * 300,
        "x-tracedrpc-timing": "wait=1;handler=" + "9" * 400 + ";total=1",
    },
    "every type": {
        "a": 1, "b": 2**40, "c": 1.5, "d": True, "e": None, "f": [1, "a", [2]], "g": {"h": {"i": 1}},
        "when": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "": "no name", "k" * 255: "long name",
    },
    "many": {f"h{number}": "x" for number in range(2000)},
    "deep": {"a": {"a": {"a": {"a": {"a": {"a": ["x", {"b": ["y"]}]}}}}}},
    "compression is a number": {"compression": 0},
}


def publish(site, queue, body, properties):
    given = {"content_type": "application/json", "content_encoding": "utf-8"} | properties
    compression = given.pop("compression", None)
    if compression:
        given["application_headers"] = {"compression": compression}
    with site.channel() as channel:
        channel.basic_publish(amqp.Message(body, **given), "", queue)


@pytest.fixture
def lived(site):
    """Give a client, its telemetry and its server; in the end both must live and the queues be empty."""
    endpoint, heard = Endpoint(), RecordingTelemetry()
    server = site.serve(endpoint, transport=site.transport(max_message_size=MOST_BYTES), workers=2)
    client = site.client(site.transport(heard, max_message_size=MOST_BYTES))
    client.call({}, "echo")
    endpoint.calls.clear()
    site.heard, site.reply_queue, site.endpoint = heard, client.transport.driver._replies.name, endpoint
    yield site
    assert client.call({}, "echo", value="alive") == "alive"
    assert not site.telemetry.of("connection_lost")
    assert not heard.of("connection_lost")
    assert not site.telemetry.of("background_failed")
    assert not heard.of("background_failed")
    assert not [method for method, _ in endpoint.calls if method == "note"]
    client.transport.cleanup()  # what was not acknowledged would be counted again
    server.stop()
    server.wait()
    site.wait_empty(site.topic)


def the_discarded(telemetry, count=1):
    moments = telemetry.wait_for("message_discarded", count)
    return [(moment.fields["queue"], moment.fields["reason"]) for moment in moments]


@pytest.mark.parametrize("name", BODIES)
def test_a_server_refuses_a_hostile_body(lived, name):
    body, properties, reason = BODIES[name]
    publish(lived, lived.topic, body, properties)
    assert the_discarded(lived.telemetry) == [(lived.topic, reason)]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_server_refuses_a_hostile_request(lived, name):
    body, reason = REQUESTS[name]
    publish(lived, lived.topic, body, {})
    assert the_discarded(lived.telemetry) == [(lived.topic, reason or "size")]


def test_a_client_refuses_every_hostile_body_and_reply(lived):
    everything = [*BODIES.values(), *((body, {}, reason) for body, reason in REPLIES.values())]
    for body, properties, _ in everything:
        publish(lived, lived.reply_queue, body, properties)
    discarded = the_discarded(lived.heard, len(everything))
    assert discarded == [(lived.reply_queue, reason) for _, _, reason in everything]


def test_a_client_discards_a_reply_to_a_call_it_never_made(lived):
    publish(lived, lived.reply_queue, reply(), {})
    (discarded,) = lived.heard.wait_for("reply_discarded")
    assert discarded.fields == {"msg_id": "a" * 32, "reason": "unknown"}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers_harm_neither_server_nor_client(site, name):
    client, endpoint = site.pair()
    client.call({}, "echo")
    publish(site, site.topic, request(), {"application_headers": HEADERS[name]})
    endpoint.wait_for(2)
    publish(site, client.transport.driver._replies.name, reply(), {"application_headers": HEADERS[name]})
    site.telemetry.wait_for("reply_discarded")
    assert client.call({}, "echo", value="alive") == "alive"
    assert not site.telemetry.of("connection_lost")
    assert not site.telemetry.of("background_failed")


def test_the_caller_of_an_undecodable_request_is_told_at_once(lived):
    queue = declare_reply_queue(lived)
    publish(lived, lived.topic, request(_msg_id="a" * 32, _reply_q=queue, args="none"), {})
    answer = decode_reply(next_body(lived, queue), Properties(), MOST_BYTES)
    told = json.loads(answer.failure)
    assert (answer.msg_id, answer.ending, told["class"]) == ("a" * 32, True, "DecodeError")
    assert "args is not an object" in told["message"]


def declare_reply_queue(site):
    name = f"reply_{os.urandom(16).hex()}"
    with site.channel() as channel:
        channel.queue_declare(name, durable=True, auto_delete=False, arguments={"x-expires": 60_000})
    return name


def next_body(site, queue):
    with site.channel() as channel:
        wait_until(lambda: channel.queue_declare(queue, passive=True).message_count)
        body = channel.basic_get(queue, no_ack=True).body
        channel.queue_delete(queue)
    return body if isinstance(body, bytes) else body.encode()


def test_a_refused_message_is_logged_by_its_size_and_fingerprint_only(lived, caplog):
    caplog.set_level("WARNING", logger="tracedrpc")
    publish(lived, lived.topic, b"hello s3cr3t", {})
    the_discarded(lived.telemetry)
    wait_until(lambda: "message_discarded" in caplog.text)
    assert "tracedrpc.reason=json" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_request_for_an_unknown_reply_queue_holds_nobody_up(site):
    client, endpoint = site.pair()
    publish(site, site.topic, request(_msg_id="a" * 32, _reply_q=REPLY_TO), {})
    site.telemetry.wait_for("message_returned")
    assert client.call({}, "echo", value=1) == 1
    assert len(endpoint.calls) == 2


def test_there_are_enough_of_them():
    assert len(BODIES) + len(REQUESTS) >= 30
    assert len(BODIES) + len(REPLIES) >= 30
