"""What a sampler says of a span; the usual samplers say what is known, and are not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
    from opentelemetry.trace import SpanContext, TraceState

    from tracedrpc_otel.records import Start

_ON: Final = "AlwaysOnSampler"
_ON_ROOT: Final = f"ParentBased{{root:{_ON},"
_AS_PARENT: Final = (
    f"remoteParentSampled:{_ON},remoteParentNotSampled:AlwaysOffSampler,"
    f"localParentSampled:{_ON},localParentNotSampled:AlwaysOffSampler}}"
)
_WITH_LOCAL_PARENT: Final = f"localParentSampled:{_ON}"


class Verdict(NamedTuple):
    """What was decided on a span.

    Attributes:
        is_sampled: it is recorded and exported.
        trace_state: of its context; None is an empty one.
        attributes: those it begins with, where the sampler changed them; None where it did not.
    """

    is_sampled: bool
    trace_state: TraceState | None = None
    attributes: Mapping[str, Any] | None = None


_SAMPLED: Final = Verdict(is_sampled=True)


class Verdicts:
    """Asks a sampler, or knows. Samplers describe themselves by `get_description`, as specified."""

    def __init__(self, sampler: Sampler) -> None:
        said = sampler.get_description()
        self._sampler = sampler
        self._knows_roots = said.startswith(_ON_ROOT) and said.endswith(_AS_PARENT)
        self._knows_children = said.startswith("ParentBased{") and said.endswith(_AS_PARENT)
        self.knows_leaves = said == _ON or _WITH_LOCAL_PARENT in said
        """Whether all children of a sampled span of this process are sampled."""

    def of(
        self, start: Start, context: Context, above: SpanContext | None, trace_id: int,
        links: tuple[SpanContext, ...], *, forced: bool,
    ) -> Verdict:
        """Return the verdict on a span that begins in a context, below the span `above` if there is one."""
        if not forced:
            if above is None and self._knows_roots:
                return _SAMPLED
            if above is not None and self._knows_children:
                return Verdict(above.trace_flags.sampled, above.trace_state)
        sampler = ALWAYS_ON if forced else self._sampler
        offered = [Link(link) for link in links]
        result = sampler.should_sample(context, trace_id, start.name, start.kind, start.attributes, offered)
        return Verdict(is_sampled(result), result.trace_state, _changed(result.attributes, start))


def is_sampled(result: SamplingResult) -> bool:
    """Tell whether a sampler wants a span to be exported."""
    return bool(result.decision.is_sampled())  # type: ignore[no-untyped-call]  # the SDK's


def _changed(attributes: Mapping[str, Any] | None, start: Start) -> Mapping[str, Any] | None:
    return None if dict(attributes or {}) == dict(start.attributes) else attributes or {}
