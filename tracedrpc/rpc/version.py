"""Interface versions: "major.minor" or "major.minor.revision"."""

from __future__ import annotations

from typing import Final

from tracedrpc.exceptions import MessagingException

_MIN_PARTS: Final = 2
_MAX_DIGITS: Final = 9


def is_compatible(imp_version: str | None, version: str | None) -> bool:
    """Tell whether what implements one version serves a request for another.

    The major numbers must be equal and the implemented minor number not smaller; the revision
    counts when the minor numbers are equal.

    Args:
        imp_version: the version implemented, or the cap; None serves everything.
        version: the version asked for. It may come from the wire: nonsense is not compatible.

    Raises:
        ValueError: `imp_version` is not a version.
    """
    if imp_version is None:
        return True
    implemented = _parse(imp_version)
    if implemented is None:
        raise ValueError(f"not a version, major.minor: {imp_version!r}")
    wanted = None if version is None else _parse(version)
    return wanted is not None and wanted[0] == implemented[0] and wanted[1:] <= implemented[1:]


def check(version: str | None) -> None:
    """Refuse a version that cannot be compared; None is no version and passes.

    Raises:
        MessagingException: it does not begin with two integers.
    """
    if version is not None and _parse(version) is None:
        raise MessagingException(
            f"Version must contain a major and minor integer. Got {version}",
        )


def _parse(version: str) -> tuple[int, int, int] | None:
    parts = version.split(".")[:3]
    if len(parts) < _MIN_PARTS or not all(map(_is_number, parts)):
        return None
    major, minor, *rest = map(int, parts)
    return major, minor, rest[0] if rest else 0


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS
