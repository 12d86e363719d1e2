"""Threads that take turns and a clock that nobody waits for: the same seed gives the same run.

Each simulated thread is a greenlet. It runs until it would wait, or until the seed says that it is
somebody else's turn, which may be whenever it reads the clock, takes or leaves a lock, or tells
telemetry something. When nobody can run, the clock jumps to the next thing that is due.
"""

from __future__ import annotations

import heapq
import itertools
import traceback
from collections import deque
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet

START_NS = 1_000_000_000_000
READ_NS = 1000
"""How far the clock moves when somebody reads it, so that a loop which only looks comes to its end."""
MOST_TURNS = 300_000
"""Turns of one run; more mean that somebody goes round in circles."""


class Stuck(AssertionError):
    """The run does not come to its end."""


class Task:
    """One simulated thread."""

    def __init__(self, world: World, name: str, run) -> None:
        self.name = name
        self.ticket = 0
        self.is_over = False
        self.ended: deque = deque()
        self._world = world
        self._run = run
        self.greenlet = greenlet(self._live, world.hub)
        self.thread = None

    def _live(self, _result=None) -> None:
        try:
            self._run()
        except GreenletExit:
            pass
        except BaseException:  # noqa: BLE001 - the test that looks at them must hear of all
            self._world.errors.append(f"{self.name}: {traceback.format_exc()}")
        self.is_over = True
        while self._world.wake_one(self.ended):
            pass


class World:
    """Runs tasks and timers in an order that a seed decides."""

    current: World

    def __init__(self, seed: int, eagerness: float = 0.1) -> None:
        self.random = Random(seed)
        self.eagerness = eagerness
        self.now_ns = START_NS
        self.hub = getcurrent()
        self.tasks: list[Task] = []
        self.errors: list[str] = []
        self.history: list[tuple[int, str]] = []
        self.files: dict[int, object] = {}
        self.turns = 0
        self._ready: list[tuple[Task, object]] = []
        self._timers: list = []
        self._order = itertools.count()
        self._by_greenlet: dict[greenlet, Task] = {}
        World.current = self

    # ---- the clock ----------------------------------------------------------------------------

    def read_clock_ns(self) -> int:
        """Return the time, and perhaps let others run first."""
        self.now_ns += READ_NS
        self.pause()
        return self.now_ns

    def after(self, delay_s: float, run) -> list:
        """Run something in the hub later; `cancel` what is returned."""
        entry = [self.now_ns + max(READ_NS, int(delay_s * 1e9)), next(self._order), run]
        heapq.heappush(self._timers, entry)
        return entry

    def cancel(self, entry: list) -> None:
        """Do not run it."""
        entry[2] = None

    # ---- tasks --------------------------------------------------------------------------------

    def spawn(self, name: str, run) -> Task:
        """Make a task, which runs when it is its turn."""
        task = Task(self, name, run)
        self.tasks.append(task)
        self._by_greenlet[task.greenlet] = task
        self._ready.append((task, None))
        return task

    def task(self) -> Task | None:
        """Return the task that runs now; None in the hub."""
        return self._by_greenlet.get(getcurrent())

    def pause(self) -> None:
        """Let others run, if the seed says so."""
        if self.random.random() < self.eagerness:
            task = self.task()
            if task is not None:
                self._ready.append((task, None))
                self.hub.switch()

    def block(self, waiters: deque, timeout_s: float | None) -> bool:
        """Wait until somebody calls `wake_one` with these waiters; False when nobody did in time."""
        task = self.task()
        assert task is not None, "the hub must not wait"
        task.ticket += 1
        ticket = task.ticket
        waiters.append((task, ticket))
        timer = None
        if timeout_s is not None:
            timer = self.after(timeout_s, lambda: self._wake(task, ticket, False))
        was_woken = self.hub.switch()
        if timer is not None:
            self.cancel(timer)
        return was_woken

    def _wake(self, task: Task, ticket: int, result: bool) -> bool:
        if task.ticket != ticket or task.is_over:
            return False
        task.ticket += 1
        self._ready.append((task, result))
        return True

    def wake_one(self, waiters: deque) -> bool:
        """Let the first of the waiters go on; False when there is none."""
        while waiters:
            if self._wake(*waiters.popleft(), True):
                return True
        return False

    def wake_all(self, waiters: deque) -> None:
        """Let all go on."""
        while self.wake_one(waiters):
            pass

    # ---- running ------------------------------------------------------------------------------

    def run(self, limit_s: float, until=lambda: False) -> bool:
        """Run until something is so, at most for so long by the simulated clock; tell whether it is."""
        end_ns = self.now_ns + int(limit_s * 1e9)
        while not until():
            if not self._turn(end_ns):
                return until()
        return True

    def _turn(self, end_ns: int) -> bool:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Stuck(f"more than {MOST_TURNS} turns; {self.living()}")
        timers = self._timers
        while timers and timers[0][2] is None:
            heapq.heappop(timers)
        if timers and (timers[0][0] <= self.now_ns or not self._ready):
            if timers[0][0] > end_ns:
                self.now_ns = max(self.now_ns, end_ns)
                return False
            due_ns, _, run = heapq.heappop(timers)
            self.now_ns = max(self.now_ns, due_ns)
            run()
            return True
        if not self._ready or self.now_ns >= end_ns:
            self.now_ns = max(self.now_ns, end_ns)
            return False
        task, result = self._ready.pop(self.random.randrange(len(self._ready)))
        task.greenlet.switch(result)
        if task.is_over:
            self.tasks.remove(task)
            del self._by_greenlet[task.greenlet]
        return True

    def note(self, what: str) -> None:
        """Write down what happened, for whoever reads of a failure."""
        self.history.append((self.now_ns - START_NS, what))

    def living(self) -> list[str]:
        """Return the names of the tasks that have not ended."""
        return sorted(task.name for task in self.tasks)

    def end(self) -> None:
        """End every task where it stands."""
        for task in list(self.tasks):
            for _ in range(10):
                if not task.greenlet.dead and task.greenlet:
                    task.greenlet.throw(GreenletExit)
        self.tasks.clear()
        self._timers.clear()
