"""The client, against a driver that only writes down what it is asked."""

from __future__ import annotations

import re
from time import monotonic_ns, time_ns

import pytest

import tracedrpc
from tracedrpc import (
    ClientSendError,
    InvalidTarget,
    MessagingException,
    Options,
    RPCClient,
    RPCVersionCapError,
    Serializer,
    Target,
    TransportOptions,
    get_rpc_client,
)
from tracedrpc.exceptions import TransportDriverError
from tracedrpc.message import Mode
from tracedrpc.rpc.transport import RPCTransport, Transport, bind
from tracedrpc.testing import RecordingTelemetry


class StubDriver:
    system = "rabbitmq"

    def __init__(self, answer=None):
        self.answer = answer
        self.invocations = []

    def call(self, invocation):
        self.invocations.append(invocation)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    cast = call

    @property
    def request(self):
        return self.invocations[-1].request


@pytest.fixture
def driver():
    return StubDriver()


@pytest.fixture
def telemetry():
    return RecordingTelemetry()


@pytest.fixture
def transport(driver, telemetry):
    made = bind(RPCTransport(driver), None, Options(rpc_response_timeout=7.0), telemetry)
    telemetry.clear()
    return made


def client_for(transport, target=None, **settings):
    return get_rpc_client(transport, target or Target(topic="compute"), **settings)


class Shouting(Serializer):
    def serialize_entity(self, ctxt, entity):
        return f"s-{entity}"

    def deserialize_entity(self, ctxt, entity):
        return f"d-{entity}-{ctxt['user']}"

    def serialize_context(self, ctxt):
        return {**ctxt, "serialized": True}

    def deserialize_context(self, ctxt):
        return ctxt


def test_a_call_returns_what_the_driver_returns(transport, driver):
    driver.answer = [1, 2]
    assert client_for(transport).call({}, "reboot", host="h") == [1, 2]
    assert driver.request.method == "reboot"
    assert driver.request.args == {"host": "h"}
    assert driver.request.mode is Mode.CALL


def test_a_call_carries_two_different_ids_of_32_hex_digits(transport, driver):
    client_for(transport).call({}, "reboot")
    ids = {driver.request.msg_id, driver.request.unique_id}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_no_two_messages_share_an_id(transport, driver):
    client = client_for(transport)
    for _ in range(100):
        client.call({}, "reboot")
        client.cast({}, "reboot")
    assert len({invocation.request.unique_id for invocation in driver.invocations}) == 200


def test_a_cast_has_no_message_id_and_returns_nothing(transport, driver):
    driver.answer = "ignored"
    assert client_for(transport).cast({}, "reboot") is None
    assert driver.request.msg_id is None
    assert driver.request.mode is Mode.CAST


def test_a_cast_to_a_fanout_target_goes_to_everybody(transport, driver):
    client_for(transport).prepare(fanout=True).cast({}, "reboot")
    assert driver.request.mode is Mode.FANOUT


def test_a_call_cannot_be_a_fanout(transport, driver):
    with pytest.raises(InvalidTarget, match="A call cannot be used with fanout"):
        client_for(transport).prepare(fanout=True).call({}, "reboot")
    assert driver.invocations == []


@pytest.mark.parametrize("send", ["call", "cast"])
def test_a_target_without_a_topic_is_refused_before_anything_is_sent(transport, driver, telemetry, send):
    client = client_for(transport, Target(server="s"))
    with pytest.raises(InvalidTarget, match="A topic is required to send") as caught:
        getattr(client, send)({}, "reboot")
    assert caught.value.target == Target(server="s")
    assert driver.invocations == []
    assert telemetry.moments == []


def test_the_time_out_is_the_transports_unless_the_client_has_one(transport, driver):
    client = client_for(transport)
    client.call({}, "reboot")
    assert driver.request.timeout_s == 7.0
    client.cast({}, "reboot")
    assert driver.request.timeout_s == 7.0
    client.prepare(timeout=0.5).call({}, "reboot")
    assert driver.request.timeout_s == 0.5
    assert driver.invocations[-1].deadline.left_s() <= 0.5


def test_a_context_whose_timeout_is_assigned_later_uses_the_new_one(transport, driver):
    context = client_for(transport, timeout=1).prepare()
    context.timeout = 3
    context.call({}, "reboot")
    assert driver.request.timeout_s == 3


def test_every_setting_of_the_client_reaches_the_request(transport, driver):
    client = client_for(
        transport, timeout=2, retry=4, call_monitor_timeout=1,
        transport_options=TransportOptions(at_least_once=True),
    )
    client.call({}, "reboot")
    request = driver.request
    assert (request.timeout_s, request.retry, request.monitor_timeout_s) == (2, 4, 1)
    assert request.at_least_once


def test_a_cast_has_no_call_monitor(transport, driver):
    client_for(transport, call_monitor_timeout=1).cast({}, "reboot")
    assert driver.request.monitor_timeout_s is None


def test_one_call_can_be_recorded_whatever_the_sampler_says(transport, driver):
    client = client_for(transport)
    traced = client.prepare(trace=True)
    traced.call({}, "m")
    assert driver.request.trace
    traced.prepare(version="1.1").cast({}, "m")
    assert driver.request.trace
    client.call({}, "m")
    assert not driver.request.trace
    traced.prepare(trace=False).call({}, "m")
    assert not driver.request.trace


def test_a_call_knows_from_when_on_it_is_slow(driver, telemetry):
    transport = bind(RPCTransport(driver), None, Options(slow_call_threshold=0.25), telemetry)
    client_for(transport).call({}, "m")
    assert driver.invocations[-1].slow_ns == 250_000_000


def test_prepare_overrides_what_is_given_and_keeps_the_rest(transport):
    client = client_for(transport, Target(topic="t", version="1.0", server="s"), timeout=5, retry=2)
    context = client.prepare(version="1.2", server=None, timeout=None)
    assert context.target == Target(topic="t", version="1.2")
    assert context.timeout is None
    assert context.retry == 2
    assert client.target == Target(topic="t", version="1.0", server="s")
    assert client.timeout == 5


def test_a_prepared_context_can_be_prepared_again_with_transport_options(transport, driver):
    options = TransportOptions(at_least_once=True)
    client_for(transport).prepare(version="1.1").prepare(transport_options=options).cast({}, "x")
    assert driver.request.at_least_once
    assert driver.request.target.version == "1.1"


def test_prepare_keeps_the_legacy_namespaces_of_the_target(transport):
    target = Target(topic="t", namespace="new", legacy_namespaces=["old"])
    assert client_for(transport, target).prepare(server="s").target.accepted_namespaces == ["new", "old"]


@pytest.mark.parametrize("version", ["1", "x.y", ""])
def test_a_version_that_is_none_is_refused_by_prepare(transport, version):
    with pytest.raises(MessagingException, match="must contain a major and minor integer"):
        client_for(transport).prepare(version=version)


@pytest.mark.parametrize(
    ("cap", "version", "is_allowed"),
    [
        (None, "1.4", True), (None, None, True), ("1.4", "1.4", True), ("1.4", "1.3", True),
        ("1.4", "1.5", False), ("1.4", "2.0", False), ("1.4", None, False), ("2.0", "1.9", False),
    ],
)
@pytest.mark.parametrize("send", ["call", "cast"])
def test_the_version_cap_decides_what_may_be_sent(transport, driver, cap, version, is_allowed, send):
    client = client_for(transport, Target(topic="t", version=version), version_cap=cap)
    assert client.can_send_version() is is_allowed
    assert client_for(transport, version_cap=cap).can_send_version(version) is is_allowed
    if is_allowed:
        getattr(client, send)({}, "reboot")
        return
    with pytest.raises(RPCVersionCapError) as caught:
        getattr(client, send)({}, "reboot")
    assert (caught.value.version, caught.value.version_cap) == (version, cap)
    assert driver.invocations == []


def test_the_serializer_turns_arguments_context_and_result(transport, driver):
    driver.answer = "r"
    client = client_for(transport, serializer=Shouting())
    assert client.prepare(server="s").call({"user": "u"}, "reboot", host="h") == "d-r-u"
    assert driver.request.args == {"host": "s-h"}
    assert driver.request.context == {"user": "u", "serialized": True}


def test_serializing_and_deserializing_are_part_of_the_call(transport, driver, telemetry):
    class Slow(Shouting):
        def serialize_entity(self, ctxt, entity):
            began_ns.append(monotonic_ns())
            return super().serialize_entity(ctxt, entity)

        def deserialize_entity(self, ctxt, entity):
            assert telemetry.names()[-1] == "call.entered"
            done_ns.append(monotonic_ns())
            return super().deserialize_entity(ctxt, entity)

    began_ns, done_ns, driver.answer = [], [], "r"
    assert client_for(transport, serializer=Slow()).call({"user": "u"}, "m", a=1) == "d-r-u"
    call = driver.invocations[-1]
    assert call.started_ns <= began_ns[0] <= done_ns[0] <= call.ended_ns
    assert abs(call.wall_ns(monotonic_ns()) - time_ns()) < 1e9
    assert call.result == "r"


def test_a_result_that_cannot_be_deserialized_is_the_calls_error(transport, driver, telemetry):
    class Broken(Shouting):
        def deserialize_entity(self, ctxt, entity):
            raise KeyError(entity)

    driver.answer = "r"
    with pytest.raises(KeyError):
        client_for(transport, serializer=Broken()).call({"user": "u"}, "m")
    assert isinstance(telemetry.of("call_finished")[0].fields["error"], KeyError)


def test_the_callers_context_and_arguments_are_left_as_they_are(transport, telemetry):
    telemetry.carrier = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
    context, argument = {"user": "u"}, {"a": [1]}
    client_for(transport).call(context, "reboot", spec=argument)
    assert context == {"user": "u"}
    assert argument == {"a": [1]}


@pytest.mark.parametrize("send", ["call", "cast"])
def test_a_driver_error_becomes_a_client_send_error(transport, driver, telemetry, send):
    driver.answer = TransportDriverError("no")
    with pytest.raises(ClientSendError, match="Failed to send to target") as caught:
        getattr(client_for(transport), send)({}, "reboot")
    assert caught.value.ex is driver.answer
    assert caught.value.__cause__ is driver.answer
    assert telemetry.of("call_finished")[0].fields["error"] is caught.value


@pytest.mark.parametrize("error", [ValueError("remote"), KeyboardInterrupt(), SystemExit()])
def test_a_call_is_told_as_finished_inside_its_scope_however_it_ends(transport, driver, telemetry, error):
    driver.answer = error
    with pytest.raises(type(error)):
        client_for(transport).call({}, "reboot")
    assert telemetry.names() == ["call.entered", "call_finished", "call.left"]
    finished = telemetry.of("call_finished")[0].fields
    assert finished["error"] is error
    assert finished["invocation"].ended_ns


def test_the_scope_is_the_invocations_when_the_driver_runs(transport, driver, telemetry):
    client_for(transport).call({}, "reboot")
    assert driver.invocations[0].scope is not None
    assert telemetry.of("call.entered")[0].fields["subject"] is driver.invocations[0]


def test_a_client_class_that_overrides_prepare_is_asked_by_call_and_cast(transport, driver):
    class BackingOff(RPCClient):
        def prepare(self, **overrides):
            return super().prepare(timeout=0.25, **overrides)

    client = client_for(transport, client_cls=BackingOff)
    client.call({}, "reboot")
    assert driver.request.timeout_s == 0.25
    client.cast({}, "reboot")
    assert driver.request.timeout_s == 0.25


def test_a_client_on_another_kind_of_transport_warns(driver):
    with pytest.warns(RuntimeWarning, match="get_rpc_transport"):
        RPCClient(Transport(driver), Target(topic="t"))


def test_a_client_made_by_hand_is_as_good_as_one_from_the_function(transport, driver):
    RPCClient(transport, Target(topic="t")).call({}, "reboot")
    assert driver.request.method == "reboot"


def test_conf_is_the_transports(transport):
    client = client_for(transport)
    assert client.conf is transport.conf
    assert client.prepare().conf is transport.conf
    assert tracedrpc.RPCClient is RPCClient
