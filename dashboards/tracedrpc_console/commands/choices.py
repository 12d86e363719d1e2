"""What arguments of the asking commands can be, without anything slow to import."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a trace ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"


class Format(StrEnum):
    """What a trace can be written as."""

    HTML = "html"
    SVG = "svg"
    OTLP = "otlp"
    JAEGER = "jaeger"
    CHROME = "chrome"

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return self.value if self in {Format.HTML, Format.SVG} else f"{self.value}.json"
