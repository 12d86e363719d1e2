from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import tracedrpc as messaging
from tracedrpc_console.main import app


def ping(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ping", *args], catch_exceptions=False, env={"COLUMNS": "500"})
    return result.exit_code, result.stdout


@pytest.fixture
def memory_url(topic: str) -> str:
    return f"memory://{topic}/"


@pytest.fixture
def server(memory_url: str, topic: str) -> Iterator[None]:
    options = messaging.Options(rpc_ping_enabled=True)
    with messaging.get_rpc_transport(options, memory_url, telemetry=messaging.Telemetry()) as transport:
        target = messaging.Target(topic=topic, server="here")
        with messaging.get_rpc_server(transport, target, [], executor="threading"):
            yield


@pytest.mark.usefixtures("server")
def test_a_server_that_lives_answers(memory_url: str, topic: str) -> None:
    code, text = ping("--url", memory_url, "--topic", topic, "--server", "here")
    assert (code, text.split(" in ")[0]) == (0, f"pong from {topic} on here")
    assert "queue" in text
    assert "handler" in text


@pytest.mark.usefixtures("server")
def test_nobody_answers_for_a_server_that_is_not_there(memory_url: str, topic: str) -> None:
    code, text = ping("--url", memory_url, "--topic", topic, "--server", "gone", "--timeout", "0.2")
    assert code == 1
    assert f"no server is listening on '{topic}.gone'" in text


def test_a_server_without_the_endpoint_is_told_from_a_dead_one(memory_url: str, topic: str) -> None:
    with messaging.get_rpc_transport(None, memory_url, telemetry=messaging.Telemetry()) as transport:
        target = messaging.Target(topic=topic, server="here")
        with messaging.get_rpc_server(transport, target, [], executor="threading"):
            code, text = ping("--url", memory_url, "--topic", topic)
    assert code == 1
    assert "rpc_ping_enabled" in text


def test_a_bad_url_is_one_line() -> None:
    code, text = ping("--url", "nonsense", "--topic", "any")
    assert code == 1
    assert text.count("\n") == 1


@pytest.mark.usefixtures("no_leaks")
def test_on_rabbitmq_both_ways(rabbit_url: str, topic: str, exchange: str) -> None:
    options = messaging.Options(rpc_ping_enabled=True)
    where = ("--url", rabbit_url, "--topic", topic, "--exchange", exchange)
    with messaging.get_rpc_transport(options, rabbit_url, telemetry=messaging.Telemetry()) as transport:
        target = messaging.Target(topic=topic, server="here", exchange=exchange)
        with messaging.get_rpc_server(transport, target, [], executor="threading"):
            assert ping(*where, "--server", "here")[0] == 0
            code, text = ping(*where, "--server", "gone", "--timeout", "0.5")
    assert code == 1
    assert f"no server is listening on '{topic}.gone'" in text
