"""Processes that may be lost: what crashes, hangs, is killed, or loses who asked."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, wait_for

from activity.errors import UserError
from activity.files import written_whole
from activity.prediction.worker import PATIENCE, TRIES, LostError, Worker, on_this_machine


class Doer:
    """Does what an item says, and keeps count of the tries in a folder."""

    def __init__(self, folder: Path, pulse: Callable[[], None]) -> None:
        self._folder, self._pulse = folder, pulse
        self.done = 0

    def __call__(self, item: str) -> tuple[str, int, int]:
        with (self._folder / item.replace(" ", "_")).open("a") as tries:
            print(os.getpid(), file=tries)
        what, _, number = item.partition(" ")
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "exit":
            os._exit(int(number))
        if what == "hang":
            time.sleep(1000)
        if what == "slow":
            for _ in range(int(number)):
                time.sleep(0.5)
                self._pulse()
        if what == "mistake":
            raise UserError("the disk is full", "disk")
        if what == "write":
            with written_whole(self._folder / "file") as partial:
                partial.write_text("half")
                while True:
                    time.sleep(0.1)
                    self._pulse()
        if what == "step":
            while True:
                (self._folder / "halfway").touch()
                time.sleep(0.5)
                (self._folder / "halfway").unlink()
                self._pulse()
        self.done += 1
        return item, os.getpid(), self.done


def refuse(_pulse: Callable[[], None]) -> None:
    raise UserError("the model is missing", "model")


def die(_pulse: Callable[[], None]) -> None:
    os._exit(3)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(Doer, tmp_path, patience=4.0)
    yield made
    made.close()


def tries(folder: Path, item: str) -> int:
    return len((folder / item.replace(" ", "_")).read_text().split())


def test_one_process_does_all(worker: Worker) -> None:
    answers = [worker(f"item {number}") for number in range(3)]
    assert [item for item, _, _ in answers] == ["item 0", "item 1", "item 2"]
    assert {pid for _, pid, _ in answers} - {os.getpid()} == {answers[0][1]}
    assert [done for _, _, done in answers] == [1, 2, 3]


@pytest.mark.parametrize(
    ("item", "loss"),
    [("crash", "SIGSEGV"), ("exit 7", "exit code 7"), ("hang", "no sign of life for 4 s")],
)
def test_what_loses_its_process_is_tried_a_few_times_and_the_next_item_is_done(
    item: str, loss: str, worker: Worker, tmp_path: Path
) -> None:
    _, first, _ = worker("item")
    with pytest.raises(LostError, match=loss):
        worker(item)
    assert tries(tmp_path, item) == TRIES
    _, other, done = worker("item")
    assert other != first
    assert done == 1


def test_slow_is_not_dead(worker: Worker, tmp_path: Path) -> None:
    """It takes twice as long as a worker is waited for that says nothing."""
    item, _, _ = worker("slow 16")
    assert item == "slow 16"
    assert tries(tmp_path, item) == 1


def test_a_worker_that_was_killed_between_two_items_is_replaced(worker: Worker) -> None:
    _, first, _ = worker("item")
    os.kill(first, signal.SIGKILL)
    _, second, _ = worker("item")
    assert second != first


def test_an_error_for_the_user_comes_through(worker: Worker) -> None:
    with pytest.raises(UserError, match="the disk is full") as caught:
        worker("mistake")
    assert caught.value.about == "disk"


def test_a_worker_that_cannot_begin_says_why() -> None:
    with pytest.raises(UserError, match="the model is missing"):
        Worker(refuse)("item")
    with pytest.raises(UserError, match="exit code 3"):
        Worker(die)("item")


def close_during(item: str, begun: str, folder: Path) -> None:
    """Close a worker while it is at an item, once a file says that this was begun."""
    worker = Worker(Doer, folder)
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            worker(item)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: list(folder.glob(begun)))
    worker.close()
    thread.join()
    assert [type(error) for error in ended] == [RuntimeError]
    assert {path.name for path in folder.iterdir()} == {item}
    assert tries(folder, item) == 1


def test_closing_ends_what_is_going_on_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    close_during("write", ".file*", tmp_path)


def test_closing_ends_work_between_two_steps(tmp_path: Path) -> None:
    """Not while it starts a thread, say, which would then be left running."""
    close_during("step", "halfway", tmp_path)


def test_a_worker_that_is_closed_while_it_starts_does_nothing(tmp_path: Path) -> None:
    class Closing:
        """What is closed when its arguments are on their way to the process."""

        def __reduce__(self) -> tuple[type[Path], tuple[str]]:
            closed.close()
            return Path, (str(tmp_path),)

    closed = Worker(Doer, Closing())
    with pytest.raises(RuntimeError, match="the worker was closed"):
        closed("item")
    assert not list(tmp_path.iterdir())


def test_closing_does_not_wait_long_for_what_hangs(tmp_path: Path) -> None:
    began = time.monotonic()
    close_during("hang", "hang", tmp_path)
    assert time.monotonic() - began < PATIENCE / 2
    pid = int((tmp_path / "hang").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_a_process_that_nobody_asks_any_more_ends_and_leaves_nothing_half_written(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from test_worker import Doer, Worker\n"
        "if __name__ == '__main__': Worker(Doer, Path(sys.argv[1]))('write')"
    )
    (tmp_path / "ask.py").write_text(program)
    places = [tmp_path / "ask.py", tmp_path, ROOT, ROOT / "tests"]
    command = [sys.executable, *map(str, places)]
    with subprocess.Popen(command) as asking:
        wait_for(lambda: list(tmp_path.glob(".file*")))
        asking.kill()
    pid = int((tmp_path / "write").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert {path.name for path in tmp_path.iterdir()} == {"ask.py", "write"}


def test_many_workers_share_the_items_and_begin_with_the_first(tmp_path: Path) -> None:
    items = [f"slow {number % 2}" for number in range(6)]
    answers = list(on_this_machine(lambda: Worker(Doer, tmp_path), items, 2))
    assert sorted(item for item, _, _ in answers) == sorted(items)
    assert len({pid for _, pid, _ in answers}) == 2
    for _, pid, _ in answers:
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]
    assert list(on_this_machine(lambda: Worker(Doer, tmp_path), [])) == []


def test_a_run_that_is_left_begins_nothing_more(tmp_path: Path) -> None:
    def make() -> Any:
        return Worker(Doer, tmp_path)

    rows = on_this_machine(make, ["item 0", *(f"slow {n}" for n in range(100, 120))], 1)
    assert next(rows)[0] == "item 0"
    rows.close()
    assert len(list(tmp_path.iterdir())) <= 2
