"""What may happen to an RPC system, as rules that hypothesis combines."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.simulated.stage import PATIENT_S, TOPIC, Stage

LIMITS = st.sampled_from((0.3, 2.0, 10.0, PATIENT_S))
SHORT = st.sampled_from((0.001, 0.01, 0.1, 1.0))


class Troubles(RuleBasedStateMachine):
    """Calls, casts and servers, while connections break and the broker loses things."""

    def __init__(self) -> None:
        super().__init__()
        self.stage: Stage | None = None
        self.is_settled = False

    @initialize(seed=st.integers(0, 2**32 - 1), eagerness=st.sampled_from((0.0, 0.05, 0.3)))
    def begin(self, seed: int, eagerness: float) -> None:
        self.stage = Stage(seed, eagerness)
        self.stage.start_server()
        self.stage.world.run(1.0)

    # ---- work ---------------------------------------------------------------------------------

    @rule(limit_s=LIMITS, takes_s=st.sampled_from((0.0, 0.0, 0.02, 1.0)), count=st.integers(1, 5))
    def call(self, limit_s: float, takes_s: float, count: int) -> None:
        for _ in range(count):
            self.stage.call(limit_s, takes_s)

    @rule(takes_s=st.sampled_from((0.02, 3.0)))
    def monitored_call(self, takes_s: float) -> None:
        self.stage.call(10.0, takes_s, monitor_s=1.0)

    @rule(limit_s=LIMITS, count=st.integers(1, 5))
    def cast(self, limit_s: float, count: int) -> None:
        for _ in range(count):
            self.stage.cast(limit_s)

    @rule(limit_s=LIMITS)
    def fanout(self, limit_s: float) -> None:
        self.stage.cast(limit_s, fanout=True)

    @rule(seconds=st.sampled_from((0.0005, 0.002, 0.01, 0.1, 1.0, 7.0, 40.0)))
    def go_on(self, seconds: float) -> None:
        self.stage.world.run(seconds)

    @rule()
    def start_server(self) -> None:
        if len(self.stage.servers) < 3:
            self.stage.start_server()

    @rule()
    def stop_server(self) -> None:
        self.stage.stop_server()

    # ---- troubles -----------------------------------------------------------------------------

    @rule(which=st.integers(0, 50))
    def cut_a_connection(self, which: int) -> None:
        sessions = self.stage.broker.sessions
        if sessions:
            sessions[which % len(sessions)].wire.cut()

    @rule()
    def cut_all_connections(self) -> None:
        for session in list(self.stage.broker.sessions):
            session.wire.cut()

    @rule(which=st.integers(0, 50))
    def silence_a_connection(self, which: int) -> None:
        sessions = self.stage.broker.sessions
        if sessions:
            sessions[which % len(sessions)].wire.silence()

    @rule(delay_s=SHORT, cut=st.sampled_from((0.0, 0.01, 0.1)))
    def weather(self, delay_s: float, cut: float) -> None:
        self.stage.weather.delay_s, self.stage.weather.cut = delay_s, cut

    @rule(down_s=SHORT)
    def restart_broker(self, down_s: float) -> None:
        self.stage.broker.stop()
        self.stage.world.run(down_s)
        self.stage.broker.start()

    @rule(blocked_s=SHORT)
    def alarm(self, blocked_s: float) -> None:
        self.stage.broker.alarm(is_on=True)
        self.stage.world.run(blocked_s)
        self.stage.broker.alarm(is_on=False)

    @rule(kind=st.sampled_from((TOPIC, f"{TOPIC}_fanout_", "reply_")))
    def delete_queue(self, kind: str) -> None:
        for name in [name for name in self.stage.broker.queues if name.startswith(kind)][:1]:
            self.stage.broker.delete_queue(name)

    @rule(name=st.sampled_from(("openstack", f"{TOPIC}_fanout")))
    def delete_exchange(self, name: str) -> None:
        self.stage.broker.exchanges.pop(name, None)

    @rule(is_so=st.booleans())
    def deliver_twice(self, is_so: bool) -> None:
        self.stage.broker.twice_from_now = is_so

    # ---- what must be true --------------------------------------------------------------------

    @invariant()
    def nothing_is_wrong(self) -> None:
        if self.stage is not None and not self.is_settled:
            self.stage.check()

    def teardown(self) -> None:
        if self.stage is None:
            return
        try:
            self.is_settled = True
            self.stage.settle()
        finally:
            self.stage.end()
