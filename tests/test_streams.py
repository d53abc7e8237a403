import queue
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conftest import wait_for
from hypothesis import given
from hypothesis import strategies as st

from activity.engine import batches
from activity.streams import latest, parallel_map, prefetch


def count(taken: list[int]) -> Iterator[int]:
    for number in range(10**9):
        taken.append(number)
        yield number


def failing() -> Iterator[int]:
    yield 1
    time.sleep(0.05)
    raise ZeroDivisionError


def test_the_pool_keeps_the_order_and_passes_errors_on() -> None:
    def slow_for_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(parallel_map(slow_for_even, range(50))) == [n * n for n in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(lambda number: 1 / number, [2, 1, 0, 1]))


def test_the_pool_runs_in_other_threads_and_takes_items_only_as_needed() -> None:
    taken: list[int] = []
    results = parallel_map(lambda _: threading.current_thread().name, count(taken))
    assert threading.main_thread().name not in {next(results) for _ in range(200)}
    assert len(taken) < 300
    results.close()  # type: ignore[attr-defined]


@given(st.lists(st.booleans()), st.integers(1, 9))
def test_batches_hold_every_item_once_and_in_order(pictured: list[bool], size: int) -> None:
    """Full ones have as many images; nothing waits where the size is one."""
    image = np.zeros(0)
    items = [(number, image if there else None) for number, there in enumerate(pictured)]
    found = list(batches(items, size))
    assert [item for batch in found for item in batch] == items
    counts = [sum(image is not None for _, image in batch) for batch in found]
    if size == 1:
        assert [len(batch) for batch in found] == [1] * len(items)
    else:
        assert counts[:-1] == [size] * len(counts[:-1])
        assert max(counts, default=0) <= size


@given(st.lists(st.none() | st.integers()), st.integers(1, 9))
def test_prefetch_gives_every_item_once_and_in_order(items: list[int | None], ahead: int) -> None:
    assert list(prefetch(items, ahead)) == items


def test_prefetch_works_ahead_but_not_further() -> None:
    """Without a thread nobody would make the next items while the consumer is busy with one."""
    taken: list[int] = []
    numbers = prefetch(count(taken), 4)
    for number in range(10):
        assert next(numbers) == number
        wait_for(lambda: len(taken) >= number + 1 + 4)  # noqa: B023 (called at once)
        time.sleep(0.05)
        assert len(taken) == number + 1 + 4
    numbers.close()


@pytest.mark.parametrize("stage", [lambda items: prefetch(items, 8), latest])
def test_a_stage_raises_in_turn_and_ends_its_thread(
    stage: Callable[[Iterator[int]], Iterator[int]],
) -> None:
    before, found = threading.active_count(), []
    with pytest.raises(ZeroDivisionError):
        for number in stage(failing()):
            found.append(number)
    assert found == [1]
    assert threading.active_count() == before


def test_closing_stages_ends_their_threads() -> None:
    before = threading.active_count()
    first, newest = prefetch(count([]), 3), latest(count([]))
    second = prefetch((2 * number for number in first), 3)
    assert [next(second) for _ in range(5)] == [0, 2, 4, 6, 8]
    next(newest)
    for stage in (second, first, newest):
        stage.close()
    assert threading.active_count() == before


def test_latest_skips_what_grew_old_but_never_the_end() -> None:
    """The source makes as many items as it is told, and says when all of them are there."""
    wanted: queue.Queue[int] = queue.Queue()
    there = threading.Semaphore(0)

    def source() -> Iterator[int]:
        number = 0
        while more := wanted.get(timeout=60):
            for _ in range(more):
                yield number
                number += 1
            there.release()

    def make(more: int) -> None:
        wanted.put(more)
        assert there.acquire(timeout=60)

    numbers = latest(source())
    wanted.put(1)
    assert next(numbers) == 0
    there.acquire(timeout=60)
    make(10)
    assert next(numbers) == 10
    make(1)
    make(5)
    assert next(numbers) == 16
    make(3)
    wanted.put(0)
    assert list(numbers) == [19]


def test_latest_drops_nothing_where_the_consumer_keeps_up() -> None:
    ready = threading.Semaphore(1)

    def source() -> Iterator[int]:
        for number in range(50):
            ready.acquire(timeout=30)
            yield number

    found = []
    for number in latest(source()):
        found.append(number)
        ready.release()
    assert found == list(range(50))
