"""Clients and servers in a simulated world, and what must be true of them whatever happens."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

from tests.simulated import engine
from tests.simulated.network import Weather
from tests.simulated.world import Stuck, World
from tracedrpc import MessagingException, RPCClient, Target, get_rpc_server
from tracedrpc.drivers.rabbit.consumer import CHECK_S

TOPIC = "compute"
OVERRUN_S = 0.1
"""How late a call may end: what a question to the broker may cost a call that has timed out."""
UNUSED_S = 60
"""How long the broker keeps a queue of somebody's own that nobody uses."""
PATIENT_S = 120.0
"""A call with so much time outlives every trouble here."""
NOTICED_S = 40.0
"""After so long a connection that says nothing has been given up, at either end."""
SETTLE_S = 200.0
"""How long after the last trouble everything must have come right: dead connections are noticed
after two heartbeats, what waits for a server is tried until its deadline."""


@dataclass
class Deed:
    """Something that a client was asked to do."""

    number: int
    kind: str
    began_s: float
    limit_s: float
    ended_s: float | None = None
    error: BaseException | None = None
    result: object = None
    unique_id: str = ""


class Compute:
    """The endpoint; writes down what it does."""

    def __init__(self, stage: Stage, server: str) -> None:
        self._stage = stage
        self._server = server

    def work(self, ctxt, number: int, takes_s: float) -> int:
        self._stage.executed[self._server, number] += 1
        self._stage.world.note(f"executed {number} on {self._server}")
        if takes_s:
            engine.primitives.Event().wait(takes_s)
        return number


class Stage:
    """One client transport, servers that come and go, a broker and a network between them."""

    def __init__(self, seed: int, eagerness: float, **options) -> None:
        self.world = World(seed, eagerness)
        self.weather = Weather()
        self.broker = engine.broker(self.world, self.weather)
        self.options = {
            "executor_thread_pool_size": 3, "rpc_conn_pool_size": 3, "rabbit_transient_queues_ttl": UNUSED_S,
            **options,
        }
        self.client_transport = engine.transport(self.world, **self.options)
        self.client = RPCClient(self.client_transport, Target(topic=TOPIC))
        self.servers: dict[str, tuple] = {}
        self.gone: list = []
        self.deeds: list[Deed] = []
        self.executed: Counter = Counter()
        self._numbers = itertools.count(1)

    # ---- what people do -----------------------------------------------------------------------

    def start_server(self) -> None:
        """Start one more server; it is ready when the broker lets it."""
        name = f"server-{len(self.servers) + len(self.gone) + 1}"
        transport = engine.transport(self.world, **self.options)
        server = get_rpc_server(transport, Target(topic=TOPIC, server=name), [Compute(self, name)])
        self.servers[name] = (transport, server)
        self.world.spawn(f"start {name}", lambda: self._start(server))

    def _start(self, server) -> None:
        while True:
            try:
                server.start()
            except MessagingException as error:
                self.world.note(f"start failed: {error}")
                engine.primitives.Event().wait(0.5)
            else:
                return

    def stop_server(self) -> None:
        """Stop the oldest server that serves, as SIGTERM does."""
        serving = [name for name, (_, server) in self.servers.items() if server.state.value == "serving"]
        if serving:
            transport, server = self.servers.pop(serving[0])
            self.gone.append(transport)
            self.world.spawn(f"stop {serving[0]}", lambda: self._stop(transport, server))

    @staticmethod
    def _stop(transport, server) -> None:
        server.stop()
        server.wait()
        transport.cleanup()

    def call(self, limit_s: float, takes_s: float, monitor_s: float | None = None) -> None:
        """Let a thread of the client's make a call."""
        prepared = self.client.prepare(timeout=limit_s, call_monitor_timeout=monitor_s)
        self._do("call", limit_s, lambda n: prepared.call({}, "work", number=n, takes_s=takes_s))

    def cast(self, limit_s: float, *, fanout: bool = False) -> None:
        """Let a thread of the client's make a cast."""
        prepared = self.client.prepare(timeout=limit_s, fanout=fanout or None)
        kind = "fanout" if fanout else "cast"
        self._do(kind, limit_s, lambda n: prepared.cast({}, "work", number=n, takes_s=0))

    def _do(self, kind: str, limit_s: float, act) -> None:
        deed = Deed(next(self._numbers), kind, self.world.now_ns / 1e9, limit_s)
        self.deeds.append(deed)
        self.world.spawn(f"{kind} {deed.number}", lambda: self._done(deed, act))

    def _done(self, deed: Deed, act) -> None:
        deed.began_s = self.world.now_ns / 1e9
        try:
            deed.result = act(deed.number)
        except Exception as error:  # noqa: BLE001 - judged at the end
            deed.error = error
        deed.ended_s = self.world.now_ns / 1e9
        self.world.note(f"{deed.kind} {deed.number} ended: {type(deed.error).__name__}")

    # ---- what must be true --------------------------------------------------------------------

    def check(self) -> None:
        """Check what must be true at each moment."""
        assert not self.world.errors, self.world.errors[0]
        now_s = self.world.now_ns / 1e9
        for deed in self.deeds:
            took_s = (deed.ended_s or now_s) - deed.began_s
            assert took_s <= deed.limit_s + OVERRUN_S, f"{deed} took {took_s:.3f} s"
            assert deed.error is None or isinstance(deed.error, MessagingException), repr(deed.error)
            if deed.kind == "call" and deed.ended_s and deed.error is None:
                assert deed.result == deed.number, deed
        for (server, number), times in self.executed.items():
            assert times == 1, f"{number} was executed {times} times on {server}"

    def settle(self) -> None:
        """Let everything come right, end everything, and check that nothing is left."""
        self._calm_down()
        assert not [queue for queue in self.broker.queues.values() if queue.messages], self.broker.queues
        waiters = self.client_transport.driver._waiters
        assert not waiters._waiting, "a call is still waited for"
        assert not len(self.client_transport.driver._courier), "the courier keeps something"
        self._check_casts()
        self._check_patient_calls()
        self._check_service()
        self._end_all()

    def _calm_down(self) -> None:
        self.weather.cut, self.weather.delay_s = 0.0, 0.0005
        self.broker.start()
        self.broker.twice_from_now = False
        if self.broker.has_alarm:
            self.broker.alarm(is_on=False)
        if not self.servers:
            self.start_server()
        self.world.run(1.0)
        assert self.world.run(SETTLE_S, self._is_calm), f"no calm: {self.deeds} {self.broker.queues}"
        self.world.run(1.0)
        self.check()

    def _is_calm(self) -> bool:
        """Tell whether nothing is under way any more."""
        return (
            all(deed.ended_s for deed in self.deeds)
            and not len(self.client_transport.driver._courier)
            and not self.broker.has_work()
            and all(server.state.value == "serving" for _, server in self.servers.values())
        )

    def _check_casts(self) -> None:
        """No cast that the broker took is lost, unless the broker itself has lost it or its end was told."""
        dropped = self.client_transport.telemetry.dropped
        served = {number for _, number in self.executed}
        for deed in self.deeds:
            if deed.kind == "cast" and deed.error is None and deed.number not in served:
                known = self.sent.get(deed.number)
                assert known in dropped or known in self.broker.lost, f"lost: {deed} {known}"

    def _check_patient_calls(self) -> None:
        """A call with time enough gets its answer, unless somebody has lost it for good."""
        if self.broker.lost or self.gone:
            return
        for deed in self.deeds:
            if deed.kind == "call" and deed.limit_s >= PATIENT_S:
                assert deed.error is None, f"{deed.number}: {deed.error}"

    def _check_service(self) -> None:
        """Every server answers by its own name, and the topic does, as if nothing had happened."""
        is_any_silent = any(session.wire.is_silent for session in self.broker.sessions)
        self.world.run(NOTICED_S if is_any_silent else CHECK_S + 1)
        first = len(self.deeds)
        for name in (None, *self.servers):
            prepared = self.client.prepare(timeout=5.0, server=name)
            self._do("call", 5.0, lambda n, p=prepared: p.call({}, "work", number=n, takes_s=0))
        self.cast(5.0, fanout=True)
        self.world.run(6.0)
        self.check()
        failed = [deed for deed in self.deeds[first:] if deed.error is not None or deed.ended_s is None]
        assert not failed, f"no service after the troubles: {failed}"
        reached = {server for server, number in self.executed if number == self.deeds[-1].number}
        assert reached == set(self.servers), f"a fanout reached {reached} of {set(self.servers)}"

    @property
    def sent(self) -> dict[int, str]:
        """Return the unique ids of casts by number."""
        return self.client_transport.telemetry.numbers

    def _end_all(self) -> None:
        for transport, server in self.servers.values():
            self.world.spawn("stop", lambda t=transport, s=server: self._stop(t, s))
        self.world.spawn("close", self.client_transport.cleanup)
        self.world.run(30.0)
        assert not self.world.errors, self.world.errors[0]
        if self.world.tasks:
            raise Stuck(f"still alive: {self.world.living()}")
        assert not self.world.files, f"still open: {list(self.world.files.values())}"
        self.world.run(2 * UNUSED_S)
        assert not self.broker.sessions, "the broker still has connections"
        own = [name for name in self.broker.queues if "_fanout_" in name or name.startswith("reply_")]
        assert not own, f"queues that nobody uses are left: {own}"

    def end(self) -> None:
        """End what lives in whatever state it is."""
        self.world.end()
        for driver in list(engine.driver._drivers):
            engine.driver._drivers.discard(driver)
