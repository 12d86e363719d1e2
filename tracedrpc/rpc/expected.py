"""Exceptions that a method raises on purpose."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tracedrpc.exceptions import ExpectedException

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def expected_exceptions(
    *exceptions: type[BaseException],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare the exceptions that belong to a method's contract.

    The caller gets them like any other, but the server does not log them as errors. Called
    directly, not by a peer, the method raises `ExpectedException` in their place, as in
    oslo.messaging.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except exceptions as error:
                raise ExpectedException from error

        return wrapper

    return decorate
