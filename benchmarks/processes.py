"""What the benchmarks share: commands run as processes in turn, their speed, time and memory."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable


@dataclass(frozen=True)
class Run:
    """One finished process."""

    stdout: str
    seconds: float  # wall time of the whole process
    peak: float  # largest resident memory in MB

    @property
    def rate(self) -> float:
        """The frames/s that it printed."""
        (rate,) = re.findall(r"([\d.]+) frames/s", self.stdout)
        return float(rate)


def run(command: Sequence[object]) -> Run:
    """Run a command in the project's root; raise if it fails."""
    started = time.monotonic()
    with subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        stdout = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} exited with {process.returncode}")
    return Run(stdout, time.monotonic() - started, usage.ru_maxrss / 1024)


def run_training(folder: Path, *options: object) -> Run:
    """Run `train.py` on all classes, with its files in `folder`."""
    return run([
        PYTHON, "train.py", "--labels", "all", "--model", folder / "activity.keras",
        "--label-bin", folder / "lb.pickle", "--plot", folder / "plot.png",
        "--cache", folder / "features.sqlite", *options,
    ])  # fmt: skip


def base_options(name: str, resnet50_weights: str) -> list[str]:
    """Return the options of `train.py` for a base; only ResNet50's weights are given by hand."""
    return ["--base", name, *(["--weights", resnet50_weights] if name == "resnet50" else [])]


def interleaved(commands: Mapping[str, Sequence[object]], rounds: int) -> dict[str, list[Run]]:
    """Run all commands in turn, `rounds` times, so that a drift of the machine meets all alike."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            print(f"round {number + 1}/{rounds}: {name}", file=sys.stderr, flush=True)
            runs[name].append(run(command))
    return runs


def median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """Return the median of a figure over the runs of a command."""
    return statistics.median(figure(one) for one in runs)


def processor() -> str:
    """Name the CPU and the number of cores that this process may use."""
    cpuinfo = Path("/proc/cpuinfo")
    fields = (
        dict(re.findall(r"^(.+?)\s*: (.*)$", cpuinfo.read_text(), re.M)) if cpuinfo.exists() else {}
    )
    name = fields.get("model name", "unknown processor")
    family = f", family {fields['cpu family']}" if "cpu family" in fields else ""
    return f"{name}{family}, {len(os.sched_getaffinity(0))} cores"
