"""What comes out of each operation, for every pairing: one table."""

from __future__ import annotations

from typing import Any

MESSAGING = ["MessagingException"]
DISPATCH = ["RPCDispatcherError", "MessagingServerError", *MESSAGING]


def raised(
    name: str, bases: list[str], says: str = "", *, has_traceback: bool = False, **fields: str,
) -> dict[str, Any]:
    return {
        "raised": name, "is": bases, "fields": fields, "says": says, "is NoDisk": "NoDisk" in bases,
        "has traceback": has_traceback,
    }


def remote_error(name: str, value: str) -> dict[str, Any]:
    """Return what a caller gets who may not rebuild the class."""
    return raised("RemoteError", MESSAGING, has_traceback=True, exc_type=name, value=value)


def no_disk(size: int, unit: str) -> dict[str, Any]:
    fields = {"size": str(size), "unit": unit, "kwargs": str({"unit": unit})}
    return raised("NoDisk_Remote", ["NoDisk"], str(size), has_traceback=True, **fields)


def no_such_method(name: str) -> dict[str, Any]:
    return remote_error("NoSuchMethod", f"Endpoint does not support RPC method {name}")


def unsupported(version: str, method: str) -> dict[str, Any]:
    text = f"Endpoint does not support RPC version {version}. Attempted method: {method}"
    return remote_error("UnsupportedVersion", text)


TIME_OUT = raised("MessagingTimeout", MESSAGING)
UNDELIVERABLE = raised(
    "MessageUndeliverable", [], exchange="T.plain-exchange", routing_key="T.plain.nobody",
)
INVALID_TARGET = raised("InvalidTarget", [*MESSAGING, "ValueError"])
ALL_ONE = ["asked", 1, [1]]
ALL_TWO = ["asked", 1, [1, 1]]

OUTCOMES: dict[str, Any] = {
    "call_echoes_values": [True] * 16,
    "call_without_arguments": None,
    "call_brings_the_context": {
        "told": {
            "user": "ä", "roles": ["a", "b"], "is_admin": False, "nothing": None, "request_id": "req-1",
            "absent": "missing",
        },
        "unchanged": True,
    },
    "call_in_a_namespace": ["admin", "admin"],
    "call_one_server": ["one", "two"],
    "call_whoever_is_free": True,
    "call_that_asks_its_own_server": [1],
    "call_that_only_asks_whether_it_lives": "pong",
    "call_with_retries_allowed": [None, 0, 3],
    "call_with_a_serializer": [["untagged", {"tagged": 5}], {"user": "u"}],
    "cast_arrives_once": 1,
    "fanout_arrives_once_at_each_server": [1, 1],
    "version_older_than_the_server_s": "1.2",
    "version_newer_than_the_server_s": unsupported("1.4", "echo"),
    "version_of_another_major": unsupported("2.0", "echo"),
    "version_above_the_cap": raised("RPCVersionCapError", MESSAGING, version="1.2", version_cap="1.1"),
    "version_that_is_none": raised("MessagingException", []),
    "namespace_that_nobody_has": unsupported("1.0", "who"),
    "error_no_such_method": no_such_method("missing"),
    "error_no_such_method_of_a_library_allowed": raised(
        "NoSuchMethod_Remote", ["NoSuchMethod", *DISPATCH, "AttributeError"],
        "Endpoint does not support RPC method Endpoint does not support RPC method missing",
        has_traceback=True,
    ),
    "error_private_method": no_such_method("_hidden"),
    "error_builtin": raised("ValueError", [], "('no', 5)", has_traceback=True),
    "error_builtin_key": raised("KeyError", ["LookupError"], "'k'", has_traceback=True),
    "error_builtin_of_the_system": raised("FileNotFoundError", ["OSError"], "[Errno 2] no such file"),
    "error_of_an_allowed_module": no_disk(5, "TB"),
    "error_of_a_module_not_allowed": remote_error("NoDisk", "5"),
    "error_that_was_expected": no_disk(6, "MB"),
    "error_that_cannot_be_rebuilt": remote_error("Unbuildable", "one and two"),
    "error_with_an_exception_as_argument": raised("RuntimeError", [], "inner", has_traceback=True),
    "error_that_came_through_two_servers": no_disk(7, "KB"),
    "error_in_a_cast_is_not_heard_of": "one",
    "error_call_with_fanout": INVALID_TARGET,
    "error_no_topic": INVALID_TARGET,
    "time_out_of_a_slow_method": TIME_OUT,
    "time_out_of_the_configuration": TIME_OUT,
    "time_out_where_nobody_listens": TIME_OUT,
    "time_out_then_a_call": "after it",
    "monitor_of_a_method_that_takes_longer": "slept",
    "monitor_where_nobody_listens": TIME_OUT,
    "monitor_of_zero_is_none": "slept",
    "monitor_of_hours": "slept",
    "at_least_once_where_somebody_listens": [1, 1],
    "at_least_once_call_where_nobody_listens": UNDELIVERABLE,
    "at_least_once_cast_where_nobody_listens": UNDELIVERABLE,
    "large_bodies": [True, True],
    "compressed_bodies": [True, True, True],
    "compressed_errors_and_casts": no_such_method("missing"),
    "quorum_queues": ALL_TWO,
    "exchanges_that_the_client_declared_first": ALL_ONE,
    "quorum_queues_that_the_client_declared_first": ALL_ONE,
}

ASKED = {
    "_hidden": 1, "digest": 1, "echo": 32, "fail_as_expected": 1, "fail_builtin": 3, "fail_own": 3,
    "fail_unbuildable": 1, "fail_with_cause": 1, "fill": 1, "know": 2, "missing": 3, "note": 6,
    "note_all": 4, "oslo_rpc_server_ping": 1, "oversleep": 3, "relay": 2, "sleep": 3, "who": 10,
}
"""How often a client asks for a method, less those that it asks for until the answer is right."""

HEARD_BY_ALL = 6
"""How many servers hear one of the fanouts, all together."""
