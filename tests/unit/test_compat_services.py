"""What oslo.service's launchers ask of a server, without oslo.service."""

from __future__ import annotations

import sys
import types
from abc import ABC, abstractmethod

import pytest

from tracedrpc import Target, get_rpc_server
from tracedrpc.testing import memory_transport


@pytest.fixture
def service_base(monkeypatch):
    """Return an abstract class that stands for oslo.service's."""

    class ServiceBase(ABC):
        @abstractmethod
        def start(self):
            """As there."""

    module = types.SimpleNamespace(ServiceBase=ServiceBase)
    monkeypatch.setitem(sys.modules, "oslo_service.service", module)
    return ServiceBase


def make_server(transport):
    return get_rpc_server(transport, Target(topic="t", server="s"), [])


def test_a_server_is_a_service_where_oslo_service_is_in_use(service_base):
    with memory_transport() as transport:
        assert isinstance(make_server(transport), service_base)


def test_a_half_imported_oslo_service_is_no_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "oslo_service.service", types.SimpleNamespace())
    with memory_transport() as transport:
        make_server(transport)


def test_reset_leaves_a_server_serving(service_base):
    with memory_transport() as transport, make_server(transport) as server:
        server.reset()
        server.start()
        assert server.state.value == "serving"
