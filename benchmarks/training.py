"""Compare the time of `train.py` with that of the tutorial's recipe.

    python -m benchmarks.training --dataset DIR --weights PATH

Each round runs a few steps of the recipe, from which its 50 epochs are extrapolated, then
`train.py` with an empty cache and with the cache that this run has filled, for each base. PATH
holds ResNet50's weights.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

from activity.training.bases import BASES
from benchmarks.processes import PYTHON, Run, base_options, processor, run, run_training


def main() -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    data = ["--dataset", args.dataset]
    recipe: list[float] = []
    runs: dict[str, list[Run]] = {}
    for number in range(args.rounds):
        print(f"round {number + 1}/{args.rounds}", file=sys.stderr, flush=True)
        printed = run(
            [PYTHON, "-m", "benchmarks.tutorial_training", *data, "--weights", args.weights]
        ).stdout
        recipe.append(float(re.findall(r"epochs take (\d+) s", printed)[0]))
        for name, base in BASES.items():
            with tempfile.TemporaryDirectory() as folder:
                for cache in ("empty cache", "full cache"):
                    done = run_training(Path(folder), *data, *base_options(name, args.weights))
                    runs.setdefault(f"{base.title}, {cache}", []).append(done)

    baseline = statistics.median(recipe)
    print(f"{processor()}; median of {args.rounds} rounds\n")
    print("| way | seconds | ratio | peak memory, MB | test accuracy |\n|---|---|---|---|---|")
    print(f"| the tutorial's recipe, 50 epochs, extrapolated | {baseline:.0f} | 1 | | |")
    for name, results in runs.items():
        seconds = statistics.median(one.seconds for one in results)
        peak = max(one.peak for one in results)
        accuracy = re.findall(r"accuracy ([\d.]+%)", results[-1].stdout)[0]
        figures = f"{seconds:.0f} | {baseline / seconds:.1f} | {peak:.0f} | {accuracy}"
        print(f"| train.py, {name} | {figures} |")


if __name__ == "__main__":
    main()
