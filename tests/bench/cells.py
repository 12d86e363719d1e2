"""What is measured: the peers and the cells, and one sample of a peer in a cell."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
BENCH_VENV = ROOT / ".venv-bench"


@dataclass(frozen=True, slots=True)
class Peer:
    """One library in one configuration."""

    name: str
    title: str
    module: str
    stock: bool = False
    """Runs in `.venv-bench` and not in our own environment."""
    tracing: str = ""
    """`TRACEDRPC_TRACING`, for tracedrpc."""
    exported: bool = False
    """Spans go to the OTLP receiver."""
    scheme: str = "rabbit"


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of load."""

    mode: str
    callers: int

    @property
    def title(self) -> str:
        """As in "call, 16 callers"."""
        return f"{self.mode}, {self.callers} caller{'s' if self.callers > 1 else ''}"


@dataclass(slots=True)
class Sample:
    """What one peer did in one cell of one round; `error` tells why there are no figures."""

    round: int
    peer: str
    cell: str
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(slots=True)
class Exported:
    """What the OTLP receiver got in one round from the peers that export, of `operations`."""

    round: int
    operations: int
    requests: int
    bytes: int
    spans: int


@dataclass(slots=True)
class Results:
    """One whole run."""

    machine: dict[str, str]
    settings: dict[str, float]
    samples: list[Sample] = field(default_factory=list)
    exported: list[Exported] = field(default_factory=list)
    prices: list[list[str]] = field(default_factory=list)
    """Rows of `price.price_rows`."""

    def as_json(self) -> dict[str, object]:
        """Plain values for the JSON file."""
        return asdict(self)


ECHO = Peer("echo", "py-amqp echo", "peer_echo", scheme="amqp")
STOCK = Peer("oslo", "oslo.messaging", "peer_oslo", stock=True)
OFF = Peer("off", "tracedrpc, tracing off", "peer_tracedrpc", tracing="off")
STANDARD = Peer(
    "standard", "tracedrpc, standard, exported", "peer_tracedrpc", tracing="standard", exported=True
)
PEERS = (ECHO, STOCK, OFF, STANDARD)

CALL_1, CALL_16 = Cell("call", 1), Cell("call", 16)
CAST_1, CAST_16 = Cell("cast", 1), Cell("cast", 16)
CELLS = (CALL_1, CALL_16, CAST_1, CAST_16)
QUICK_CELLS = (CALL_1, CALL_16)
