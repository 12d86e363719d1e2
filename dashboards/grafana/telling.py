"""What every panel has: a title, a unit, a description, and links to the traces and log lines behind it."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

from grafana.links import panel_links

if TYPE_CHECKING:
    from grafana.links import Look

PROMETHEUS: Final = DataSourceRef("prometheus", "${datasource}")
LOKI: Final = DataSourceRef("loki", "${logs}")
JAEGER: Final = DataSourceRef("jaeger", "${traces}")
HEIGHT: Final = 8
FULL, HALF, THIRD, SIXTH = 24, 12, 8, 4
"""Of the 24 columns of Grafana's grid."""

Steps: TypeAlias = tuple[tuple[float, str], ...]
"""(from which value on, colour); below the first it is green."""
AMBER, RED = "orange", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query and what its series are called."""

    expr: str
    legend: str = ""
    exemplars: bool = False


class JaegerQuery(Dataquery, Builder[Dataquery]):
    """A query of Grafana's Jaeger source as the plain object that it is: the SDK has no builder for it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked

    def build(self) -> Self:
        """Return itself."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Return what goes into the dashboard."""
        return {"refId": "A", "datasource": JAEGER, **self._asked}


class Panel(Protocol):
    """What the SDK's builders of panels have in common."""

    def title(self, title: str) -> Self: ...  # noqa: D102
    def unit(self, unit: str) -> Self: ...  # noqa: D102
    def description(self, description: str) -> Self: ...  # noqa: D102
    def links(self, links: list[Builder[Any]]) -> Self: ...  # noqa: D102
    def thresholds(self, thresholds: Builder[Any]) -> Self: ...  # noqa: D102


P = TypeVar("P", bound=Panel)


def told(panel: P, title: str, unit: str, description: str, look: Look, steps: Steps = ()) -> P:
    """Return the panel with everything that each has to have."""
    links: list[Builder[Any]] = [*panel_links(look)]
    panel.title(title).unit(unit).description(description).links(links).thresholds(_thresholds(steps))
    return panel


def asked(at: int, query: Query) -> prometheus.Dataquery:
    """Return a panel's query, the first being A."""
    made = prometheus.Dataquery().expr(query.expr).ref_id(letter(at)).datasource(PROMETHEUS)
    if query.legend:
        made.legend_format(query.legend)
    return made.exemplar(query.exemplars)


def letter(at: int) -> str:
    """Return what Grafana calls a panel's queries: A, B, C."""
    return string.ascii_uppercase[at]


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    colours = [Threshold(None, "green"), *(Threshold(value, colour) for value, colour in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(colours)
