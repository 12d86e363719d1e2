"""Exceptions on the wire: told under oslo.messaging's names, rebuilt with care."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc import exceptions
from tracedrpc.exceptions import NoSuchMethod, RemoteError, UnsupportedVersion
from tracedrpc.wire.failure import MOST_CHARS, rebuild_failure, serialize_failure

APP = "app_of_the_failure_tests"


class NoDisk(Exception):
    """What an application raises."""

    def __init__(self, size, unit="GB"):
        super().__init__(size)
        self.size = size
        self.kwargs = {"unit": unit}


class Picky(Exception):
    """Its constructor refuses everything that comes from the wire."""

    def __init__(self, *args):
        if args:
            raise KeyError("not from there")


class Quitter(Exception):
    """Its constructor would end the process."""

    def __init__(self, *args):
        if args:
            sys.exit(3)


class Impostor(Exception):
    """Its constructor returns something else."""

    def __new__(cls, *args):
        return "not an exception" if args else super().__new__(cls)


@pytest.fixture(autouse=True)
def app(monkeypatch):
    module = ModuleType(APP)
    for cls in (NoDisk, Picky, Quitter, Impostor):
        monkeypatch.setattr(cls, "__module__", APP)
        setattr(module, cls.__name__, cls)
    module.not_a_class = "text"
    module.Exit = SystemExit
    monkeypatch.setitem(sys.modules, APP, module)
    return module


def raised(error):
    try:
        raise error  # noqa: TRY301 - so that it has a traceback
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught


def told(error):
    return json.loads(serialize_failure(raised(error)))


def failure(name="ValueError", module="builtins", **more):
    return json.dumps({
        "class": name, "module": module, "message": "no", "tb": ["line 1\n"], "args": ["no"], "kwargs": {},
    } | more)


# ---- sending -------------------------------------------------------------------------------------


def test_an_exception_is_told_with_class_text_traceback_and_arguments():
    data = told(ValueError("no", 1))
    assert set(data) == {"class", "module", "message", "tb", "args", "kwargs"}
    assert (data["class"], data["module"], data["args"]) == ("ValueError", "builtins", ["no", 1])
    assert data["message"] == "('no', 1)"
    assert data["tb"][0].startswith("Traceback")
    assert data["tb"][-1] == "ValueError: ('no', 1)\n"


def test_the_kwargs_of_an_exception_are_told():
    assert told(NoDisk(5, unit="TB"))["kwargs"] == {"unit": "TB"}


@pytest.mark.parametrize(
    ("error", "module"),
    [
        (NoSuchMethod("m"), "oslo_messaging.rpc.dispatcher"),
        (UnsupportedVersion("1.0"), "oslo_messaging.rpc.dispatcher"),
        (exceptions.MessagingTimeout(), "oslo_messaging.exceptions"),
        (RemoteError("X"), "oslo_messaging.rpc.client"),
        (exceptions.RPCVersionCapError("2.0", "1.0"), "oslo_messaging.rpc.client"),
        (exceptions.InvalidTransportURL("u", "m"), "oslo_messaging.transport"),
        (exceptions.TaskTimeout(), "oslo_messaging.server"),
        (exceptions.TransportDriverError(), "oslo_messaging._drivers.base"),
        (exceptions.InvalidOption("n", "m"), "tracedrpc.exceptions"),
        (NoDisk(1), APP),
    ],
)
def test_our_exceptions_are_told_under_oslo_messaging_s_modules(error, module):
    assert told(error)["module"] == module


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("mute")


class Opaque:
    def __str__(self):
        return "opaque"


class Prickly(Exception):
    @property
    def kwargs(self):
        raise RuntimeError("prickly")


@pytest.mark.parametrize("error", [Mute("x"), Prickly("x"), SystemExit(3), KeyError(object())])
def test_whatever_the_exception_does_it_is_told(error):
    assert told(error)["class"] == type(error).__name__


def test_arguments_that_json_cannot_hold_are_told_as_text():
    args = told(ValueError(1, {1, 2}, IndexError("x"), [len], b"\xff", Opaque()))["args"]
    assert args == [1, [1, 2], "IndexError('x')", ["<built-in function len>"], "b'\\xff'", "opaque"]


def test_kwargs_that_json_cannot_hold_are_told_as_text():
    error = NoDisk(1)
    error.kwargs = {"good": 1, "bad": Opaque(), (1, 2): 3}
    assert told(error)["kwargs"] == {"good": 1, "bad": "opaque", "(1, 2)": 3}


def test_a_huge_exception_is_cut():
    text = serialize_failure(raised(ValueError("x" * 10_000_000)))
    assert len(text) < 10 * MOST_CHARS


def recurse(levels):
    if levels == 0:
        raise ValueError("at the bottom")
    return recurse(levels - 1) if levels % 2 else recurse(levels - 1) + 1


def test_of_a_long_traceback_the_end_is_kept():
    with pytest.raises(ValueError, match="at the bottom") as caught:
        recurse(400)
    lines = json.loads(serialize_failure(caught.value))["tb"]
    assert lines[-1] == "ValueError: at the bottom\n"
    assert len("".join(lines)) <= MOST_CHARS + 10


# ---- rebuilding ----------------------------------------------------------------------------------


def test_a_builtin_is_always_rebuilt():
    error = rebuild_failure(failure(), [])
    assert type(error) is ValueError
    assert str(error) == "no\nline 1\n"


def test_the_module_name_of_python_2_is_understood():
    assert type(rebuild_failure(failure(module="exceptions"), [])) is ValueError


def test_an_allowed_class_is_rebuilt_as_its_remote_twin():
    error = rebuild_failure(serialize_failure(raised(NoDisk(5, unit="TB"))), [APP])
    assert isinstance(error, NoDisk)
    assert (type(error).__name__, type(error).__module__) == ("NoDisk_Remote", APP + "_Remote")
    assert (error.size, error.args, error.kwargs) == (5, (5,), {"unit": "TB"})
    assert str(error).startswith("5\nTraceback")


def test_two_remote_twins_keep_their_own_texts():
    one, other = (rebuild_failure(failure("NoDisk", APP, message=text), [APP]) for text in "ab")
    assert type(one) is type(other)
    assert (str(one)[0], str(other)[0]) == ("a", "b")


def test_a_remote_twin_goes_on_under_its_first_name():
    error = rebuild_failure(failure("NoDisk", APP), [APP])
    data = told(error)
    assert (data["class"], data["module"]) == ("NoDisk", APP)


@pytest.mark.parametrize("allowed", [[], ["other"], [APP + ".sub"], [APP[:-1]]])
def test_other_modules_classes_become_remote_errors(allowed):
    error = rebuild_failure(failure("NoDisk", APP), allowed)
    assert type(error) is RemoteError
    assert (error.exc_type, error.value, error.traceback) == ("NoDisk", "no", ["line 1\n"])


def test_a_module_that_is_not_loaded_is_not_imported():
    sys.modules.pop("this", None)
    assert type(rebuild_failure(failure("X", "this"), ["this"])) is RemoteError
    assert "this" not in sys.modules


def test_a_module_s_own_code_does_not_run_to_find_a_class(app):
    app.__getattr__ = lambda name: pytest.fail("was run")
    assert type(rebuild_failure(failure("Missing", APP), [APP])) is RemoteError


@pytest.mark.parametrize(
    "allowed", [["oslo_messaging.rpc.dispatcher"], ["tracedrpc.exceptions"], ["tracedrpc"]],
)
@pytest.mark.parametrize("module", ["oslo_messaging.rpc.dispatcher", "tracedrpc.exceptions"])
def test_our_exceptions_are_found_under_both_libraries_paths(module, allowed):
    error = rebuild_failure(failure("NoSuchMethod", module), allowed)
    assert isinstance(error, NoSuchMethod)
    assert type(error).__module__ == module + "_Remote"


def test_our_exceptions_too_must_be_allowed():
    assert type(rebuild_failure(failure("NoSuchMethod", "oslo_messaging.rpc.dispatcher"), [])) is RemoteError


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("Picky", APP), ("Quitter", APP), ("Impostor", APP), ("not_a_class", APP), ("Exit", APP),
        ("__name__", APP), ("", APP), ("SystemExit", "builtins"), ("KeyboardInterrupt", "builtins"),
        ("BaseException", "builtins"), ("eval", "builtins"), ("__import__", "builtins"), ("int", "builtins"),
        ("UnicodeDecodeError", "builtins"), ("ExceptionGroup", "builtins"), ("system", "os"),
        ("RemoteError", "tracedrpc.wire.failure"),
    ],
)
def test_what_cannot_be_rebuilt_becomes_a_remote_error(name, module):
    assert type(rebuild_failure(failure(name, module), [APP, "os"])) is RemoteError


POISON = [
    "", "null", "[]", "1", '"text"', "{", "{}", "NaN", "[" * 100_000, '{"a":' * 2000 + "1" + "}" * 2000,
    "9" * 5000, "\ud800",
    failure(**{"class": None}), failure(module=None), failure(module=["builtins"]), failure(message=None),
    failure(message=5), failure(tb=[1, None]), failure(tb="text"), failure(tb=None), failure(args="no"),
    failure(args={"a": 1}), failure(args=None), failure(kwargs=[1]), failure(kwargs={"x": 1}),
    failure(kwargs=None), failure("KeyError", args=[{"a": []}]),
    failure("OSError", args=[2, "no", "f", 4, 5, 6]),
]


@pytest.mark.parametrize("text", POISON, ids=range(len(POISON)))
def test_a_poisoned_failure_is_an_exception_all_the_same(text):
    error = rebuild_failure(text, [APP])
    assert isinstance(error, Exception)
    str(error)


def test_a_huge_failure_is_cut():
    text = failure("NoDisk", APP, message="m" * 1_000_000, tb=["t" * 1000] * 1000)
    assert len(str(rebuild_failure(text, [APP]))) <= MOST_CHARS


def test_remote_text_is_never_a_format():
    assert str(rebuild_failure(failure(message="%s {0} %(x)d"), [])).startswith("%s {0} %(x)d\n")


# ---- for any value -------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
classes = st.sampled_from(["ValueError", "OSError", "NoDisk", "Picky", "NoSuchMethod", "eval"])
modules = st.sampled_from(["builtins", "exceptions", APP, "oslo_messaging.rpc.dispatcher", "os"])


@settings(max_examples=100, deadline=None)
@given(classes, modules, st.fixed_dictionaries({}, optional={
    "message": json_values, "tb": json_values, "args": json_values, "kwargs": json_values,
}))
def test_whatever_comes_an_exception_is_returned(name, module, more):
    error = rebuild_failure(failure(name, module, **more), [APP, "tracedrpc"])
    assert isinstance(error, Exception)
    str(error)


@settings(max_examples=100, deadline=None)
@given(st.lists(json_values, min_size=1, max_size=3))
def test_the_arguments_of_an_exception_survive_the_way(args):
    error = rebuild_failure(serialize_failure(LookupError(*args)), [])
    assert type(error) is LookupError
    assert list(error.args[1:]) == args[1:]
