"""Dispatchers written for oslo.messaging, and ours among servers that are not ours."""

from __future__ import annotations

import sys
import threading
import types
from unittest import mock

import pytest

from tracedrpc import NoOpSerializer, NoSuchMethod, RPCDispatcher, Target, UnsupportedVersion, get_rpc_client
from tracedrpc.rpc.dispatcher import DispatcherBase
from tracedrpc.rpc.server import RPCServer
from tracedrpc.testing import memory_transport

PATIENCE_S = 5


class Endpoint:
    target = Target(version="1.2", namespace="n")

    def echo(self, ctxt, value=None):
        return ctxt, value


class Request:
    """A request as oslo.messaging's drivers hand it to a dispatcher."""

    def __init__(self, client_timeout=None, error=None, **message):
        self.ctxt = {"user": "u"}
        self.message = {"method": "echo", "namespace": "n"} | message
        self.client_timeout = client_timeout
        self.heartbeats = threading.Semaphore(0)
        self.error = error

    def heartbeat(self):
        self.heartbeats.release()
        if self.error is not None:
            raise self.error


def test_a_request_that_a_foreign_server_brings_is_dispatched():
    assert RPCDispatcher([Endpoint()], None).dispatch(Request(args={"value": 1})) == ({"user": "u"}, 1)


def test_what_its_message_leaves_out_has_a_default():
    assert RPCDispatcher([Endpoint()], None).dispatch(Request()) == ({"user": "u"}, None)


@pytest.mark.parametrize(("fields", "error"), [
    ({"method": "absent"}, NoSuchMethod),
    ({"version": "2.0"}, UnsupportedVersion),
    ({"namespace": None}, UnsupportedVersion),
])
def test_its_faults_are_the_same(fields, error):
    with pytest.raises(error):
        RPCDispatcher([Endpoint()], None).dispatch(Request(**fields))


class Patient:
    """Its method returns when a heartbeat has been sent."""

    def __init__(self, request):
        self.request = request

    def echo(self, ctxt):
        return self.request.heartbeats.acquire(timeout=PATIENCE_S)


def test_the_caller_of_a_foreign_server_hears_of_a_long_call():
    request = Request(client_timeout=0.1, namespace=None)
    assert RPCDispatcher([Patient(request)], None).dispatch(request)


@pytest.mark.usefixtures("no_leaks")
def test_a_heartbeat_that_cannot_be_sent_is_the_last_and_harms_nobody():
    request = Request(client_timeout=0.1, namespace=None, error=OSError("gone"))
    assert RPCDispatcher([Patient(request)], None).dispatch(request)
    assert not request.heartbeats.acquire(blocking=False)


@pytest.mark.usefixtures("no_leaks")
def test_no_heartbeat_thread_stays_when_there_is_no_such_method():
    with pytest.raises(NoSuchMethod):
        RPCDispatcher([Endpoint()], None).dispatch(Request(client_timeout=600, method="absent"))


def test_a_dispatcher_of_ones_own_sees_the_request_as_it_was_written_for():
    seen = []

    class Own(DispatcherBase):
        def dispatch(self, incoming):
            seen.append((incoming.ctxt, incoming.message, incoming.client_timeout))
            return "own"

    assert call_through(Own(), "anything", x=1) == "own"
    message = {"method": "anything", "args": {"x": 1}, "namespace": None, "version": "1.0"}
    assert seen == [({"user": "u"}, message, 7)]


def test_a_dispatcher_that_extends_ours_answers():
    class Loud(RPCDispatcher):
        def dispatch(self, incoming):
            return super().dispatch(incoming) + ["heard"]  # noqa: RUF005 - the result may be any list

    class Plain:
        def echo(self, ctxt, value):
            return [value]

    assert call_through(Loud([Plain()], None), "echo", value=1) == [1, "heard"]


def call_through(dispatcher, method, **args):
    """Call a method of a server that has this dispatcher."""
    with memory_transport() as transport:
        server = RPCServer(transport, Target(topic="t", server="s"), dispatcher)
        with server:
            client = get_rpc_client(
                transport, Target(topic="t"), timeout=PATIENCE_S, call_monitor_timeout=7,
            )
            return client.call({"user": "u"}, method, **args)


# ---- settings that the original reads elsewhere --------------------------------------------------


@pytest.fixture
def global_conf(monkeypatch):
    """Return what stands for the global object of oslo.config."""
    conf = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "oslo_config.cfg", types.SimpleNamespace(CONF=conf))
    return conf


def test_a_dispatcher_made_by_hand_answers_pings_when_the_global_configuration_says_so(global_conf):
    request = Request(method="oslo_rpc_server_ping", namespace=None)
    global_conf.rpc_ping_enabled = True
    assert RPCDispatcher([], None).dispatch(request) == "pong"
    global_conf.rpc_ping_enabled = False
    with pytest.raises(UnsupportedVersion):
        RPCDispatcher([], None).dispatch(request)


def test_a_server_answers_pings_as_its_own_transport_says(global_conf):
    global_conf.rpc_ping_enabled = True
    dispatcher = RPCDispatcher([Endpoint()], None, ping_enabled=False)
    assert len(dispatcher.endpoints) == 1


def test_a_process_without_oslo_config_has_no_say(monkeypatch):
    monkeypatch.delitem(sys.modules, "oslo_config.cfg", raising=False)
    assert RPCDispatcher([], None).endpoints == []


def test_a_serializer_that_passes_everything_on_is_asked_when_it_is_mocked():
    serializer = NoOpSerializer()
    dispatcher = RPCDispatcher([Endpoint()], serializer)
    serializer.serialize_entity = mock.Mock(return_value="mocked")
    assert dispatcher.dispatch(Request()) == "mocked"
