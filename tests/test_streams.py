import queue
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import wait_for
from hypothesis import given
from hypothesis import strategies as st

from activity.streams import batches, latest, parallel_map, prefetch


def test_the_pool_keeps_the_order() -> None:
    def slow_for_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(parallel_map(slow_for_even, range(50))) == [n * n for n in range(50)]


def test_the_pool_runs_in_several_threads_and_takes_items_only_as_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = parallel_map(lambda _: threading.current_thread().name, items())
    names = {next(results) for _ in range(200)}
    assert threading.main_thread().name not in names
    assert len(taken) < 300


def test_the_pool_passes_errors_on() -> None:
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(lambda number: 1 / number, [2, 1, 0, 1]))


@given(st.lists(st.integers()), st.integers(1, 9))
def test_batches_hold_every_item_once_and_in_order(items: list[int], size: int) -> None:
    found = list(batches(items, size))
    assert [item for batch in found for item in batch] == items
    assert all(len(batch) == size for batch in found[:-1])
    assert all(0 < len(batch) <= size for batch in found)


@given(st.lists(st.none() | st.integers()), st.integers(1, 9))
def test_prefetch_gives_every_item_once_and_in_order(items: list[int | None], ahead: int) -> None:
    assert list(prefetch(items, ahead)) == items


def count(taken: list[int], end: int = 10**9) -> Iterator[int]:
    for number in range(end):
        taken.append(number)
        yield number


def test_prefetch_works_ahead_but_not_further() -> None:
    taken: list[int] = []
    numbers = prefetch(count(taken), 4)
    for number in range(10):
        assert next(numbers) == number
        wait_for(lambda: len(taken) >= number + 1 + 4)  # noqa: B023 (called at once)
        time.sleep(0.05)
        assert len(taken) == number + 1 + 4
    numbers.close()


def test_prefetch_runs_stages_at_the_same_time() -> None:
    """The source makes its next item only while the consumer is busy with one."""
    busy, made = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 0
        assert busy.wait(timeout=30)
        made.set()
        yield 1

    numbers = prefetch(source(), 1)
    assert next(numbers) == 0
    busy.set()
    assert made.wait(timeout=30)  # without another thread nobody would advance the source
    assert list(numbers) == [1]


def test_prefetch_raises_in_turn_and_ends_its_thread() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError

    before = threading.active_count()
    found = []
    with pytest.raises(ZeroDivisionError):
        for number in prefetch(source(), 8):
            found.append(number)
    assert found == [1, 2]
    assert threading.active_count() == before


def test_closing_a_chain_of_stages_ends_their_threads() -> None:
    before = threading.active_count()
    first = prefetch(count([]), 3)
    second = prefetch((2 * number for number in first), 3)
    assert [next(second) for _ in range(5)] == [0, 2, 4, 6, 8]
    second.close()
    first.close()
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
    ready = threading.Semaphore(0)

    def source() -> Iterator[int]:
        for number in range(50):
            ready.acquire(timeout=30)
            yield number

    ready.release()
    found = []
    for number in latest(source()):
        found.append(number)
        ready.release()
    assert found == list(range(50))


def test_latest_passes_errors_on_and_ends_its_thread() -> None:
    def source() -> Iterator[int]:
        yield 1
        time.sleep(0.05)
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        for number in latest(source()):
            assert number == 1
    numbers = latest(count([]))
    next(numbers)
    numbers.close()
    assert threading.active_count() == before
