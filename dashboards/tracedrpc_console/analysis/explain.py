"""Why was this slow, or where did it die: one sentence about a trace, and what to do about it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tracedrpc import semconv
from tracedrpc.anatomy import Phase
from tracedrpc_console.analysis.advice import ABOUT, AFTER_ERROR, AFTER_TIMEOUT, WORDS
from tracedrpc_console.analysis.critical import critical_path
from tracedrpc_console.analysis.tree import path_spans, phases_ms
from tracedrpc_console.spans import Kind
from tracedrpc_console.waterfall import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc_console.analysis.critical import Section
    from tracedrpc_console.spans import Span, Trace

TOLD_MOST: Final = 4
"""Spans that a sentence names; what is left of a call is in small pieces."""
_LEAST_SHARE: Final = 0.02
_ADVICE_SHARE: Final = 0.25
"""A phase that took this share of the call is worth advice."""


@dataclass(frozen=True, slots=True)
class Share:
    """How long the end of a trace waited for the spans of one name of one service, in ms."""

    service: str
    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say about a trace.

    Attributes:
        why: what the call itself said, `tracedrpc.why`; "" when it said nothing.
        sentence: that, or else one made from its phases or its critical path; "" of an empty trace.
        phases: of the call that was explained, in ms.
        critical: the critical path in order of time.
        shares: the same by service and name, the longest first.
        advice: what to look at next.
    """

    why: str = ""
    sentence: str = ""
    phases: Mapping[Phase, float] = field(default_factory=dict)
    critical: tuple[Section, ...] = ()
    shares: tuple[Share, ...] = ()
    advice: tuple[str, ...] = ()


def explain(trace: Trace) -> Explanation:
    """Return what there is to say about a trace."""
    sections = critical_path(path_spans(trace))
    shares = _blame(trace, sections)
    call = subject(trace)
    if call is None:
        return Explanation(sentence=_by_path(trace, shares), critical=_in_time(sections), shares=shares)
    why = str(call.attributes.get(semconv.WHY, ""))
    phases = phases_ms(call.attributes)
    sentence = _named(call, why or _by_phases(call, phases) or _by_path(trace, shares))
    return Explanation(why, sentence, phases, _in_time(sections), shares, _advice(call, phases, trace))


def subject(trace: Trace) -> Span | None:
    """Return the call that explains a trace; None when it has none.

    That is the deepest one that timed out or failed, where the trouble began; else the first that tells.
    """
    calls = [row.span for row in trace.rows() if _is_call(row.span)]
    died = [call for call in calls if semconv.TIMEOUT_PHASE in call.attributes]
    failed = [call for call in calls if call.is_error]
    root = calls[0] if calls else None
    if root is None or not root.is_error:
        return root
    return (died or failed)[-1]


def _is_call(span: Span) -> bool:
    """Tell a whole call or cast from its parts, which have no mode."""
    is_sender = span.kind in {Kind.CLIENT, Kind.PRODUCER}
    return is_sender and (semconv.MODE in span.attributes or bool(phases_ms(span.attributes)))


def _named(call: Span, text: str) -> str:
    return text if call.name in text or not text else f"{call.name}: {text}"


def _by_phases(call: Span, phases: Mapping[Phase, float]) -> str:
    least = call.duration_ms * _LEAST_SHARE
    told = [f"{ms:.1f} {WORDS[phase]}" for phase, ms in phases.items() if ms > least]
    return f"{call.duration_ms:.1f} ms: {', '.join(told)}" if told else ""


def _by_path(trace: Trace, shares: tuple[Share, ...]) -> str:
    if not shares:
        return ""
    whole = sum(share.ms for share in shares)
    told = [f"{share.ms:.1f} in {share.service}: {share.name}" for share in shares[:TOLD_MOST]]
    failed = sum(span.is_error for span in trace.spans)
    errors = f"; {failed} span{'s' if failed > 1 else ''} failed" if failed else ""
    return f"{milliseconds(whole)}: {', '.join(told)}{errors}"


def _blame(trace: Trace, sections: list[Section]) -> tuple[Share, ...]:
    by_id = {span.span_id: span for span in trace.spans}
    blamed: Counter[tuple[str, str]] = Counter()
    for section in sections:
        span = by_id[section.span.id]
        blamed[span.service, span.name] += section.end_us - section.start_us
    return tuple(Share(*key, us / 1000) for key, us in blamed.most_common())


def _in_time(sections: list[Section]) -> tuple[Section, ...]:
    return tuple(reversed(sections))


def _advice(call: Span, phases: Mapping[Phase, float], trace: Trace) -> tuple[str, ...]:
    died = call.attributes.get(semconv.TIMEOUT_PHASE)
    if died:
        return (AFTER_TIMEOUT.get(str(died), ABOUT[Phase.REMOTE]),)
    advice = [ABOUT[phase] for phase, ms in phases.items() if ms >= call.duration_ms * _ADVICE_SHARE]
    if call.is_error:
        error = call.attributes.get(semconv.ERROR_TYPE, "an exception")
        servers = [child.service for child in trace.children(call) if child.kind is Kind.SERVER]
        advice.insert(0, AFTER_ERROR.format(service=(servers or [call.service])[0], type=error))
    return tuple(advice)
