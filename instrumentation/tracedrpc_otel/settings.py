"""What the environment says about tracing."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Final


class Detail(StrEnum):
    """How many spans a call has: none; CLIENT and SERVER; four; every phase."""

    OFF = "off"
    COMPACT = "compact"
    STANDARD = "standard"
    FULL = "full"


VARIABLE: Final = "TRACEDRPC_TRACING"


def detail() -> Detail:
    """Return the detail asked for; an unknown word is the default, because tracing must not break."""
    try:
        return Detail(os.environ.get(VARIABLE, "").strip().lower() or Detail.STANDARD)
    except ValueError:
        return Detail.STANDARD


def is_disabled() -> bool:
    """Tell whether any of the switches, ours or OpenTelemetry's, is off."""
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return (
        detail() is Detail.OFF
        or is_sdk_disabled()
        or any(name.strip().lower() in {"tracedrpc", "*"} for name in disabled)
    )


def is_sdk_disabled() -> bool:
    """Tell whether OpenTelemetry's SDK is switched off as a whole."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
