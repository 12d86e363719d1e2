"""Replies and heartbeats on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.exceptions import DecodeError
from tracedrpc.wire.body import Properties, encode, envelope, open_envelope
from tracedrpc.wire.headers import server_name, server_times

if TYPE_CHECKING:
    from tracedrpc.message import ServerTimes

_TAIL_BYTES: Final = 512
"""Where the id of a reply is looked for that cannot be decoded: peers write it behind the result."""
_MSG_ID: Final = re.compile(rb'"_msg_id\\*": *\\*"([0-9a-f]{32})\\*"')


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply or heartbeat as it came.

    Attributes:
        msg_id: the call it belongs to.
        unique_id: the sender's id of this message, or None.
        result: what the method returned, JSON values.
        failure: what the method raised, for `rebuild_failure`; None when it returned.
        ending: False for a heartbeat: the reply proper is still to come.
        server_times: the server's own durations, or None from peers that do not tell.
        server: who sent it, "" from peers that do not tell.
    """

    msg_id: str
    unique_id: str | None
    result: Any
    failure: str | None
    ending: bool
    server_times: ServerTimes | None
    server: str = ""


def encode_result(msg_id: str, unique_id: str, result: Any) -> bytes:
    """Return the body of a reply that carries a result.

    Raises:
        EncodeError: the result holds something that JSON cannot; `path` begins with "result".
    """
    return _reply(msg_id, unique_id, result=encode(result, "result"))


def encode_failure(msg_id: str, unique_id: str, failure: str) -> bytes:
    """Return the body of a reply that carries what `serialize_failure` made of an exception."""
    return _reply(msg_id, unique_id, failure=quote(failure))


def encode_heartbeat(msg_id: str, unique_id: str) -> bytes:
    """Return the body that tells a caller its request is being worked on."""
    return _reply(msg_id, unique_id, ending="false")


def _reply(
    msg_id: str,
    unique_id: str,
    *,
    result: str = "null",
    failure: str = "null",
    ending: str = "true",
) -> bytes:
    return envelope(
        f'{{"result": {result}, "failure": {failure}, "ending": {ending},'
        f' "_msg_id": {quote(msg_id)}, "_unique_id": {quote(unique_id)}}}',
    )


def decode_reply(
    body: bytes | str | memoryview, properties: Properties, max_bytes: int,
) -> Reply:
    """Return the reply in a body.

    Raises:
        DecodeError: and nothing else, whatever came.
    """
    message = open_envelope(body, properties, max_bytes)
    msg_id, failure = message.get("_msg_id"), message.get("failure")
    unique_id, ending = message.get("_unique_id"), message.get("ending", True)
    if not msg_id or not isinstance(msg_id, str):
        raise DecodeError("schema", "_msg_id is missing or not a string")
    if failure is not None and not isinstance(failure, str):
        raise DecodeError("schema", "failure is not a string")
    if unique_id is not None and not isinstance(unique_id, str):
        raise DecodeError("schema", "_unique_id is not a string")
    if not isinstance(ending, bool):
        raise DecodeError("schema", "ending is not a boolean")
    times = server_times(properties.headers)
    server = server_name(properties.headers) if times is None else times.server
    return Reply(msg_id, unique_id, message.get("result"), failure, ending, times, server)


def find_msg_id(body: bytes | str | memoryview) -> str | None:
    """Return which call a reply belongs to that `decode_reply` has refused, if that can be seen.

    Its last bytes are enough for that, where they are not compressed: a body that is too large, too
    deep or of another version tells its call all the same.
    """
    tail = body[-_TAIL_BYTES:]
    found = _MSG_ID.findall(tail.encode("ascii", "replace") if isinstance(tail, str) else bytes(tail))
    return found[-1].decode() if found else None
