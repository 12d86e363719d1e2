"""What a client of a pairing does that fails, or that takes its time; see `operations`."""

from __future__ import annotations

import time
from typing import Any

from client import Client, quick, slow, timed

# ---- versions ----------------------------------------------------------------------------------


@quick
def version_older_than_the_server_s(client: Client) -> Any:
    return client.of().prepare(version="1.2").call({}, "echo", value="1.2")


@quick
def version_newer_than_the_server_s(client: Client) -> Any:
    client.of().prepare(version="1.4").call({}, "echo")


@quick
def version_of_another_major(client: Client) -> Any:
    client.of().prepare(version="2.0").call({}, "echo")


@quick
def version_above_the_cap(client: Client) -> Any:
    capped = client.of(version_cap="1.1")
    told = [capped.can_send_version(version) for version in ("1.1", "1.2", "2.0")]
    assert told == [True, False, False], told
    capped.prepare(version="1.2").call({}, "lost")


@quick
def version_that_is_none(client: Client) -> Any:
    client.of().prepare(version="one")


@quick
def namespace_that_nobody_has(client: Client) -> Any:
    client.of().prepare(namespace="nobody").call({}, "who")


# ---- errors ------------------------------------------------------------------------------------


@quick
def error_no_such_method(client: Client) -> Any:
    client.of().call({}, "missing")


@quick
def error_no_such_method_of_a_library_allowed(client: Client) -> Any:
    client.of(allowed=("oslo_messaging.rpc.dispatcher",)).call({}, "missing")


@quick
def error_private_method(client: Client) -> Any:
    client.of().call({}, "_hidden")


@quick
def error_builtin(client: Client) -> Any:
    client.of().call({}, "fail_builtin", name="ValueError", args=["no", 5])


@quick
def error_builtin_key(client: Client) -> Any:
    client.of().call({}, "fail_builtin", name="KeyError", args=["k"])


@quick
def error_builtin_of_the_system(client: Client) -> Any:
    client.of().call({}, "fail_builtin", name="OSError", args=[2, "no such file"])


@quick
def error_of_an_allowed_module(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "fail_own", size=5, unit="TB")


@quick
def error_of_a_module_not_allowed(client: Client) -> Any:
    client.of().call({}, "fail_own", size=5, unit="TB")


@quick
def error_that_was_expected(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "fail_as_expected", size=6, unit="MB")


@quick
def error_that_cannot_be_rebuilt(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "fail_unbuildable")


@quick
def error_with_an_exception_as_argument(client: Client) -> Any:
    client.of().call({}, "fail_with_cause")


@quick
def error_that_came_through_two_servers(client: Client) -> Any:
    client.of(allowed=("peer_errors",)).call({}, "relay", to="fail_own", args={"size": 7, "unit": "KB"})


@quick
def error_in_a_cast_is_not_heard_of(client: Client) -> Any:
    one = client.of().prepare(server="one")
    one.cast({}, "fail_own", size=1, unit="GB")
    return one.call({}, "who")


@quick
def error_call_with_fanout(client: Client) -> Any:
    client.of().prepare(fanout=True).call({}, "lost")


@quick
def error_no_topic(client: Client) -> Any:
    client.of().prepare(topic=None).cast({}, "lost")


# ---- time ---------------------------------------------------------------------------------------


@slow
def time_out_of_a_slow_method(client: Client) -> Any:
    timed(lambda: client.of(timeout=0.5).call({}, "oversleep", seconds=1.2), 0.45, 5.0)


@slow
def time_out_of_the_configuration(client: Client) -> Any:
    timed(lambda: client.of(timeout=None).call({}, "oversleep", seconds=1.5), 0.9, 5.0)


@slow
def time_out_where_nobody_listens(client: Client) -> Any:
    to = client.of(timeout=0.5).prepare(topic=f"{client.topic}.nobody")
    timed(lambda: to.call({}, "lost"), 0.45, 5.0)


@slow
def time_out_then_a_call(client: Client) -> Any:
    to = client.of()
    try:
        to.prepare(timeout=0.3).call({}, "oversleep", seconds=0.6)
    except client.messaging.MessagingTimeout:
        time.sleep(0.5)  # its reply comes meanwhile
        return to.call({}, "echo", value="after it")


@slow
def monitor_of_a_method_that_takes_longer(client: Client) -> Any:
    """The limit is 2 s because stock sends no heartbeats for a smaller one."""
    return client.of(call_monitor_timeout=2).call({}, "sleep", seconds=3.2)


@slow
def monitor_where_nobody_listens(client: Client) -> Any:
    to = client.of(call_monitor_timeout=1).prepare(topic=f"{client.topic}.nobody")
    timed(lambda: to.call({}, "lost"), 0.9, 6.0)


@slow
def monitor_of_zero_is_none(client: Client) -> Any:
    return client.of(call_monitor_timeout=0).call({}, "sleep", seconds=0.3)


@slow
def monitor_of_hours(client: Client) -> Any:
    return client.of(call_monitor_timeout=7200).call({}, "sleep", seconds=0.3)
