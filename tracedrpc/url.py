"""The URL of a transport: which driver, which brokers, which virtual host, which settings."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, urlencode

from tracedrpc._settings import is_oslo_config
from tracedrpc.exceptions import InvalidTransportURL

HIDDEN: Final = "***"
DEFAULT_URL: Final = "rabbit://"

_URL: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<netloc>[^/?#]*))?"
    r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
"""RFC 3986, appendix B. The standard library's parser refuses several IPv6 hosts in one URL."""
_MOST_PORT: Final = 65535
_ESCAPE_HINT: Final = "characters like / ? # @ : , in a user name or password are written %nn"


class TransportHost:
    """One broker of a transport URL.

    Args:
        hostname: name or address; an IPv6 address without brackets.
        port: TCP port, or None for the driver's default.
        username: or None for the driver's default.
        password: or None for the driver's default. `repr` does not show it.
    """

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.hostname = hostname
        self.port = port
        self.username = username
        self.password = password

    def netloc(self, *, safe: bool = False) -> str:
        """Return "user:password@host:port" as it stands in a URL; `safe` hides the password."""
        user = "" if self.username is None else quote(self.username, "")
        if self.password is not None:
            user += ":" + (HIDDEN if safe else quote(self.password, ""))
        at = "" if self.username is None and self.password is None else "@"
        port = "" if self.port is None else f":{self.port}"
        return f"{user}{at}{_bracketed(self.hostname or '')}{port}"

    def _key(self) -> tuple[Any, ...]:
        return self.hostname, self.port, self.username, self.password

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, TransportHost) else NotImplemented

    def __repr__(self) -> str:
        return _shown("TransportHost", {
            "hostname": self.hostname,
            "port": self.port,
            "username": self.username,
            "password": HIDDEN if self.password else None,
        })


class TransportURL:
    """A parsed transport URL.

        driver://[user:password@]host[:port][,[user:password@]host[:port]...]/virtual_host?option=value

    User, password and virtual host are %-encoded in the text and plain in the fields. Two URLs
    are equal when they lead to the same place: the query does not count.

    Args:
        conf: the configuration the URL belongs to.
        transport: the driver's name, e.g. "rabbit" or "kombu+memory".
        virtual_host: or None for the driver's default.
        hosts: the brokers, tried in any order.
        query: settings that override those of the configuration.
    """

    def __init__(
        self,
        conf: Any,
        transport: str | None = None,
        virtual_host: str | None = None,
        hosts: list[TransportHost] | None = None,
        query: dict[str, str] | None = None,
    ) -> None:
        self.conf = conf
        self.transport = transport
        self.virtual_host = virtual_host
        self.hosts = [] if hosts is None else hosts
        self.query = {} if query is None else query

    @classmethod
    def parse(cls, conf: Any, url: str | None = None) -> TransportURL:
        """Parse a URL, or the configuration's `transport_url` when none is given.

        Raises:
            InvalidTransportURL: the text names the part that is wrong, and what would be right.
        """
        text = url or _configured(conf) or DEFAULT_URL
        if not isinstance(text, str):
            kind = type(text).__qualname__
            raise InvalidTransportURL(f"<{kind}>", f"Wrong URL type {kind}: give a string")
        if not text.isascii():
            _check_encodable(text)
        return cls(conf, *_parts(text.strip()))

    def safe(self) -> str:
        """Return the URL with passwords hidden and without its query, for people and logs."""
        return self._location(safe=True)

    def _location(self, *, safe: bool) -> str:
        netlocs = ",".join(host.netloc(safe=safe) for host in self.hosts)
        return f"{self.transport}://{netlocs}/{quote(self.virtual_host or '')}"

    def __str__(self) -> str:
        """Return the URL whole, passwords included.

        Programs written for oslo.messaging store this text and parse it again, so it must lead to
        the same broker. Show people `safe()`, or the URL itself in an f-string, which hides them.
        """
        query = "?" + urlencode(self.query, doseq=True) if self.query else ""
        return self._location(safe=False) + query

    def __format__(self, spec: str) -> str:
        return format(self.safe(), spec)

    def __repr__(self) -> str:
        return _shown("TransportURL", {
            "transport": self.transport,
            "virtual_host": self.virtual_host,
            "hosts": self.hosts,
        })

    def _key(self) -> tuple[Any, ...]:
        return self.transport, self.virtual_host, tuple(self.hosts)

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, TransportURL) else NotImplemented


def _configured(conf: Any) -> Any:
    if is_oslo_config(conf):
        from tracedrpc import oslo_options  # noqa: PLC0415 - oslo.config is an extra

        oslo_options.register(conf)
    return getattr(conf, "transport_url", None)


def _shown(name: str, fields: dict[str, Any]) -> str:
    """Return the `repr` of an object with those of its fields that are set."""
    return f"<{name} {', '.join(f'{key}={value!r}' for key, value in fields.items() if value)}>"


def _check_encodable(text: str) -> None:
    """Refuse lone surrogates, e.g. of an environment variable that is not UTF-8: no URL holds them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = _hide(text).encode("ascii", "backslashreplace").decode("ascii")
        message = f"character {error.start + 1} is no text in UTF-8: {_ESCAPE_HINT}"
        raise InvalidTransportURL(shown, message) from None


def _bracketed(hostname: str) -> str:
    """Return a host name as a URL has it: an IPv6 address in brackets."""
    try:
        ipaddress.IPv6Address(hostname)
    except ValueError:
        return hostname
    return f"[{hostname}]"


# ---- parsing ----------------------------------------------------------------------------------


def _parts(url: str) -> tuple[str, str | None, list[TransportHost], dict[str, str]]:
    """Return driver, virtual host, hosts and query of a URL."""
    found = _URL.fullmatch(url)
    scheme, netloc, path, query, fragment = found.groups() if found else (None, "", "", "", None)
    if not scheme or (path and not path.startswith("/")):
        raise _invalid(url, "No scheme specified: write e.g. rabbit://user:password@host:5672/")
    if fragment is not None:
        raise _invalid(url, f"a transport URL has no part after #: {_ESCAPE_HINT}")
    hosts = [
        _host(url, position, text)
        for position, text in enumerate((netloc or "").split(","), 1)
        if text
    ]
    virtual_host = unquote(path[1:]) if path else None
    values = {name: ",".join(given) for name, given in parse_qs(query or "").items()}
    return scheme.lower(), virtual_host, hosts, values


def _host(url: str, position: int, text: str) -> TransportHost:
    userinfo, at, address = text.rpartition("@")
    username, colon, password = userinfo.partition(":")
    hostname, port = _address(url, position, address)
    return TransportHost(
        hostname,
        port,
        unquote(username) if at else None,
        unquote(password) if colon else None,
    )


def _address(url: str, position: int, text: str) -> tuple[str | None, int | None]:
    """Return host name and port; an IPv6 address without brackets has no port."""
    if text.startswith("["):
        hostname, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or _bracketed(hostname) == hostname:
            raise _invalid(url, f"host {position} is no IPv6 address: write [2001:db8::1]:5672")
        return hostname, _port(url, position, rest[1:]) if rest else None
    if text.count(":") != 1:
        return text or None, None
    hostname, _, port = text.partition(":")
    return hostname, _port(url, position, port)


def _port(url: str, position: int, text: str) -> int:
    # The text itself is not shown: without a host after it, it is the password.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_PORT))):
        raise _invalid(url, f"the port of host {position} is not a number; {_ESCAPE_HINT}")
    port = int(text)
    if not 0 < port <= _MOST_PORT:
        raise _invalid(url, f"the port of host {position} is not between 1 and {_MOST_PORT}")
    return port


def _invalid(url: str, message: str) -> InvalidTransportURL:
    return InvalidTransportURL(_hide(url), message)


def _hide(url: str) -> str:
    """Return a URL that could not be parsed without what may be a password.

    Rather too little is shown than too much: nothing before the last @, no port that is not a
    number, and no query.
    """
    scheme, slashes, rest = url.rpartition("://") if "@" not in url else _split_at(url)
    rest = re.sub(r":(?!\d{1,5}(?:[,/]|$))[^,/]*", f":{HIDDEN}", rest.partition("?")[0])
    return f"{scheme}{slashes}{rest}"


def _split_at(url: str) -> tuple[str, str, str]:
    before, _, rest = url.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    return (scheme, slashes, f"{HIDDEN}@{rest}") if slashes else ("", "", f"{HIDDEN}@{rest}")
