"""Clips in, results out, in processes of their own, which one clip may take with it."""

import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from time import monotonic

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from activity.errors import UserError
from activity.prediction.batch import Job, Results, Task
from activity.prediction.classifier import Classifier
from activity.prediction.result import Result
from activity.video.sources import redacted

TRIES = 3
PATIENCE = 120.0  # seconds without a frame, after which what reads a clip is taken to hang
HANGS, ENDED = 1, 128 + signal.SIGTERM  # exit codes of a process that hangs, or was to end
SPAWN = get_context("spawn")  # a fork would copy the locks of threads


def in_processes(task: Task, jobs: Sequence[Job], count: int | None = None) -> Results:
    """Label with `count` processes at the same time, or one per processor core.

    A clip that crashes or hangs its process takes nothing else with it. Closing the generator ends
    the processes; what they have half-written is removed.
    """
    count = min(count or os.cpu_count() or 1, max(1, len(jobs)))
    workers = [Worker(task) for _ in range(count)]
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def label(job: Job) -> tuple[Job, Result]:
        worker = free.get()
        try:
            return worker(job)
        finally:
            free.put(worker)

    threads = ThreadPoolExecutor(count)
    try:
        for done in as_completed([threads.submit(label, job) for job in jobs]):
            yield done.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        with ThreadPoolExecutor(count) as closers:  # at once, as each may hang
            for worker in workers:
                closers.submit(worker.close)
        threads.shutdown()


class Worker:
    """Labels clips in a process of its own, which begins with the first one and ends by `close`."""

    def __init__(self, task: Task, patience: float = PATIENCE) -> None:
        self._task, self._patience = task, patience
        self._pool: ProcessPool | None = None
        self._future: ProcessFuture[Result] | None = None
        self._closed = False

    def __call__(self, job: Job) -> tuple[Job, Result]:
        """Return the result of a clip; an error if its process is lost each time it is tried.

        Raises `UserError` if no process can be started, or it cannot load the model.
        """
        for _ in range(TRIES):
            if self._pool and not self._pool.active:  # its process was lost while it was idle
                self._end_pool()
            if self._pool is None:
                self._pool = ProcessPool(1, initializer=_begin, context=SPAWN)
            self._future = self._pool.schedule(_label, (self._task, job, self._patience))
            if self._closed:  # since it was called
                self.close()
            try:
                return job, self._future.result()
            except ProcessExpired as error:
                code = error.exitcode
                loss = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                if code == HANGS:
                    loss = f"no frame for {self._patience:g} s"
            except BrokenProcessPool:  # it ended before it took the clip
                loss = ""
                self._end_pool()
        if not loss:
            raise UserError("no process could be started; is there enough memory?")
        fault = f"{redacted(job.source)} ended the process that read it, {TRIES} times ({loss})"
        return job, Result(redacted(job.source), error=f"{fault}; repair it, or leave it out")

    def close(self) -> None:
        """End the process, whatever it does; what is half-written is removed."""
        self._closed = True
        if self._future:
            self._future.cancel()  # type: ignore[no-untyped-call]
        self._end_pool()

    def _end_pool(self) -> None:
        if self._pool:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
            self._pool = None


class _Process:
    """The state of a worker's process."""

    busy = ended = False


def _begin() -> None:
    """Prepare the process of a worker."""

    def end(_number: int, _frame: object) -> None:
        _Process.ended = True
        if not _Process.busy:
            os._exit(0)

    # SIGTERM leads out between two frames through all blocks, which remove what is half-written.
    # Anywhere else it could come while a thread is started, and leave that running.
    signal.signal(signal.SIGTERM, end)


@cache
def _classifier(model: Path) -> Classifier:
    classifier = Classifier(model, threads=1)
    classifier.engine()  # a model that cannot be loaded is no clip's fault
    return classifier


def _label(task: Task, job: Job, patience: float) -> Result:
    """Label a clip in the process of a worker."""
    parent, watched = os.getppid(), 0.0

    def watch() -> None:
        nonlocal watched
        if _Process.ended or os.getppid() != parent:
            sys.exit()
        if monotonic() - watched > min(1.0, patience / 2):
            watched = monotonic()
            # Its thread ends the process also where a library holds Python's lock.
            faulthandler.dump_traceback_later(patience, exit=True, file=silence)

    _Process.busy = True
    with Path(os.devnull).open("w") as silence:
        try:
            classifier = _classifier(task.model)
            watch()
            result = task.label(classifier, job, on_frame=watch)
        except SystemExit:
            os._exit(ENDED)
        finally:
            faulthandler.cancel_dump_traceback_later()
            _Process.busy = False
    if _Process.ended:
        os._exit(ENDED)
    assert result  # as nothing stops it
    return result
