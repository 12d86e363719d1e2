"""Who else traces the same calls is noticed, said once, and doubles nothing."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
import wrapt
from opentelemetry.trace import SpanKind

from tests.telemetry.support import Lab
from tracedrpc.rpc.dispatcher import RPCDispatcher
from tracedrpc.rpc.transport import get_rpc_transport
from tracedrpc.testing import memory_transport
from tracedrpc_otel import instrument, peers, uninstrument

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_told", set())


def _told(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [vars(record) for record in caplog.records if "peer_detected" in record.getMessage()]


def _conf(value: object) -> Any:
    return types.SimpleNamespace(oslo_messaging_tracing=types.SimpleNamespace(tracing_enabled=value))


def test_the_flag_of_oslo_messagings_own_tracing_is_noticed_once(
    lab: Lab, caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        get_rpc_transport(_conf(True), "memory://", telemetry=lab.inner).cleanup()
    (said,) = _told(caplog)
    assert said["levelname"] == "WARNING"
    assert said["tracedrpc.where"] == "[oslo_messaging_tracing] tracing_enabled"
    assert "set it to false" in said["tracedrpc.reason"]


def test_a_real_configuration_of_oslo_config_is_asked(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    cfg = pytest.importorskip("oslo_config.cfg")
    conf = cfg.ConfigOpts()
    conf([], project="x")
    get_rpc_transport(conf, "memory://", telemetry=lab.inner).cleanup()  # the option is not registered
    conf.register_opts([cfg.BoolOpt("tracing_enabled", default=False)], group="oslo_messaging_tracing")
    get_rpc_transport(conf, "memory://", telemetry=lab.inner).cleanup()
    assert _told(caplog) == []
    conf.set_override("tracing_enabled", True, group="oslo_messaging_tracing")
    get_rpc_transport(conf, "memory://", telemetry=lab.inner).cleanup()
    assert len(_told(caplog)) == 1


class Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("conf", [None, _conf(False), _conf("yes"), object(), 3, Hostile])
def test_whatever_the_configuration_is_nothing_is_said_without_the_flag(
    conf: Any, caplog: pytest.LogCaptureFixture,
) -> None:
    peers.look(conf() if conf is Hostile else conf)
    assert _told(caplog) == []


def test_oslo_messagings_tracer_in_use_is_noticed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    module = types.SimpleNamespace(_TRACER=None)
    monkeypatch.setitem(sys.modules, "oslo_messaging._tracing.client", module)
    memory_transport(telemetry=instrument()).cleanup()
    assert _told(caplog) == []
    module._TRACER = object()
    memory_transport(telemetry=instrument()).cleanup()
    uninstrument()
    (said,) = _told(caplog)
    assert said["tracedrpc.where"] == "oslo_messaging._tracing.client"


# ---- the instrumentation on PyPI --------------------------------------------------------------
# It is not installed here; a module of its name and shape stands for it. `BaseInstrumentor` is the
# real one, and so is wrapt, by which it wraps `RPCDispatcher.dispatch`.


@pytest.fixture
def instrumentor(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> Iterator[Any]:
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
    from opentelemetry.instrumentation.utils import unwrap

    tracer = lab.provider.get_tracer("peer")

    def traced(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        with tracer.start_as_current_span("peer", kind=SpanKind.CONSUMER):
            return wrapped(*args, **kwargs)

    traced.__module__ = "opentelemetry.instrumentation.oslo_messaging.decorators"

    class OsloMessagingInstrumentor(BaseInstrumentor):
        wraps_us = False

        def instrumentation_dependencies(self) -> tuple[str, ...]:
            return ()

        def _instrument(self, **_: Any) -> None:
            if self.wraps_us:
                wrapt.wrap_function_wrapper(RPCDispatcher, "dispatch", traced)

        def _uninstrument(self, **_: Any) -> None:
            unwrap(RPCDispatcher, "dispatch")

    module = types.SimpleNamespace(OsloMessagingInstrumentor=OsloMessagingInstrumentor)
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.oslo_messaging.instrument", module)
    made = OsloMessagingInstrumentor()
    yield made
    if made.is_instrumented_by_opentelemetry:
        made.uninstrument()


def test_an_instrumentation_that_is_off_is_no_news(
    instrumentor: Any, lab: Lab, caplog: pytest.LogCaptureFixture,
) -> None:
    memory_transport(telemetry=lab.inner).cleanup()
    instrumentor.instrument()
    instrumentor.uninstrument()
    memory_transport(telemetry=lab.inner).cleanup()
    assert _told(caplog) == []


def test_an_instrumentation_that_is_on_is_noticed_once(
    instrumentor: Any, lab: Lab, caplog: pytest.LogCaptureFixture,
) -> None:
    instrumentor.instrument()
    for _ in range(2):
        memory_transport(telemetry=lab.inner).cleanup()
    (said,) = _told(caplog)
    assert said["tracedrpc.where"] == "opentelemetry.instrumentation.oslo_messaging"
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=oslo_messaging" in said["tracedrpc.reason"]


def test_wrappers_round_our_own_classes_come_off_so_that_no_span_is_doubled(
    instrumentor: Any, lab: Lab, caplog: pytest.LogCaptureFixture,
) -> None:
    import tracedrpc

    class Endpoint:
        def echo(self, ctxt: Any) -> int:
            return 1

    original = vars(RPCDispatcher)["dispatch"]
    instrumentor.wraps_us = True
    instrumentor.instrument()
    assert vars(RPCDispatcher)["dispatch"] is not original
    transport = memory_transport(telemetry=lab.inner)
    with tracedrpc.get_rpc_server(transport, tracedrpc.Target(topic="t", server="s"), [Endpoint()]):
        tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic="t"), timeout=5).call({}, "echo")
    transport.cleanup()
    assert vars(RPCDispatcher)["dispatch"] is original
    assert "peer" not in [span.name for span in lab.spans]
    assert len([span for span in lab.spans if span.kind is SpanKind.SERVER]) == 1
    assert len(_told(caplog)) == 2


def test_a_wrapper_of_somebody_else_stays(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    from opentelemetry.instrumentation.utils import unwrap

    def passing(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper(RPCDispatcher, "dispatch", passing)
    memory_transport(telemetry=lab.inner).cleanup()
    assert hasattr(vars(RPCDispatcher)["dispatch"], "__wrapped__")
    unwrap(RPCDispatcher, "dispatch")
    assert _told(caplog) == []
