"""Nobody goes round `safe`: text that becomes an attribute, an event or a status comes out of it.

The types say so: an attribute's value is a number or a `SafeText`, which only `safe` makes, and the
type checker proves it for every value. What a type checker can be talked out of is looked for here,
in the syntax of every module: `SafeText` made of anything but a constant, casts and ignored errors
about it; and, without any types, text from a peer or an application put where a value goes.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from pathlib import Path

import pytest

import tracedrpc_otel
from tests.telemetry.support import incoming, invocation
from tracedrpc import _safe, driver, message, target, telemetry
from tracedrpc_otel import records

THEIR_OWN = {"log_records"}
"""Makes OTLP of the application's own log lines: their texts and exceptions are its own to tell."""
MODULES = sorted(
    path for path in Path(tracedrpc_otel.__file__).parent.glob("*.py") if path.stem not in THEIR_OWN
)


def _that_return_safe_text() -> set[str]:
    """Return the functions that are declared to return safe text; what they return is looked at too."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name for node in functions if _returns_safe_text(node)}


def _returns_safe_text(node: ast.FunctionDef) -> bool:
    return node.returns is not None and ast.unparse(node.returns) in {"SafeText", "SafeText | None"}


TRUSTED = {"safe", "SafeText", *_that_return_safe_text()}


def _fields_of_text() -> set[str]:
    """Return the names of all fields of the core's values that may hold text, or anything."""
    found: set[str] = set()
    for module in (message, driver, target, telemetry):
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == module.__name__:
                hints = inspect.get_annotations(kind)
                found |= {name for name, hint in hints.items() if "str" in str(hint) or "Any" in str(hint)}
    call = invocation()
    found |= {name for name in message.Invocation.__slots__ if isinstance(getattr(call, name, None), str)}
    found |= {"value", "args", "context", "result", "carrier"}
    return found - {"stage", "quality", "mode"}  # enumerations


TEXT = _fields_of_text()


# ---- what is wrong with a module --------------------------------------------------------------


def faults(source: str) -> list[str]:
    """Return what goes round the choke point in a module."""
    tree = ast.parse(textwrap.dedent(source))
    finals = [
        node.target for node in tree.body
        if isinstance(node, ast.AnnAssign) and "Final" in ast.unparse(node.annotation)
    ]
    constants = {name.id for name in finals if isinstance(name, ast.Name)}
    found = [_unsafe_making(node, constants) for node in ast.walk(tree)]
    for node in ast.walk(tree):
        found += [_unsafe_value(value) for value in _values(node)]
    found += [f"ignored: {line.strip()}" for line in source.splitlines() if _hides(line)]
    return [fault for fault in found if fault]


def _unsafe_making(node: ast.AST, constants: set[str]) -> str:
    """Complain about safe text made of anything but a constant."""
    if not isinstance(node, ast.Call):
        return ""
    called = ast.unparse(node.func)
    if called == "cast" and "SafeText" in ast.unparse(node):
        return f"cast: {ast.unparse(node)}"
    if called != "SafeText":
        return ""
    (argument,) = node.args
    text = ast.unparse(argument)
    is_constant = isinstance(argument, ast.Constant) or text in constants or text.startswith("names.")
    return "" if is_constant or text in SAFE_MAKING else f"made of {text}"


SAFE_MAKING = {"member.value", r"'\n'.join(lines)"}
"""In `word`, whose argument is a member of an enumeration, and in `joined`, whose lines are safe each."""
MAKING = {"word", "joined"}


def _hides(line: str) -> bool:
    words = ("names.", "ttributes", "SafeText", "Record(", "Ending(")
    return "type: ignore" in line and any(word in line for word in words)


def _values(node: ast.AST) -> list[ast.expr]:
    """Return the expressions of a node that become values of attributes, safe text, or names of spans."""
    if isinstance(node, ast.Dict):
        return [value for key, value in zip(node.keys, node.values, strict=True) if key and _is_name(key)]
    if isinstance(node, ast.Assign):
        return [node.value] if any(_is_attribute(target) for target in node.targets) else []
    if isinstance(node, ast.FunctionDef) and _returns_safe_text(node) and node.name not in MAKING:
        found = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
        return [each for each in found if each is not None]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"SpanRecord", "EventRecord"}:
        name = node.args[0]
        parts = name.values if isinstance(name, ast.JoinedStr) else [name]
        return [part.value if isinstance(part, ast.FormattedValue) else part for part in parts]
    return []


def _is_name(key: ast.expr) -> bool:
    return ast.unparse(key).startswith(("names.", "phases."))


def _is_attribute(target: ast.expr) -> bool:
    return isinstance(target, ast.Subscript) and _is_name(target.slice)


def _unsafe_value(value: ast.expr) -> str:
    """Complain about text in a value that no trusted function was given."""
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in TRUSTED:
        return ""
    if isinstance(value, (ast.Compare, ast.BinOp)):  # a truth or a number
        return ""
    if isinstance(value, ast.JoinedStr):
        return f"f-string: {ast.unparse(value)}"
    if isinstance(value, ast.Attribute) and value.attr in TEXT and not _is_name(value):
        return f"raw: {ast.unparse(value)}"
    if isinstance(value, ast.Call) and ast.unparse(value.func) in {"str", "repr", "format", "ascii"}:
        return f"raw: {ast.unparse(value)}"
    return next(filter(None, map(_unsafe_value, ast.iter_child_nodes(value))), "")  # type: ignore[arg-type]


# ---- the tests --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_nobody_goes_round_the_choke_point(module: Path) -> None:
    assert faults(module.read_text(encoding="utf-8")) == []


def test_a_value_is_a_number_or_safe_text() -> None:
    assert set(typing.get_args(records.Value)) == {_safe.SafeText, bool, int, float}
    for kind in (records.SpanRecord, records.Ending):
        assert "SafeText" in str(typing.get_type_hints(kind, vars(records) | _types())["failure"])


def _types() -> dict[str, object]:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext, SpanKind

    return {"Mapping": Mapping, "SpanContext": SpanContext, "SpanKind": SpanKind}


@pytest.mark.parametrize(
    "source",
    [
        "a = {names.MSG_ID: received.msg_id}",
        "attributes[names.MSG_ID] = received.msg_id",
        "attributes[names.QUEUE] = incoming.queue or 'none'",
        "attributes[names.WHY] = f'{call.method} died'",
        "attributes[names.RESULT] = str(answer)",
        "a = {names.RESULT: incoming.result}",
        "a = {names.PEER_ADDRESS: connection.address if connection else ''}",
        "x = SafeText(received.method)",
        "x = SafeText(text)",
        "x = cast('SafeText', text)",
        "def kind(error) -> SafeText:\n    return error.args[0]",
        "def kind(error) -> SafeText:\n    return f'{error}'",
        "SpanRecord(f'connect {connection.peer}', kind, 1, 2)",
        "attributes: Attributes = {names.A: text}  # type: ignore[dict-item]",
    ],
)
def test_what_goes_round_is_found(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "a = {names.MSG_ID: safe(received.msg_id), names.ATTEMPTS: call.attempts, names.SYNTHETIC: True}",
        "attributes[names.MODE] = word(request.mode)",
        "X: Final = SafeText('send')\nY: Final = SafeText(names.OTHER)",
        "SpanRecord(f'connect {safe(connection.peer)} {template}', kind, 1, 2)",
        "attributes[names.CONFIRMED] = call.confirmed_ns > 0",
    ],
)
def test_what_does_not_is_left_alone(source: str) -> None:
    assert not faults(source)


def test_the_fields_that_hold_text_are_known() -> None:
    assert {"method", "topic", "msg_id", "server", "queue", "peer", "address", "reason", "args"} <= TEXT
    assert not {"attempts", "stage", "delivery_count", "replied_ns", "heartbeats"} & TEXT
    assert dataclasses.is_dataclass(incoming().received)
