"""What labelling an archive costs, with more and more workers: measured, and beyond that simulated.

    python -m benchmarks.archives --clips DIR --plot docs/archives.png

The clips below a folder are labelled by the plain command, with a table, and with a table on a Ray
cluster that is started here, all on one processor core, two, and so on. What each takes for a
single short clip is its start-up, which is told apart.

Then the seconds and the bytes of those clips are those of an archive, drawn again and again, and
list scheduling says when it would be done: whoever is free takes the largest file that is left, and
whoever hands out files needs for each of them the time that was measured with empty work.
"""

import argparse
import heapq
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from activity.prediction.cluster import on_cluster
from benchmarks.processes import PYTHON, median, processor, run

RAY = Path(PYTHON).with_name("ray")
ARCHIVES = (1_000, 10_000, 100_000)  # clips
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
EMPTY = 1000  # items of no work


def measured(clips: Path, short: Path, cores: int, rounds: int, folder: Path) -> dict[str, float]:
    """Return the seconds of each way on a number of cores, without its start-up."""
    some = ["taskset", "-c", ",".join(map(str, range(cores)))]
    subprocess.run([*some, RAY, "start", "--head", f"--num-cpus={cores}"], check=True, stdout=-3)
    ways = {
        "plain": ["--json", folder / "reports"],
        "table": ["--table", folder / "table.parquet"],
        "ray": ["--table", folder / "ray.parquet", "--ray"],
    }
    seconds: dict[str, float] = {}
    for name, options in ways.items():
        command = [*some, PYTHON, "predict_video.py", "--no-preview", "--quiet", "--overwrite",
                   *options, "--input"]  # fmt: skip
        start_up = median([run([*command, short]) for _ in range(rounds)], lambda one: one.seconds)
        whole = median([run([*command, clips]) for _ in range(rounds)], lambda one: one.seconds)
        seconds[name] = whole - start_up
        print(f"| {cores} | {name} | {start_up:.1f} | {seconds[name]:.1f} | "
              f"{seconds['plain'] / seconds[name]:.2f} |", flush=True)  # fmt: skip
    subprocess.run([RAY, "stop"], check=True, stdout=-3)
    return seconds


class Nothing:
    """Does no work."""

    def __call__(self, item: int) -> int:
        """Return the item."""
        return item


def hand_out() -> float:
    """Return the seconds that Ray takes to hand out an item and bring back what comes of it."""
    took = [time.monotonic() for _ in on_cluster("local", Nothing, range(EMPTY))]
    return (took[-1] - took[0]) / (EMPTY - 1)


def finished(costs: np.ndarray, workers: int, dispatch: float) -> float:
    """Return when list scheduling is done with (clips,) seconds of work, in this order."""
    free = [0.0] * workers
    ready = 0.0  # when the next clip can be handed out
    for cost in costs:
        ready = max(ready, heapq.heappop(free)) + dispatch
        heapq.heappush(free, ready + cost)
    return max(free)


def simulated(rows: Sequence[tuple[int, float]], dispatch: float) -> dict[int, list[float]]:
    """Return how many workers' worth of work is done by each of `WORKERS`, for each archive.

    `rows` are bytes and seconds of clips that were labelled.
    """
    random = np.random.default_rng(0)
    worth: dict[int, list[float]] = {}
    for size in ARCHIVES:
        drawn = np.array(rows)[random.integers(len(rows), size=size)]
        costs = drawn[np.argsort(-drawn[:, 0], kind="stable"), 1]
        times = [finished(costs, workers, dispatch) for workers in WORKERS]
        worth[size] = [costs.sum() / seconds for seconds in times]
        row = " | ".join(f"{one:.3g}" for one in worth[size])
        print(f"| {size} | {row} |", flush=True)
    return worth


def draw(measured: dict[int, dict[str, float]], worth: dict[int, list[float]], path: Path) -> None:
    """Draw the speed of 1, 2 ... workers as measured, and of many as simulated."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for way in ("plain", "table", "ray"):
        speeds = [measured[1]["plain"] / seconds[way] for seconds in measured.values()]
        left.plot(list(measured), speeds, "o-", label=way)
    left.set(xlabel="processor cores", ylabel="times the plain command on one", title="measured")
    left.set(xlim=(0, None), ylim=(0, None))
    for size, values in worth.items():
        right.loglog(WORKERS, values, "o-", label=f"{size:,} clips")
    right.loglog(WORKERS, WORKERS, ":", color="grey", label="linear")
    right.set(xlabel="workers", ylabel="times one worker", title="simulated")
    for panel in (left, right):
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure and simulate; print the tables and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--plot", type=Path, required=True)
    args = parser.parse_args()

    print(f"{processor()}\n\n| cores | way | start-up, s | seconds | efficiency |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        short = min(args.clips.rglob("*.*"), key=lambda path: path.stat().st_size)
        (folder / "short").mkdir()
        shutil.copy(short, folder / "short")
        taken = {
            cores: measured(args.clips, folder / "short", cores, args.rounds, folder)
            for cores in range(1, len(os.sched_getaffinity(0)) + 1)
        }
        columns = pq.read_table(folder / "table.parquet").to_pydict()
    rows = [row for row in zip(columns["size"], columns["seconds"], strict=True) if row[1]]
    seconds = sum(second for _, second in rows)
    ends, starts = columns["end_s"], columns["start_s"]
    video = sum(end - start for start, end in zip(starts, ends, strict=True) if end)
    print(f"\n{seconds / video * 1000:.0f} core hours for 1,000 hours of video")
    print(f"{sum(size for size, _ in rows) / seconds / 1e6:.2f} MB/s for each worker")
    dispatch = hand_out()
    print(f"{dispatch * 1000:.1f} ms to hand out a clip\n\n| clips | workers: "
          f"{' | '.join(map(str, WORKERS))} |\n{'|---' * (len(WORKERS) + 1)}|")  # fmt: skip
    draw(taken, simulated(rows, dispatch), args.plot)


if __name__ == "__main__":
    main()
