"""Streams of items: computed by threads, made ahead, or only the latest of them.

Threads help, as OpenCV and OpenVINO release Python's lock while they work.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

END: Any = object()  # follows the last item


def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` in order, computed by one thread per core.

    Unlike `Executor.map` it keeps only a few results waiting, however long `items` is.
    """
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def prefetch(items: Iterable[Item], ahead: int) -> Generator[Item, None, None]:
    """Yield `items` in order, while a thread makes up to `ahead` of the next ones.

    What `items` raises is raised here, in its turn. Closing the generator ends the thread.
    """
    iterator = iter(items)
    thread = ThreadPoolExecutor(1)
    try:
        waiting = deque(thread.submit(next, iterator, END) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not END:
            waiting.append(thread.submit(next, iterator, END))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)


def latest(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield the newest of `items` whenever one is asked for; those in between are dropped.

    So a consumer slower than a live source skips items and does not fall behind. What `items`
    raises is raised here. Closing the generator ends the thread at the next item.
    """
    newest: deque[Item] = deque(maxlen=1)
    changed = Event()
    closed = False

    def follow() -> None:
        for item in items:
            newest.append(item)
            changed.set()
            if closed:
                break

    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(follow)
        following.add_done_callback(lambda _: changed.set())
        try:
            # In this order, here and below, or the last item might be missed.
            while not following.done() or newest:
                changed.wait()
                changed.clear()
                if newest:
                    yield newest.pop()
            following.result()
        finally:
            closed = True
