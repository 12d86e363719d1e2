"""What the engine uses of `threading`, `_thread`, `queue`, `select` and `time`, in a simulated world."""

from __future__ import annotations

import queue
import select
import threading
from collections import deque
from types import SimpleNamespace

from tests.simulated.world import World


def monotonic() -> float:
    return World.current.read_clock_ns() / 1e9


def monotonic_ns() -> int:
    return World.current.read_clock_ns()


def time_ns() -> int:
    return 1_700_000_000_000_000_000 + World.current.now_ns


class Lock:
    def __init__(self) -> None:
        self._world = World.current
        self._waiters: deque = deque()
        self._owner = None
        self._depth = 0
        self.is_reentrant = False

    def _me(self):
        return self._world.task() or self._world

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self._world.pause()
        if self.is_reentrant and self._owner is self._me():
            self._depth += 1
            return True
        end_ns = None if timeout is None or timeout < 0 else self._world.now_ns + int(timeout * 1e9)
        while self._owner is not None:
            left_s = None if end_ns is None else (end_ns - self._world.now_ns) / 1e9
            if not blocking or (left_s is not None and left_s <= 0):
                return False
            self._world.block(self._waiters, left_s)
        self._owner, self._depth = self._me(), 1
        return True

    def release(self) -> None:
        if self._owner is None or (self.is_reentrant and self._owner is not self._me()):
            raise RuntimeError("release of a lock that is not held")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._world.wake_one(self._waiters)
            self._world.pause()

    def locked(self) -> bool:
        return self._owner is not None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class RLock(Lock):
    def __init__(self) -> None:
        super().__init__()
        self.is_reentrant = True


def allocate_lock() -> Lock:
    return Lock()


class Condition:
    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = lock or RLock()
        self._world = World.current
        self._waiters: deque = deque()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        # Nobody runs between leaving the lock and waiting: a real condition misses no notice either.
        depth = self._lock._depth
        self._lock._depth, self._lock._owner = 0, None
        self._world.wake_one(self._lock._waiters)
        try:
            return self._world.block(self._waiters, timeout)
        finally:
            self._lock.acquire()
            self._lock._depth = depth

    def wait_for(self, is_so, timeout: float | None = None) -> bool:
        end_ns = None if timeout is None else self._world.now_ns + int(timeout * 1e9)
        while not is_so():
            left_s = None if end_ns is None else (end_ns - self._world.now_ns) / 1e9
            if left_s is not None and left_s <= 0:
                return is_so()
            self.wait(left_s)
        return True

    def notify(self, n: int = 1) -> None:
        for _ in range(n):
            self._world.wake_one(self._waiters)

    def notify_all(self) -> None:
        self._world.wake_all(self._waiters)


class Event:
    def __init__(self) -> None:
        self._world = World.current
        self._waiters: deque = deque()
        self._is_set = False

    def is_set(self) -> bool:
        self._world.pause()
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._world.wake_all(self._waiters)
        self._world.pause()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            self._world.block(self._waiters, timeout)
        return self._is_set


class SimpleQueue:
    def __init__(self) -> None:
        self._items: deque = deque()
        self._waiters: deque = deque()

    def put(self, item) -> None:
        self._items.append(item)
        World.current.wake_one(self._waiters)
        World.current.pause()

    def get(self, block: bool = True, timeout: float | None = None):
        while not self._items:
            if not World.current.block(self._waiters, timeout):
                raise queue.Empty
        return self._items.popleft()


class Thread:
    def __init__(self, *, target, args=(), name: str, daemon: bool) -> None:
        self.name = name
        self.daemon = daemon
        self._run = lambda: target(*args)
        self._task = None

    def start(self) -> None:
        self._task = World.current.spawn(self.name, self._run)
        self._task.thread = self

    def join(self, timeout: float | None = None) -> None:
        if not self._task.is_over:
            World.current.block(self._task.ended, timeout)

    def is_alive(self) -> bool:
        return not self._task.is_over


def current_thread():
    task = World.current.task()
    return threading.main_thread() if task is None else task.thread or task


def get_ident() -> int:
    return id(World.current.task() or World.current)


def excepthook(told) -> None:
    World.current.errors.append(repr(told.exc_value))


class Poll:
    """`select.poll` over simulated files: sockets and wakers."""

    def __init__(self) -> None:
        self._files: list[tuple[int, int]] = []

    def register(self, fd: int, events: int) -> None:
        self._files.append((fd, events))

    def _ready(self) -> list[tuple[int, int]]:
        files = World.current.files
        return [(fd, events) for fd, events in self._files if fd not in files or files[fd].is_ready(events)]

    def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
        world = World.current
        end_ns = world.now_ns + int(timeout_ms * 1e6)
        while not (ready := self._ready()) and (left_s := (end_ns - world.now_ns) / 1e9) > 0:
            waiters: deque = deque()
            for fd, _ in self._files:
                world.files[fd].watchers.append(waiters)
            world.block(waiters, left_s)
            for fd, _ in self._files:
                if fd in world.files:
                    world.files[fd].forget(waiters)
        return ready


class File:
    """Something to poll."""

    def __init__(self) -> None:
        self.world = World.current
        self.number = len(self.world.files) + 100
        while self.number in self.world.files:
            self.number += 1
        self.world.files[self.number] = self
        self.watchers: list[deque] = []

    def fileno(self) -> int:
        return self.number

    def is_ready(self, events: int) -> bool:
        raise NotImplementedError

    def forget(self, waiters: deque) -> None:
        self.watchers = [each for each in self.watchers if each is not waiters]

    def changed(self) -> None:
        for waiters in self.watchers:
            self.world.wake_all(waiters)

    def close(self) -> None:
        if self.world.files.pop(self.number, None) is not None:
            self.changed()


class Waker(File):
    def __init__(self) -> None:
        super().__init__()
        self._is_awake = False

    def is_ready(self, events: int) -> bool:
        return self._is_awake

    def wake(self) -> None:
        self._is_awake = True
        self.changed()
        self.world.pause()

    def drain(self) -> None:
        self._is_awake = False


THREADING = SimpleNamespace(
    Thread=Thread, Lock=Lock, RLock=RLock, Condition=Condition, Event=Event,
    current_thread=current_thread, get_ident=get_ident, main_thread=threading.main_thread,
    excepthook=excepthook, ExceptHookArgs=threading.ExceptHookArgs,
)
LOW_THREAD = SimpleNamespace(allocate_lock=allocate_lock)
QUEUE = SimpleNamespace(SimpleQueue=SimpleQueue, Empty=queue.Empty)
SELECT = SimpleNamespace(poll=Poll, POLLIN=select.POLLIN, POLLOUT=select.POLLOUT)
