from __future__ import annotations

import importlib.metadata

import pytest

from tracedrpc import Telemetry, _guard, install_telemetry
from tracedrpc.message import Mode
from tracedrpc.telemetry import SILENCE, Scope
from tracedrpc.testing import RecordingTelemetry


class Broken(Telemetry):
    """Raises in every hook and scope."""

    def call(self, invocation):
        return BrokenScope()

    def process(self, incoming):
        raise OSError("process")


class BrokenScope(Scope):
    def __enter__(self):
        raise OSError("enter")

    def __exit__(self, *exc_info):
        raise OSError("exit")

    def failed(self, error, *, expected=False):
        raise OSError("failed")


def raising(name):
    def hook(self, *args, **fields):
        raise OSError(name)

    return hook


for _name in _guard.MOMENTS:
    setattr(Broken, _name, raising(_name))


@pytest.fixture
def failures(monkeypatch):
    told = []
    monkeypatch.setattr(Telemetry, "telemetry_failed", lambda self, where, error: told.append(where))
    return told


@pytest.fixture
def installed():
    before = install_telemetry(None)
    yield
    install_telemetry(before)


@pytest.mark.parametrize("name", _guard.MOMENTS)
def test_a_moment_that_raises_is_reported_once_and_disturbs_nobody(failures, name):
    guarded = _guard.guarded(Broken())
    for _ in range(3):
        getattr(guarded, name)("any", "arguments")
    assert failures == [name]


@pytest.mark.parametrize("name", ["call", "process"])
def test_a_scope_that_raises_disturbs_nobody(failures, name):
    guarded = _guard.guarded(Broken())
    for _ in range(2):
        with getattr(guarded, name)(None) as scope:
            scope.failed(ValueError())
    assert failures == [name]


def test_what_happens_inside_a_broken_scope_gets_out(failures):
    with pytest.raises(ValueError, match="ours"), _guard.guarded(Broken()).call(None):
        raise ValueError("ours")


def test_a_working_telemetry_hears_everything():
    telemetry = RecordingTelemetry({"traceparent": "x"})
    guarded = _guard.guarded(telemetry)
    guarded.reply_discarded("m", reason="late")
    with guarded.call("invocation") as scope:
        assert scope.carrier == {"traceparent": "x"}
        scope.failed(ValueError(), expected=True)
    assert telemetry.names() == ["reply_discarded", "call.entered", "call.failed", "call.left"]


def test_the_scope_that_the_telemetry_made_can_be_reached():
    telemetry = RecordingTelemetry()
    scope = _guard.guarded(telemetry).call("invocation")
    assert type(scope.inner).__name__ == "_RecordingScope"


def test_the_silent_telemetry_needs_no_guard():
    silent = Telemetry()
    assert _guard.guarded(silent) is silent
    assert silent.call(None) is SILENCE


def test_what_is_guarded_is_not_guarded_twice():
    guarded = _guard.guarded(RecordingTelemetry())
    assert _guard.guarded(guarded) is guarded


def test_an_error_that_is_no_exception_is_not_swallowed():
    class Interrupted(Telemetry):
        def reply_discarded(self, msg_id, reason):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _guard.guarded(Interrupted()).reply_discarded("m", "late")


def test_install_returns_what_was_there_before(installed):
    one, other = RecordingTelemetry(), RecordingTelemetry()
    assert install_telemetry(one) is None
    assert _guard.installed() is one
    assert install_telemetry(other) is one


class Entry:
    name = "entry"

    def __init__(self, made):
        self.made = made

    def load(self):
        if isinstance(self.made, Exception):
            raise self.made
        return lambda: self.made


@pytest.mark.usefixtures("installed")
def test_the_first_installed_package_that_offers_a_telemetry_is_asked_once(monkeypatch, failures):
    found = RecordingTelemetry()
    asked = []

    def entry_points(group):
        asked.append(group)
        return [Entry(ImportError("broken")), Entry(None), Entry(found), Entry(RecordingTelemetry())]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert _guard.installed() is found
    assert _guard.installed() is found
    assert asked == ["tracedrpc.telemetry"]
    assert failures == ["entry point entry"]


@pytest.mark.usefixtures("installed")
def test_without_one_there_are_log_lines_only(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [])
    assert type(_guard.installed()) is Telemetry


def test_moments_are_told_from_scopes():
    assert not set(_guard.SCOPES) & set(_guard.MOMENTS)
    assert Mode.CALL == "call"
