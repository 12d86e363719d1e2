"""Who may talk to the console: a gate before every route. Pure ASGI, no state but the token.

A page of the console shows what services told about themselves, and any web page that a person has
open can send requests to 127.0.0.1. So the name in `Host` must be ours (DNS rebinding), an `Origin` must be
the console itself (requests of other pages), and there is a token (other users of the machine).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer has, unless its route says otherwise. No CORS: nobody else's page may read us."""
READING: Final = frozenset({"GET", "HEAD"})
_BEARER: Final = "bearer "
_TOKEN_BYTES: Final = 24


def new_token() -> str:
    """Return a token that nobody guesses, fit for URLs."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a gate lets through.

    Attributes:
        token: what a request has to show; None lets all of them in.
        cookie: name of the cookie with the token. Cookies do not know ports: it must differ by console.
        names: what this machine may be called in `Host`.
        posts: path prefixes that take POST; everything else is read-only.
        trusts_loopback: whether who connects from this machine needs no token.
    """

    token: str | None
    cookie: str = "tracedrpc_console"
    names: frozenset[str] = LOOPBACK
    posts: tuple[str, ...] = ()
    trusts_loopback: bool = False
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))


class Gate:
    """ASGI middleware that answers what may not pass, and adds the headers to what may."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks WebSocket; the server closes it
            return
        policy = self._policy

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in policy.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(scope) or self._entry(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that may not pass whatever it knows."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._policy.names:
            return refusal(403, "this console has another name; see --allow-remote")
        if any(urlsplit_netloc(origin) != hosts[0].lower() for origin in origins):
            return refusal(403, "requests of other web pages are refused")
        if scope["method"] not in READING and not scope["path"].startswith(self._policy.posts or ("\0",)):
            return refusal(405, "the console only reads: use GET", {"Allow": "GET, HEAD"})
        return None

    def _entry(self, scope: Scope) -> Response | None:
        """Return the answer to a request without the token, or the redirect of one that brings it."""
        token = self._policy.token
        if token is None or (self._policy.trusts_loopback and _is_local(scope)):
            return None
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        offered = [value for name, value in pairs if name == "token"]
        if offered and scope["method"] in READING and is_same(offered[0], token):
            return self._welcome(scope, [pair for pair in pairs if pair[0] != "token"], token)
        if any(is_same(each, token) for each in _shown(Headers(scope=scope), self._policy.cookie)):
            return None
        return refusal(
            401, "no token: open the address that `tracedrpc console` printed, "
            "or send 'Authorization: Bearer TOKEN'", {"WWW-Authenticate": "Bearer"},
        )

    def _welcome(self, scope: Scope, pairs: list[tuple[str, str]], token: str) -> Response:
        """Return a redirect to the same page without the token, with a cookie instead."""
        # One slash at the start: "//host" would be an address elsewhere.
        path = "/" + scope.get("raw_path", scope["path"].encode()).decode("latin-1").lstrip("/\\")
        answer = RedirectResponse(f"{path}?{urlencode(pairs)}" if pairs else path, status_code=303)
        answer.set_cookie(self._policy.cookie, token, path="/", httponly=True, samesite="strict")
        return answer


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """Return an answer that says why there is none."""
    return JSONResponse({"error": text}, status, headers)


def is_same(offered: str, token: str) -> bool:
    """Compare in a time that says nothing about where they differ."""
    return secrets.compare_digest(offered.encode(errors="surrogatepass"), token.encode())


def host_name(host: str) -> str:
    """Return the name in a `Host` header in lower case, "" when it has none.

    The port is not looked at: `ssh -L 9000:127.0.0.1:16686` is an honest way here.
    """
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".") if "@" not in host else ""
    except ValueError:
        return ""


def urlsplit_netloc(origin: str) -> str:
    """Return "host:port" of an `Origin` header in lower case, "" when it has none ("null")."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return ""
    return parts.netloc if parts.scheme in {"http", "https"} else ""


def _shown(headers: Headers, cookie: str) -> list[str]:
    """Return the tokens that a request shows, in a header or a cookie."""
    given = headers.get("authorization", "")
    shown = [given[len(_BEARER):].strip()] if given.lower().startswith(_BEARER) else []
    jar = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return shown
    return [*shown, *([jar[cookie].value] if cookie in jar else [])]


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and client[0] in {"127.0.0.1", "::1"}
