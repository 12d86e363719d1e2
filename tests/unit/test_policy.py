from __future__ import annotations

import pytest

from tracedrpc import (
    DefaultRPCAccessPolicy,
    ExplicitRPCAccessPolicy,
    LegacyRPCAccessPolicy,
    RPCAccessPolicyBase,
    expose,
)


class Endpoint:
    @expose
    def exposed(self, ctxt):
        return ctxt

    @staticmethod
    @expose
    def exposed_inside(ctxt):
        return ctxt

    @expose
    @staticmethod
    def exposed_outside(ctxt):
        return ctxt

    @classmethod
    @expose
    def exposed_of_class(cls, ctxt):
        return ctxt

    def plain(self, ctxt):
        return ctxt

    def _private(self, ctxt):
        return ctxt

    @property
    def explosive(self):
        raise AssertionError("a policy must not evaluate a property")


class Dynamic:
    def __getattr__(self, name):
        if name != "made_up":
            raise AttributeError(name)
        return expose(lambda ctxt: ctxt)


@pytest.mark.parametrize("method", ["exposed", "plain", "_private", "absent"])
def test_the_legacy_policy_allows_everything(method):
    assert LegacyRPCAccessPolicy().is_allowed(Endpoint(), method)


@pytest.mark.parametrize(
    ("method", "is_allowed"), [("plain", True), ("_private", False), ("__init__", False)],
)
def test_the_default_policy_allows_public_names(method, is_allowed):
    assert DefaultRPCAccessPolicy().is_allowed(Endpoint(), method) is is_allowed


@pytest.mark.parametrize("method", ["exposed", "exposed_inside", "exposed_outside", "exposed_of_class"])
def test_the_explicit_policy_allows_what_is_exposed(method):
    assert ExplicitRPCAccessPolicy().is_allowed(Endpoint(), method)


@pytest.mark.parametrize("method", ["plain", "_private", "absent", "explosive"])
def test_the_explicit_policy_refuses_the_rest_without_evaluating_it(method):
    assert not ExplicitRPCAccessPolicy().is_allowed(Endpoint(), method)


def test_the_explicit_policy_looks_into_dynamic_endpoints():
    assert ExplicitRPCAccessPolicy().is_allowed(Dynamic(), "made_up")
    assert not ExplicitRPCAccessPolicy().is_allowed(Dynamic(), "absent")


def test_expose_returns_the_function_with_the_mark_of_oslo_messaging():
    def method(ctxt):
        return ctxt

    assert expose(method) is method
    assert method.exposed is True


def test_a_policy_must_say_what_is_allowed():
    with pytest.raises(TypeError):
        RPCAccessPolicyBase()
