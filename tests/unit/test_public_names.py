"""The public surface against oslo.messaging 18.3.1's, as `inspect.signature` showed it there."""

from __future__ import annotations

import inspect
import typing

import pytest

import tracedrpc

SENTINEL = "<object object>"

SIGNATURES = {
    "Target": "exchange=None, topic=None, namespace=None, version=None, server=None, fanout=None, "
              "legacy_namespaces=None",
    "TransportURL": "conf, transport=None, virtual_host=None, hosts=None, query=None",
    "TransportURL.parse": "conf, url=None",
    "TransportHost": "hostname=None, port=None, username=None, password=None",
    "TransportOptions": "at_least_once=False",
    "Transport": "driver",
    "Transport.cleanup": "self",
    "get_rpc_transport": "conf, url=None, allowed_remote_exmods=None, transport_cls=RPCTransport",
    "get_transport": "conf, url=None, allowed_remote_exmods=None",
    "set_transport_defaults": "control_exchange",
    "RPCClient": "transport, target, timeout=None, version_cap=None, serializer=None, retry=None, "
                 "call_monitor_timeout=None, transport_options=None, _manual_load=True",
    "RPCClient.call": "self, ctxt, method, **kwargs",
    "RPCClient.cast": "self, ctxt, method, **kwargs",
    "RPCClient.can_send_version": f"self, version={SENTINEL}",
    "RPCClient.prepare": "self, " + ", ".join(
        f"{name}={SENTINEL}"
        for name in ("exchange", "topic", "namespace", "version", "server", "fanout", "timeout",
                     "version_cap", "retry", "call_monitor_timeout", "transport_options")
    ),
    "get_rpc_client": "transport, target, client_cls=RPCClient, **kwargs",
    "get_rpc_server": "transport, target, endpoints, executor=None, serializer=None, "
                      "access_policy=None, server_cls=RPCServer",
    "MessageHandlingServer": "transport, dispatcher, executor=None",
    "MessageHandlingServer.start": "self, override_pool_size=None",
    "MessageHandlingServer.stop": "self",
    "MessageHandlingServer.wait": "self",
    "MessageHandlingServer.reset": "self",
    "RPCDispatcher": "endpoints, serializer, access_policy=None",
    "expected_exceptions": "*exceptions",
    "expose": "func",
    "DefaultRPCAccessPolicy": "",
    "LegacyRPCAccessPolicy": "",
    "ExplicitRPCAccessPolicy": "",
    "RPCAccessPolicyBase": "",
    "RPCAccessPolicyBase.is_allowed": "self, endpoint, method",
    "Serializer.serialize_entity": "self, ctxt, entity",
    "Serializer.deserialize_entity": "self, ctxt, entity",
    "Serializer.serialize_context": "self, ctxt",
    "Serializer.deserialize_context": "self, ctxt",
    "NoOpSerializer": "",
    "JsonPayloadSerializer": "",
    "InvalidTarget": "msg, target",
    "InvalidTransportURL": "url, msg",
    "DriverLoadFailure": "driver, ex",
    "ClientSendError": "target, ex",
    "RPCVersionCapError": "version, version_cap",
    "RemoteError": "exc_type=None, value=None, traceback=None",
    "ExecutorLoadFailure": "executor, ex",
    "ServerListenError": "target, ex",
    "NoSuchMethod": "method",
    "UnsupportedVersion": "version, method=None",
    "ExpectedException": "",
    "MessageUndeliverable": "exception, exchange, routing_key, message",
}

BASES = {
    "MessagingException": Exception,
    "MessagingTimeout": tracedrpc.MessagingException,
    "MessageDeliveryFailure": tracedrpc.MessagingException,
    "InvalidTarget": (tracedrpc.MessagingException, ValueError),
    "InvalidTransportURL": tracedrpc.MessagingException,
    "DriverLoadFailure": tracedrpc.MessagingException,
    "RemoteError": tracedrpc.MessagingException,
    "RPCVersionCapError": tracedrpc.MessagingException,
    "ClientSendError": tracedrpc.MessagingException,
    "MessagingServerError": tracedrpc.MessagingException,
    "ExecutorLoadFailure": tracedrpc.MessagingServerError,
    "ServerListenError": tracedrpc.MessagingServerError,
    "RPCDispatcherError": tracedrpc.MessagingServerError,
    "NoSuchMethod": (tracedrpc.RPCDispatcherError, AttributeError),
    "UnsupportedVersion": tracedrpc.RPCDispatcherError,
}

RPC_HALF = {name.partition(".")[0] for name in SIGNATURES} | set(BASES)
OURS = {"Options", "InvalidOption", "Telemetry", "install_telemetry", "__version__"}
MORE_OPTIONAL = {"get_rpc_transport": {"conf"}}
"""What we let callers leave out."""


def resolve(name):
    found = tracedrpc
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parameters(name):
    """Return our parameters as text, without what we add by keyword or at the end."""
    theirs = [part for part in SIGNATURES[name].split(", ") if part]
    subject = resolve(name)
    if name in {"DefaultRPCAccessPolicy", "RPCAccessPolicyBase"}:
        return [], []
    given = inspect.signature(subject).parameters.values()
    ours = [shown(one, name) for one in given if one.kind is not one.KEYWORD_ONLY]
    return ours, theirs


def shown(parameter, name):
    star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    default = parameter.default
    if default is parameter.empty or parameter.name in MORE_OPTIONAL.get(name, ()):
        return star + parameter.name
    if type(default) is object:
        return f"{parameter.name}={SENTINEL}"
    return f"{parameter.name}={default.__name__ if isinstance(default, type) else repr(default)}"


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_signature_is_oslo_messagings(name):
    ours, theirs = parameters(name)
    assert ours[: len(theirs)] == theirs
    assert all("=" in added for added in ours[len(theirs):]), "what we add must have a default"


@pytest.mark.parametrize("name", BASES)
def test_the_exception_is_caught_by_the_same_except_clauses(name):
    bases = BASES[name]
    for base in bases if isinstance(bases, tuple) else (bases,):
        assert issubclass(getattr(tracedrpc, name), base)


@pytest.mark.parametrize("name", ["MessageUndeliverable", "ExpectedException"])
def test_the_exception_is_no_messaging_exception_there_either(name):
    assert not issubclass(getattr(tracedrpc, name), tracedrpc.MessagingException)


def test_all_is_the_rpc_half_and_what_is_our_own():
    assert set(tracedrpc.__all__) == RPC_HALF | OURS
    assert len(tracedrpc.__all__) == len(set(tracedrpc.__all__))


def test_every_public_name_is_there_and_documented():
    for name in tracedrpc.__all__:
        subject = getattr(tracedrpc, name)
        assert name == "__version__" or inspect.getdoc(subject), name


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert tracedrpc.__version__ == version("tracedrpc")


def test_annotations_of_public_functions_can_be_read():
    for name in ("get_rpc_client", "get_rpc_server"):
        assert inspect.signature(getattr(tracedrpc, name)).parameters["transport"].annotation
    assert typing.get_type_hints(tracedrpc.TransportOptions.__init__)
