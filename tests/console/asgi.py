"""One request to an ASGI application, without a network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def post(app: Any, path: str, body: bytes | Iterable[bytes], method: str = "POST", **headers: str) -> Answer:
    """Send a body, whole or in parts, and return the answer; of `content_type` the header is content-type."""
    return asyncio.run(_send(app, path, iter([body] if isinstance(body, bytes) else body), method, headers))


async def _send(app: Any, path: str, parts: Any, method: str, headers: dict[str, str]) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
        "scheme": "http", "query_string": b"", "http_version": "1.1", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4318),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }, receive, send)
    return Answer(
        sent[0]["status"],
        {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )
