"""Work in processes that may be lost: what crashes or hangs one is tried again, then given up."""

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from time import monotonic
from types import FrameType
from typing import Any

from activity.errors import UserError

TRIES = 3
PATIENCE = 120.0  # seconds without a sign of life
PULSE = 1.0  # seconds between two of them
GRACE = 10.0  # seconds to leave in, once it is to end
SPAWN = get_context("spawn")  # a fork would copy the locks of threads
READY, ALIVE = "ready", "alive"  # what a process says, besides its answers

Pulse = Callable[[], None]


class LostError(Exception):
    """The process was lost with an item each time that it was tried; says how."""


class Worker:
    """Hands items to a process of its own, which begins with the first one and ends by `close`.

    `make(*arguments, pulse)` is called there, and what it returns with each item. That has to call
    `pulse` more often than every `patience` seconds, or is taken to hang; there it ends, too.
    """

    def __init__(
        self, make: Callable[..., Any], *arguments: Any, patience: float = PATIENCE
    ) -> None:
        self._target = (make, arguments)
        self._patience = patience
        self._process: Any = None
        self._closed = False

    def __call__(self, item: object) -> Any:
        """Return what comes of an item.

        Raises `LostError`, or a `UserError` that was raised in the process.
        """
        for _ in range(TRIES):
            if not self._process:
                self._start()
            with self._losses():
                self._connection.send(item)
                return self._answer()
        raise LostError(self._loss)

    def _start(self) -> None:
        for _ in range(TRIES):
            if self._closed:
                raise RuntimeError("the worker was closed")
            self._connection, other = SPAWN.Pipe()
            process = SPAWN.Process(target=_serve, args=(other, *self._target), daemon=True)
            process.start()
            self._process = process
            other.close()
            if self._closed:  # in the meantime, by another thread
                self.close()
            with self._losses():
                self._answer()
                return
        raise UserError(f"no worker could get ready ({self._loss}); is there enough memory?")

    def _answer(self) -> Any:
        while self._connection.poll(self._patience):
            answer = self._connection.recv()
            if isinstance(answer, UserError):
                raise answer
            if answer != ALIVE:
                return answer
        raise TimeoutError(f"no sign of life for {self._patience:g} s")

    @contextmanager
    def _losses(self) -> Iterator[None]:
        """Note where the process is lost, and how, and end what is left of it."""
        try:
            yield
        except (EOFError, OSError) as error:
            if self._closed:
                raise RuntimeError("the worker was closed") from error
            hangs = isinstance(error, TimeoutError)
            if hangs:
                self._process.kill()
            self._process.join()
            code = self._process.exitcode
            died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self._loss = str(error) if hangs else died
            self._process = None

    def close(self) -> None:
        """End the process, whatever it is at; what is half-written is removed."""
        self._closed = True
        if process := self._process:
            process.terminate()
            process.join(GRACE)
            process.kill()
            process.join()


def _serve(connection: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Answer items until nobody asks any more: the process of a `Worker`."""
    last = monotonic()
    ended = waiting = False

    def pulse() -> None:
        nonlocal last
        if ended:
            sys.exit()
        if monotonic() - last > PULSE:
            last = monotonic()
            try:
                connection.send(ALIVE)
            except OSError:
                sys.exit()  # nobody waits any more; an OSError would be taken for a file's

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        if waiting:
            sys.exit()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; `close` decides
    # SIGTERM leads out at a pulse through all blocks, which remove what is half-written. Anywhere
    # else it could come while a thread is started, and leave that running.
    signal.signal(signal.SIGTERM, end)
    with suppress(EOFError, OSError):  # nobody waits any more
        try:
            work = make(*arguments, pulse)
            connection.send(READY)
            while True:
                waiting = True
                if ended:
                    return
                item = connection.recv()
                waiting = False
                connection.send(work(item))
        except UserError as error:
            connection.send(error)


def on_this_machine(
    make: Callable[[], Any], items: Sequence[Any], count: int | None = None
) -> Generator[Any, None, None]:
    """Yield what workers return for items, as it comes; the first items are begun first.

    There are `count` workers, one for each processor core if that is not said; `make` makes them,
    and closing the generator closes them.
    """
    count = min(count or os.cpu_count() or 1, max(1, len(items)))
    workers = [make() for _ in range(count)]
    free: SimpleQueue[Any] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def work(item: Any) -> Any:
        worker = free.get()
        try:
            return worker(item)
        finally:
            free.put(worker)

    pool = ThreadPoolExecutor(count)
    try:
        for done in as_completed([pool.submit(work, item) for item in items]):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        with ThreadPoolExecutor(count) as closers:  # at once, as each may hang
            for worker in workers:
                closers.submit(worker.close)
        pool.shutdown()
