from __future__ import annotations

import functools
from unittest import mock

import pytest

from tracedrpc import (
    ExpectedException,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    NoSuchMethod,
    RPCAccessPolicyBase,
    RPCDispatcher,
    Serializer,
    Target,
    UnsupportedVersion,
    expected_exceptions,
    expose,
)
from tracedrpc.message import Received
from tracedrpc.rpc import dispatcher as dispatcher_module


def received(method, namespace=None, version="1.0", args=None, context=None):
    return Received(method, args or {}, context or {}, namespace, version)


def dispatch(endpoints, *request, access_policy=None, **fields):
    return RPCDispatcher(endpoints, None, access_policy).answer(received(*request, **fields))


class Endpoint:
    nested = dict
    number = 3

    def __init__(self):
        self.client = lambda ctxt: "a callable that the instance only holds"

    def hello(self, ctxt, name="you"):
        return f"hello {name} from {ctxt.get('user')}"

    def _private(self, ctxt):
        return "private"

    @staticmethod
    def static(ctxt):
        return "static"

    @classmethod
    def of_class(cls, ctxt):
        return cls.__name__

    def _base(self, greeting, ctxt):
        return greeting

    partial = functools.partialmethod(_base, "ciao")

    @property
    def explosive(self):
        raise AssertionError("a dispatcher must not evaluate a property")

    @functools.cached_property
    def cached(self):
        raise AssertionError("a dispatcher must not evaluate a property")


class Versioned:
    def __init__(self, name, **target):
        self.name = name
        self.target = Target(**target)

    def who(self, ctxt):
        return self.name


def test_the_method_gets_context_and_arguments():
    result = dispatch([Endpoint()], "hello", args={"name": "me"}, context={"user": "u"})
    assert result == "hello me from u"


@pytest.mark.parametrize(
    ("method", "result"), [("static", "static"), ("of_class", "Endpoint"), ("partial", "ciao")],
)
def test_every_kind_of_method_can_be_called(method, result):
    assert dispatch([Endpoint()], method) == result


@pytest.mark.parametrize(
    "method",
    ["absent", "_private", "explosive", "cached", "nested", "number", "client", "target", "mro",
     "__init__", "__class__", "", "hello.im_func"],
)
def test_what_is_no_public_method_of_the_class_does_not_exist(method):
    with pytest.raises(NoSuchMethod) as caught:
        dispatch([Endpoint()], method)
    assert caught.value.method == method


@pytest.mark.parametrize("method", ["__class__", "__init__", "__reduce__", "target", "explosive"])
def test_the_legacy_policy_opens_neither_dunders_nor_properties(method):
    with pytest.raises(NoSuchMethod):
        dispatch([Endpoint()], method, access_policy=LegacyRPCAccessPolicy)


def test_the_legacy_policy_opens_private_methods():
    assert dispatch([Endpoint()], "_private", access_policy=LegacyRPCAccessPolicy) == "private"


def test_the_first_endpoint_that_has_the_method_wins():
    class Other:
        def hello(self, ctxt):
            return "second"

        def extra(self, ctxt):
            return "extra"

    assert dispatch([Endpoint(), Other()], "hello").startswith("hello")
    assert dispatch([Endpoint(), Other()], "extra") == "extra"


@pytest.mark.parametrize(
    ("namespace", "version", "who"),
    [(None, "1.0", "plain"), (None, "1.3", "plain"), ("ns", "1.0", "ns"), ("old", "2.1", "legacy")],
)
def test_namespace_and_version_choose_the_endpoint(namespace, version, who):
    endpoints = [
        Versioned("plain", version="1.3"),
        Versioned("ns", namespace="ns"),
        Versioned("legacy", namespace="new", version="2.1", legacy_namespaces=["old"]),
    ]
    assert dispatch(endpoints, "who", namespace, version) == who


@pytest.mark.parametrize(
    ("namespace", "version"),
    [(None, "1.4"), (None, "2.0"), ("ns", "1.1"), ("unknown", "1.0"), (None, "x"), (None, "")],
)
def test_a_version_or_namespace_that_nobody_speaks_is_unsupported(namespace, version):
    endpoints = [Versioned("plain", version="1.3"), Versioned("ns", namespace="ns")]
    with pytest.raises(UnsupportedVersion) as caught:
        dispatch(endpoints, "who", namespace, version)
    assert (caught.value.version, caught.value.method) == (version, "who")


def test_an_endpoint_without_a_target_speaks_version_1_0_of_no_namespace():
    assert dispatch([Endpoint()], "static") == "static"
    with pytest.raises(UnsupportedVersion):
        dispatch([Endpoint()], "static", None, "1.1")


@pytest.mark.parametrize("target", ["text", 0, lambda ctxt: None])
def test_a_target_that_is_none_is_refused_at_once(target):
    endpoint = Endpoint()
    endpoint.target = target
    with pytest.raises(TypeError, match="'target'"):
        RPCDispatcher([endpoint], None)


@pytest.mark.parametrize("policy", [str, "default", Endpoint()])
def test_an_access_policy_that_is_none_is_refused_at_once(policy):
    with pytest.raises(TypeError, match="RPCAccessPolicyBase"):
        RPCDispatcher([], None, policy)


def test_an_access_policy_can_be_an_instance():
    assert dispatch([Endpoint()], "_private", access_policy=LegacyRPCAccessPolicy()) == "private"


def test_the_explicit_policy_hides_what_is_not_exposed():
    class Careful:
        @expose
        def shown(self, ctxt):
            return 1

        def hidden(self, ctxt):
            return 2

    assert dispatch([Careful()], "shown", access_policy=ExplicitRPCAccessPolicy) == 1
    with pytest.raises(NoSuchMethod):
        dispatch([Careful()], "hidden", access_policy=ExplicitRPCAccessPolicy)


def test_the_policy_is_asked_before_a_dynamic_endpoint_is_and_each_time():
    asked = []

    class Dynamic:
        target = None

        def __getattr__(self, name):
            asked.append(name)
            return lambda ctxt: name

    class Changing(RPCAccessPolicyBase):
        is_open = True

        def is_allowed(self, endpoint, method):
            asked.append("policy")
            return self.is_open

    policy = Changing()
    subject = RPCDispatcher([Dynamic()], None, policy)
    assert subject.answer(received("anything")) == "anything"
    assert asked == ["policy", "anything"]
    policy.is_open = False
    asked.clear()
    with pytest.raises(NoSuchMethod):
        subject.answer(received("anything"))
    assert set(asked) == {"policy"}


def test_a_mock_is_an_endpoint_when_it_has_a_target():
    endpoint = mock.Mock(target=Target())
    endpoint.hello.return_value = "mocked"
    assert dispatch([endpoint], "hello", args={"a": 1}, context={"u": 2}) == "mocked"
    endpoint.hello.assert_called_once_with({"u": 2}, a=1)


def test_a_method_patched_after_its_first_call_is_the_one_that_runs():
    subject = RPCDispatcher([Endpoint()], None)
    subject.answer(received("static"))
    with mock.patch.object(Endpoint, "static", return_value="patched"):
        assert subject.answer(received("static")) == "patched"


def test_wrong_arguments_are_a_type_error_of_the_method():
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        dispatch([Endpoint()], "hello", args={"nope": 1})
    with pytest.raises(TypeError, match="multiple values"):
        dispatch([Endpoint()], "hello", args={"ctxt": 1})


def test_names_that_peers_invent_are_not_remembered():
    subject = RPCDispatcher([Endpoint()], None)
    for number in range(50):
        with pytest.raises(NoSuchMethod):
            subject.answer(received(f"m{number}"))
    assert len(subject._resolved) == 0


def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(dispatcher_module, "_CACHE_LIMIT", 10)
    subject = RPCDispatcher([Versioned("v", version="1.99")], None)
    for number in range(50):
        assert subject.answer(received("who", None, f"1.{number}")) == "v"
    assert 0 < len(subject._resolved) <= 10


def test_ping_answers_when_enabled_and_the_callers_list_is_left_alone():
    endpoints = [Endpoint()]
    subject = RPCDispatcher(endpoints, None, ping_enabled=True)
    assert subject.answer(received("oslo_rpc_server_ping")) == "pong"
    assert len(endpoints) == 1
    with pytest.raises(NoSuchMethod):
        dispatch(endpoints, "oslo_rpc_server_ping")


def test_an_endpoint_with_its_own_ping_keeps_it():
    class Own:
        def oslo_rpc_server_ping(self, ctxt):
            return "own"

    subject = RPCDispatcher([Own()], None, ping_enabled=True)
    assert subject.answer(received("oslo_rpc_server_ping")) == "own"


def test_the_serializer_turns_context_arguments_and_result():
    class Marking(Serializer):
        def serialize_entity(self, ctxt, entity):
            return ("out", ctxt["user"], entity)

        def deserialize_entity(self, ctxt, entity):
            return f"in-{ctxt['user']}-{entity}"

        def serialize_context(self, ctxt):
            raise AssertionError("a server does not serialize a context")

        def deserialize_context(self, ctxt):
            return {"user": ctxt["user"].upper()}

    subject = RPCDispatcher([Endpoint()], Marking())
    request = received("hello", args={"name": "n"}, context={"user": "u"})
    assert subject.answer(request) == ("out", "U", "hello in-U-n from U")


def test_something_can_be_done_around_the_method_once_it_is_known():
    seen = []

    def run(method, context, args):
        seen.append((method.__name__, args))
        return method(context, **args)

    subject = RPCDispatcher([Endpoint()], None)
    assert subject.answer(received("static"), run) == "static"
    with pytest.raises(NoSuchMethod):
        subject.answer(received("absent"), run)
    assert seen == [("static", {})]


def test_expected_exceptions_keep_the_original_and_let_others_pass():
    class Failing:
        @expected_exceptions(KeyError, ValueError)
        def fail(self, ctxt, kind):
            raise {"value": ValueError, "type": TypeError}[kind](kind)

    with pytest.raises(ExpectedException) as caught:
        dispatch([Failing()], "fail", args={"kind": "value"})
    assert caught.value.exc_info[0] is ValueError
    assert str(caught.value.exc_info[1]) == "value"
    with pytest.raises(TypeError):
        dispatch([Failing()], "fail", args={"kind": "type"})


def test_expected_exceptions_keep_the_methods_name_and_mark():
    @expected_exceptions(ValueError)
    @expose
    def method(ctxt):
        """Say something."""

    assert method.__name__ == "method"
    assert method.exposed is True
    assert method.__doc__ == "Say something."
