from __future__ import annotations

import inspect
import threading
from unittest import mock

import pytest

from tracedrpc import _guard
from tracedrpc.telemetry import Telemetry
from tracedrpc.testing import RECORDED, RecordingTelemetry, memory_transport


@pytest.fixture
def telemetry():
    return RecordingTelemetry()


def test_every_moment_is_recorded_under_its_name_with_its_fields():
    for name in RECORDED:
        names = [one for one in inspect.signature(getattr(Telemetry, name)).parameters if one != "self"]
        telemetry, fields = RecordingTelemetry(), {one: object() for one in names}
        with mock.patch.object(Telemetry, name, autospec=True) as line:
            getattr(telemetry, name)(**fields)
        assert [(moment.name, moment.fields) for moment in telemetry.moments] == [(name, fields)]
        line.assert_called_once_with(telemetry, **fields)


def test_nothing_that_can_be_told_is_missing():
    public = {name for name, hook in vars(Telemetry).items() if callable(hook) and not name.startswith("_")}
    assert set(RECORDED) | set(_guard.SCOPES) == public
    assert set(RECORDED) | set(_guard.SCOPES) <= set(vars(RecordingTelemetry))


def test_positional_arguments_are_recorded_by_name(telemetry):
    telemetry.reply_discarded("m", reason="late")
    assert telemetry.of("reply_discarded")[0].fields == {"msg_id": "m", "reason": "late"}


def test_scopes_are_recorded_with_what_they_are_about(telemetry):
    error = ValueError("x")
    with pytest.raises(ValueError, match="x"), telemetry.call("invocation") as scope:
        scope.failed(error, expected=True)
        raise error
    assert telemetry.names() == ["call.entered", "call.failed", "call.left"]
    assert telemetry.of("call.left")[0].fields == {"subject": "invocation", "error": error}
    assert telemetry.of("call.failed")[0].fields["expected"] is True


def test_scopes_send_the_carrier_along():
    carrier = {"traceparent": "x"}
    assert RecordingTelemetry(carrier).call(None).carrier == carrier


def test_it_can_be_waited_for_what_another_thread_tells(telemetry):
    thread = threading.Thread(target=lambda: telemetry.reply_discarded("m", "late"), name="teller")
    thread.start()
    assert telemetry.wait_for("reply_discarded")[0].thread == "teller"
    thread.join()


def test_waiting_in_vain_says_what_there_was_instead(telemetry):
    telemetry.reply_discarded("m", "late")
    with pytest.raises(AssertionError, match=r"no 2 x reply_discarded .* reply_discarded"):
        telemetry.wait_for("reply_discarded", 2, timeout_s=0.01)
    telemetry.clear()
    with pytest.raises(AssertionError, match="there was: nothing"):
        telemetry.wait_for("reply_discarded", timeout_s=0.01)


def test_the_memory_transport_takes_settings():
    with memory_transport(rpc_response_timeout=3) as transport:
        assert transport.options.rpc_response_timeout == 3
        assert transport.conf is transport.options
        assert type(transport.telemetry) is Telemetry


def test_memory_transports_without_a_name_have_a_broker_each():
    with memory_transport() as one, memory_transport() as other, memory_transport("n") as named:
        assert len({one.driver.broker, other.driver.broker, named.driver.broker}) == 3
        with memory_transport("n") as same:
            assert same.driver.broker is named.driver.broker
