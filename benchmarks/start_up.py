"""Measure how long the scripts take to answer: help, a mistake, and the first labelled frame.

python -m benchmarks.start_up --model model/activity.xml --label-bin model/lb.pickle CLIP
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import PYTHON, ROOT, processor


def seconds_to_end(command: list[object]) -> float:
    """Return how long a process took, whatever its exit code."""
    started = time.monotonic()
    subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, check=False)
    return time.monotonic() - started


def seconds_to_first_frame(command: list[object]) -> float:
    """Return how long `predict_video.py` took to write the first row of its table."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = ["-o", f"{folder}/out.mp4", "--csv", f"{folder}/out.csv"]
        started = time.monotonic()
        with subprocess.Popen(
            [str(word) for word in [*command, *outputs]], cwd=ROOT, stdout=subprocess.DEVNULL
        ) as process:
            rows = 0
            while rows < 2 and process.poll() is None:
                time.sleep(0.002)
                tables = list(Path(folder).glob("*.csv")) + list(Path(folder).glob(".*.csv"))
                rows = tables[0].read_text().count("\n") if tables else 0
            seconds = time.monotonic() - started
            process.terminate()
    return seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", type=Path, default=Path("model/activity.xml"))
    parser.add_argument("--label-bin", type=Path, default=Path("model/lb.pickle"))
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()

    predict: list[object] = [
        PYTHON, "predict_video.py", "--no-preview", "-m", args.model, "-l", args.label_bin,
    ]  # fmt: skip
    measures: dict[str, Callable[[], float]] = {
        "train.py --help": lambda: seconds_to_end([PYTHON, "train.py", "--help"]),
        "predict_video.py --help": lambda: seconds_to_end([*predict, "--help"]),
        "train.py, a folder that is not there": lambda: seconds_to_end(
            [PYTHON, "train.py", "-d", "not there"]
        ),
        "predict_video.py, a clip that is not there": lambda: seconds_to_end(
            [*predict, "-i", "not there"]
        ),
        "predict_video.py, first frame written": lambda: seconds_to_first_frame(
            [*predict, "-i", args.clip]
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(args.rounds):
        for name, measure in measures.items():
            seconds[name].append(measure())
    print(f"{processor()}; {args.rounds} rounds in turn\n")
    print("| from the start of the process to the end of | median, s | longest, s |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {statistics.median(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
