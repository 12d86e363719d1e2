"""Calls, casts and fanouts between clients and servers on RabbitMQ."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import amqp
import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, within


class Coded(Exception):
    """An exception that keeps its arguments, as services of OpenStack have them."""

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or "coded {code}".format(**kwargs))


# ---- call ----------------------------------------------------------------------------------------


def test_a_call_returns_what_the_method_returns(site):
    client, endpoint = site.pair()
    value = {"a": [1, 2.5, None, "é\U0001f600"]}
    assert client.call({}, "echo", value=value) == value
    assert len(endpoint.calls) == 1


def test_a_method_that_returns_nothing_returns_none(site):
    client, _ = site.pair()
    assert client.call({}, "note") is None


def test_the_context_reaches_the_method_and_the_callers_own_is_not_changed(site):
    client, endpoint = site.pair()
    context = {"user": "ann", "roles": ["a"]}
    client.call(context, "echo")
    assert context == {"user": "ann", "roles": ["a"]}
    assert endpoint.contexts[0] == {"user": "ann", "roles": ["a"], "client_timeout": None}


def test_values_are_turned_into_json_as_the_original_does(site):
    client, _ = site.pair()
    when = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    sent = {"when": when, "bytes": b"x", "set": {1}, 5: "five"}
    assert client.call({}, "echo", value=sent) == {
        "when": "2026-01-02T03:04:05.000000", "bytes": "x", "set": [1], "5": "five",
    }


def test_many_threads_get_each_their_own_answer(site):
    client, _ = site.pair()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: client.call({}, "echo", value=number), range(400)))
    assert answers == list(range(400))


def test_a_call_cannot_be_a_fanout(site):
    with pytest.raises(tracedrpc.InvalidTarget, match="fanout"):
        site.client().prepare(fanout=True).call({}, "echo")


def test_sending_needs_a_topic(site):
    client = site.client(target=tracedrpc.Target(server="one"))
    for send in (client.call, client.cast):
        with pytest.raises(tracedrpc.InvalidTarget, match="topic"):
            send({}, "echo")


@pytest.mark.parametrize("size", [1024 * 1024, 8 * 1024 * 1024])
def test_a_large_body_goes_there_and_back(site, size):
    client, _ = site.pair()
    value = "x" * size
    assert client.call({}, "echo", value=value) == value


@pytest.mark.parametrize("value", [object(), [object()], {"a": {"b": lambda: None}}])
def test_an_argument_that_json_cannot_hold_is_an_error_at_once(site, value):
    client, endpoint = site.pair()
    client.call({}, "echo")
    for send in (client.call, client.cast):
        with within(1.0), pytest.raises(ValueError, match="args"):
            send({}, "echo", value=value)
    assert len(endpoint.calls) == 1


def test_a_result_that_json_cannot_hold_is_an_error_at_once(site):
    client, _ = site.pair()
    with within(2.0), pytest.raises(tracedrpc.RemoteError, match="result") as error:
        client.call({}, "give_object")
    assert error.value.exc_type == "EncodeError"


# ---- cast ----------------------------------------------------------------------------------------


def test_a_cast_is_executed_and_returns_nothing(site):
    client, endpoint = site.pair()
    assert client.cast({}, "note", value=1) is None
    endpoint.wait_for(1)
    assert endpoint.calls == [("note", {"value": 1})]


def test_a_cast_does_not_wait_for_its_method(site):
    client, endpoint = site.pair()
    with within(2.0):
        client.cast({}, "hold")
    endpoint.goes_on.set()


def test_no_cast_is_lost_between_many_threads(site):
    client, endpoint = site.pair()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: client.cast({}, "note", value=number), range(200)))
    endpoint.wait_for(200)
    assert sorted(args["value"] for _, args in endpoint.calls) == list(range(200))


def test_an_error_in_a_casts_method_is_told_on_the_server_only(site):
    client, _ = site.pair()
    client.cast({}, "fail")
    (failed,) = site.telemetry.wait_for("request_failed")
    assert isinstance(failed.fields["error"], ValueError)


# ---- several servers -----------------------------------------------------------------------------


def test_a_fanout_is_executed_on_every_server(site):
    one, two = Endpoint(), Endpoint()
    site.serve(one)
    site.serve(two, server="two")
    site.client().prepare(fanout=True).cast({}, "note", value=7)
    for endpoint in (one, two):
        endpoint.wait_for(1)
        assert endpoint.calls == [("note", {"value": 7})]


def test_servers_of_one_topic_share_its_calls(site):
    one, two = Endpoint("one"), Endpoint("two")
    site.serve(one)
    site.serve(two, server="two")
    client = site.client()
    answers = Counter(client.call({}, "who") for _ in range(40))
    assert answers == {"one": 20, "two": 20}


def test_prepare_server_reaches_that_server(site):
    site.serve(Endpoint("one"))
    site.serve(Endpoint("two"), server="two")
    client = site.client()
    assert {client.prepare(server="two").call({}, "who") for _ in range(5)} == {"two"}
    assert {client.prepare(server="one").call({}, "who") for _ in range(5)} == {"one"}


def test_prepare_topic_and_exchange_reach_another_service(site, topic):
    endpoint = Endpoint()
    target = tracedrpc.Target(exchange=f"{site.exchange}-b", topic=f"{topic}-b", server="one")
    transport = site.transport()
    with tracedrpc.get_rpc_server(transport, target, [endpoint]):
        client = site.client().prepare(exchange=f"{site.exchange}-b", topic=f"{topic}-b")
        assert client.call({}, "echo", value=1) == 1
    with site.channel() as channel:
        for name in (f"{topic}-b", f"{topic}-b.one"):
            channel.queue_delete(name)
        channel.exchange_delete(f"{site.exchange}-b")


# ---- namespaces, versions, policies --------------------------------------------------------------


class Versioned:
    target = tracedrpc.Target(namespace="tasks", version="2.3", legacy_namespaces=["old"])

    def answer(self, ctxt):
        return "versioned"


class Plain:
    target = tracedrpc.Target(version="1.5")

    def answer(self, ctxt):
        return "plain"

    def _private(self, ctxt):
        return "private"

    @tracedrpc.expose
    def exposed(self, ctxt):
        return "exposed"


@pytest.mark.parametrize(("asked", "answer"), [
    ({"namespace": "tasks", "version": "2.0"}, "versioned"),
    ({"namespace": "tasks", "version": "2.3"}, "versioned"),
    ({"namespace": "old", "version": "2.1"}, "versioned"),
    ({"version": "1.5"}, "plain"),
    ({}, "plain"),
])
def test_namespace_and_version_choose_the_endpoint(site, asked, answer):
    site.serve(Versioned(), Plain())
    assert site.client().prepare(**asked).call({}, "answer") == answer


@pytest.mark.parametrize("asked", [
    {"namespace": "tasks", "version": "2.4"}, {"namespace": "tasks", "version": "1.0"},
    {"version": "1.6"}, {"version": "2.0"}, {"namespace": "unknown"},
])
def test_a_version_that_nobody_speaks_is_refused(site, asked):
    site.serve(Versioned(), Plain())
    with pytest.raises(tracedrpc.RemoteError) as error:
        site.client().prepare(**asked).call({}, "answer")
    assert error.value.exc_type == "UnsupportedVersion"


def test_the_first_endpoint_that_has_the_method_answers(site):
    class Second(Plain):
        def answer(self, ctxt):
            return "second"

        def more(self, ctxt):
            return "more"

    site.serve(Plain(), Second())
    client = site.client()
    assert (client.call({}, "answer"), client.call({}, "more")) == ("plain", "more")


def test_a_method_that_does_not_exist_is_said_so(site):
    client, _ = site.pair()
    with pytest.raises(tracedrpc.RemoteError, match="does not support RPC method missing") as error:
        client.call({}, "missing")
    assert error.value.exc_type == "NoSuchMethod"


@pytest.mark.parametrize(("policy", "allowed"), [
    (None, {"answer", "exposed"}),
    (tracedrpc.DefaultRPCAccessPolicy, {"answer", "exposed"}),
    (tracedrpc.LegacyRPCAccessPolicy, {"answer", "exposed", "_private"}),
    (tracedrpc.ExplicitRPCAccessPolicy, {"exposed"}),
])
def test_the_access_policy_decides_what_peers_may_call(site, policy, allowed):
    site.serve(Plain(), access_policy=policy)
    client, answered = site.client(), set()
    for method in ("answer", "exposed", "_private"):
        try:
            client.call({}, method)
        except tracedrpc.RemoteError as error:
            assert error.exc_type == "NoSuchMethod"  # noqa: PT017 - it may also be answered
            continue
        answered.add(method)
    assert answered == allowed


def test_a_version_above_the_cap_is_not_sent(site):
    client = site.client(version_cap="1.3")
    capped = client.prepare(version="1.4")
    assert not capped.can_send_version()
    for send in (capped.call, capped.cast):
        with pytest.raises(tracedrpc.RPCVersionCapError):
            send({}, "answer")


@pytest.mark.parametrize(("option", "answers"), [("true", True), ("false", False)])
def test_a_server_answers_pings_when_told_so(site, option, answers):
    site.serve(Endpoint(), transport=site.transport(rpc_ping_enabled=option))
    client = site.client()
    if answers:
        assert client.call({}, "oslo_rpc_server_ping") == "pong"
    else:
        with pytest.raises(tracedrpc.RemoteError, match="NoSuchMethod"):
            client.call({}, "oslo_rpc_server_ping")


def test_serializers_work_on_arguments_context_and_result(site):
    class Marks(tracedrpc.NoOpSerializer):
        def serialize_entity(self, ctxt, entity):
            return ["sent", entity]

        def deserialize_entity(self, ctxt, entity):
            return ["received", *entity]

        def serialize_context(self, ctxt):
            return ctxt | {"by": "client"}

    endpoint = Endpoint()
    site.serve(endpoint, serializer=Marks())
    client = site.client(serializer=Marks())
    assert client.call({}, "echo", value=1) == ["received", "sent", ["received", "sent", 1]]
    assert endpoint.contexts[0]["by"] == "client"


# ---- errors --------------------------------------------------------------------------------------


def test_an_error_of_a_module_that_is_not_allowed_is_a_remote_error(site):
    class Service:
        def go(self, ctxt):
            raise Coded("wrong", code=7)

    site.serve(Service())
    with pytest.raises(tracedrpc.RemoteError) as error:
        site.client().call({}, "go")
    assert error.value.exc_type == "Coded"
    assert error.value.value == "wrong"
    assert any("raise Coded" in piece for piece in error.value.traceback)


def test_an_error_of_an_allowed_module_is_rebuilt_as_its_remote_twin(site):
    class Service:
        def go(self, ctxt):
            raise Coded(code=7)

    site.serve(Service())
    with pytest.raises(Coded) as error:
        site.client(site.transport(allowed=[__name__])).call({}, "go")
    assert type(error.value).__name__ == "Coded_Remote"
    assert type(error.value).__module__ == f"{__name__}_Remote"
    assert error.value.kwargs == {"code": 7}
    assert "Traceback" in str(error.value)


def test_a_builtin_error_is_rebuilt_without_being_allowed(site):
    client, _ = site.pair()
    with pytest.raises(ValueError, match="not today"):
        client.call({}, "fail", text="not today")


@pytest.mark.parametrize("module", ["oslo_messaging.rpc.dispatcher", "tracedrpc.exceptions"])
def test_an_error_of_the_library_is_rebuilt_when_its_module_is_allowed(site, module):
    site.serve(Endpoint())
    client = site.client(site.transport(allowed=[module]))
    with pytest.raises(tracedrpc.NoSuchMethod, match="missing"):
        client.call({}, "missing")


def test_an_expected_error_reaches_the_caller_and_is_no_fault_of_the_server(site):
    class Service:
        @tracedrpc.expected_exceptions(ValueError)
        def go(self, ctxt):
            raise ValueError("as foreseen")

    site.serve(Service())
    with pytest.raises(ValueError, match="as foreseen"):
        site.client().call({}, "go")
    (failed,) = site.telemetry.wait_for("request_failed")
    assert failed.fields["expected"]
    assert isinstance(failed.fields["error"], ValueError)


def test_a_method_that_ends_its_thread_still_answers(site):
    class Service:
        def go(self, ctxt):
            raise SystemExit(3)

    site.serve(Service(), Endpoint())
    client = site.client()
    with pytest.raises(tracedrpc.RemoteError, match="SystemExit"):
        client.call({}, "go")
    assert client.call({}, "echo", value=1) == 1


# ---- duplicates, compression ---------------------------------------------------------------------


def request(method="note", **fields):
    inner = {"method": method, "args": {"value": 1}, "_unique_id": "u" * 32} | fields
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(inner)})


def publish(site, body, exchange=None, key=None, **properties):
    given = {"content_type": "application/json", "content_encoding": "utf-8"} | properties
    with site.channel() as channel:
        message = amqp.Message(body, **given)
        channel.basic_publish(message, site.exchange if exchange is None else exchange, key or site.topic)


def test_a_request_that_is_delivered_twice_is_executed_once(site):
    _, endpoint = site.pair()
    for _ in range(3):
        publish(site, request())
    discarded = site.telemetry.wait_for("message_discarded", 2)
    assert {moment.fields["reason"] for moment in discarded} == {"duplicate"}
    endpoint.wait_for(1)
    assert len(endpoint.calls) == 1


def test_a_duplicate_is_recognised_after_many_other_requests(site):
    client, endpoint = site.pair()
    publish(site, request())
    endpoint.wait_for(1)
    for number in range(50):
        client.call({}, "echo", value=number)
    publish(site, request())
    site.telemetry.wait_for("message_discarded")
    assert len(endpoint.calls) == 51


def test_a_reply_that_comes_twice_is_taken_once(site):
    client, _ = site.pair()
    client.call({}, "echo")
    queue = client.transport.driver._replies.name
    msg_id = site.telemetry.of("call.left")[0].fields["subject"].request.msg_id
    inner = json.dumps({"result": 5, "failure": None, "ending": True, "_msg_id": msg_id, "_unique_id": "u"})
    publish(site, json.dumps({"oslo.version": "2.0", "oslo.message": inner}), "", queue)
    (discarded,) = site.telemetry.wait_for("reply_discarded")
    assert discarded.fields == {"msg_id": msg_id, "reason": "duplicate"}


def test_a_compressed_request_is_understood(site):
    import zlib

    _, endpoint = site.pair()
    body = zlib.compress(request().encode())
    publish(site, body, application_headers={"compression": "application/x-gzip"})
    endpoint.wait_for(1)
    assert endpoint.calls == [("note", {"value": 1})]


def test_a_body_in_the_gzip_file_format_is_refused_as_kombu_would(site):
    client, endpoint = site.pair()
    body = gzip.compress(request().encode())
    publish(site, body, application_headers={"compression": "application/x-gzip"})
    (discarded,) = site.telemetry.wait_for("message_discarded")
    assert discarded.fields["reason"] == "encoding"
    assert client.call({}, "echo", value=1) == 1
    assert len(endpoint.calls) == 1


def test_a_heartbeat_to_a_caller_who_asked_for_none_does_no_harm(site):
    """oslo.messaging 18.3.1 raises AttributeError here: row 65 of the checklist."""
    client, endpoint = site.pair()
    client.call({}, "echo")
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, {}, "hold", value="fine")
        assert endpoint.entered.acquire(timeout=SOON_S)
        (msg_id,) = client.transport.driver._waiters._waiting
        inner = json.dumps({"result": None, "failure": None, "ending": False, "_msg_id": msg_id})
        publish(
            site, json.dumps({"oslo.version": "2.0", "oslo.message": inner}), "",
            client.transport.driver._replies.name,
        )
        site.telemetry.wait_for("heartbeat_received")
        endpoint.goes_on.set()
        assert answer.result(SOON_S) == "fine"


def test_what_a_call_writes_on_the_wire_is_the_originals(site):
    client, _ = site.pair()
    with site.capture() as captured:
        monitored = client.prepare(version="1.0", call_monitor_timeout=30)
        monitored.call({"user": "ann"}, "echo", value=1)
        message = captured.next()
    assert message.properties["content_type"] == "application/json"
    assert message.properties["content_encoding"] == "utf-8"
    assert message.properties["delivery_mode"] == 2
    assert 0 < int(message.properties["expiration"]) <= SOON_S * 1000
    outer = json.loads(message.body)
    assert outer["oslo.version"] == "2.0"
    inner = json.loads(outer["oslo.message"])
    assert inner.pop("_reply_q").startswith("reply_")
    assert len(inner.pop("_msg_id")) == len(inner.pop("_unique_id")) == 32
    assert inner == {
        "method": "echo", "args": {"value": 1}, "version": "1.0", "_timeout": 30, "_context_user": "ann",
    }


def test_what_a_cast_writes_on_the_wire_is_the_originals(site):
    client, _ = site.pair()
    with site.capture() as captured:
        client.cast({"user": "ann"}, "note", value=1)
        message = captured.next()
    assert "expiration" not in message.properties
    inner = json.loads(json.loads(message.body)["oslo.message"])
    assert len(inner.pop("_unique_id")) == 32
    assert inner == {"method": "note", "args": {"value": 1}, "_context_user": "ann"}


def test_a_closed_transport_says_so(site):
    client, _ = site.pair()
    client.call({}, "echo")
    client.transport.cleanup()
    for send in (client.call, client.cast):
        with within(1.0), pytest.raises(tracedrpc.MessagingException, match="closed"):
            send({}, "echo")


def test_closing_the_transport_ends_the_calls_under_way(site):
    client, endpoint = site.pair()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, {}, "hold")
        assert endpoint.entered.acquire(timeout=SOON_S)
        client.transport.cleanup()
        with pytest.raises(tracedrpc.MessagingException, match="closed"):
            answer.result(SOON_S)
