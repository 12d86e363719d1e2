"""Who gets through to the console: names, origins, tokens, methods and headers."""

from __future__ import annotations

import contextlib
import http.client
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tracedrpc_console import security
from tracedrpc_console.security import CSP, Gate, Policy, host_name, is_same, new_token
from tracedrpc_console.serving import CannotListen, HttpServer, listen

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "right-token"
POLICY = Policy(TOKEN, "cookie_1", posts=("/api/transform",))
ASKED = {"Authorization": f"Bearer {TOKEN}"}


@contextlib.contextmanager
def gate(policy: Policy = POLICY) -> Iterator[int]:
    """Serve one page behind a gate; give its port."""
    own = {"Content-Security-Policy": "script-src 'unsafe-inline'"}
    app = Starlette(routes=[
        Route("/loose", lambda _: PlainTextResponse("loose", headers=own)),
        Route("/{path:path}", lambda _: PlainTextResponse("secret"), methods=["GET", "POST"]),
    ])
    listening = listen("127.0.0.1", 0, "the test", "--port")
    with HttpServer({listening: Gate(app, policy)}):
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with gate() as served:
        yield served


def ask(port: int, path: str = "/", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in ({"Host": f"127.0.0.1:{port}"} | named).items():
        if value:
            connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    response.read_all = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_without_a_token_nothing_is_told(port: int) -> None:
    refused = ask(port)
    assert refused.status == 401
    assert b"secret" not in refused.read_all  # type: ignore[attr-defined]
    assert b"tracedrpc console" in refused.read_all  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "shown", ["Bearer wrong", "Bearer ", "Basic cmlnaHQtdG9rZW4=", "right-token", "Bearer rïght"],
)
def test_a_wrong_token_is_refused(port: int, shown: str) -> None:
    assert ask(port, Authorization=shown).status == 401
    assert ask(port, Cookie="cookie_1=wrong").status == 401
    assert ask(port, Cookie=f"cookie_2={TOKEN}").status == 401
    assert ask(port, "/?token=wrong").status == 401


def test_the_token_is_taken_as_a_header_or_a_cookie(port: int) -> None:
    assert ask(port, **ASKED).status == 200
    assert ask(port, Cookie=f"other=1; cookie_1={TOKEN}").status == 200


def test_the_start_address_becomes_a_strict_cookie_and_leaves_no_token_behind(port: int) -> None:
    welcome = ask(port, f"/logs?q=a+b&token={TOKEN}")
    assert welcome.status == 303
    assert welcome.headers["Location"] == "/logs?q=a+b"
    cookie = welcome.headers["Set-Cookie"]
    assert {part.strip().lower() for part in cookie.split(";")} == {
        f"cookie_1={TOKEN}", "httponly", "path=/", "samesite=strict",
    }
    assert ask(port, Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_the_start_address_leads_nowhere_else(port: int, path: str) -> None:
    welcome = ask(port, f"{path}?token={TOKEN}")
    assert welcome.headers.get("Location", "/").lstrip("/\\") != welcome.headers.get("Location", "/")[2:]
    assert not welcome.headers.get("Location", "/").startswith(("//", "/\\", "http"))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:16686", "127.0.0.1.evil.example", "localhost@evil.example", "", "["],
)
def test_a_foreign_host_is_refused_even_with_the_token(port: int, host: str) -> None:
    refused = ask(port, Host=host, **ASKED)
    assert refused.status in {400, 403}
    assert b"secret" not in refused.read_all  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}", "localhost:9000"],
)
def test_this_machine_may_be_called_by_its_own_names_at_any_port(port: int, host: str) -> None:
    assert ask(port, Host=host.format(port=port), **ASKED).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://["])
def test_a_foreign_origin_is_refused_even_with_the_token(port: int, origin: str) -> None:
    assert ask(port, Origin=origin, **ASKED).status == 403
    assert ask(port, Origin=f"http://127.0.0.1:{port}", **ASKED).status == 200


def test_every_answer_has_the_headers_and_none_allows_other_pages_to_read(port: int) -> None:
    answers = [ask(port, **ASKED), ask(port), ask(port, Host="evil.example"), ask(port, f"/?token={TOKEN}")]
    assert [answer.status for answer in answers] == [200, 401, 403, 303]
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == CSP
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in answer.headers
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_the_policy_for_scripts_lets_nothing_from_outside_in() -> None:
    for rule in (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
        "img-src 'self' data:", "frame-ancestors 'none'",
    ):
        assert rule in CSP.split("; ")


def test_a_route_may_have_a_policy_of_its_own(port: int) -> None:
    assert ask(port, "/loose", **ASKED).headers["Content-Security-Policy"] == "script-src 'unsafe-inline'"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(port: int, method: str) -> None:
    assert ask(port, "/api/c/traces", method, **ASKED).status == 405


def test_what_takes_posts_takes_them(port: int) -> None:
    assert ask(port, "/api/transform", "POST", **ASKED).status == 200
    assert ask(port, "/api/transform", "POST").status == 401


def test_without_a_token_in_the_policy_names_and_origins_still_count() -> None:
    with gate(Policy(None)) as port:
        assert ask(port).status == 200
        assert ask(port, Host="evil.example").status == 403
        assert ask(port, Origin="http://evil.example").status == 403


def test_who_is_on_this_machine_may_be_trusted() -> None:
    with gate(Policy(TOKEN, trusts_loopback=True)) as port:
        assert ask(port).status == 200


def test_who_is_not_on_this_machine_is_not() -> None:
    elsewhere = {"type": "http", "client": ("10.0.0.7", 1), "query_string": b"", "headers": []}
    guarded = Gate(Starlette(), Policy(TOKEN, trusts_loopback=True))
    answer = guarded._entry(elsewhere)
    assert answer is not None
    assert answer.status_code == 401


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(security.secrets, "compare_digest", lambda *pair: seen.append(pair) or True)
    assert is_same("a\ud800", "b")
    assert len(seen) == 1


def test_a_host_that_cannot_be_read_has_no_name() -> None:
    names = [host_name(host) for host in ("[", "a@localhost", "", "Localhost.:80")]
    assert names == ["", "", "", "localhost"]


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with listen("127.0.0.1", 0, "the page", "--port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            listen("127.0.0.1", port, "the page", "--port")
    assert str(caught.value) == (
        f"port {port} of 127.0.0.1 is taken by another program: "
        "end that, or give the page another one with --port"
    )
