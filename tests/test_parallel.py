import threading
import time
from collections.abc import Iterator

import pytest

from activity.parallel import parallel_map


def test_keeps_the_order() -> None:
    def slow_for_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(parallel_map(slow_for_even, range(50))) == [n * n for n in range(50)]


def test_runs_in_several_threads_and_takes_items_only_as_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = parallel_map(lambda _: threading.current_thread().name, items())
    names = {next(results) for _ in range(200)}
    assert threading.main_thread().name not in names
    assert len(taken) < 300


def test_passes_errors_on() -> None:
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(lambda number: 1 / number, [2, 1, 0, 1]))
