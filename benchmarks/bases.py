"""Compare the bases on test pictures and on clips, float and int8, for several seeds.

    python -m benchmarks.bases --dataset DIR --weights PATH --clips DIR

The folders in the one of the clips are named after the classes. PATH holds ResNet50's weights. The
features are computed once for each seed, in a cache that is thrown away.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from activity.training.bases import BASES, IMAGENET
from benchmarks.processes import PYTHON, base_options, processor, run, run_training


@dataclass(frozen=True)
class Labels:
    """How right and how steady the labels of some frames are."""

    frames: int
    right: int
    changes: int

    @classmethod
    def of(cls, labels: list[str], truth: str) -> "Labels":
        """Compare the labels of a clip's frames with its class."""
        changes = sum(one != other for one, other in pairwise(labels))
        return cls(len(labels), labels.count(truth), changes)

    def text(self) -> str:
        """Return two cells of a table: the share of right frames, and the changes."""
        return f"{self.right / self.frames:.1%} | {self.changes}"


def total(parts: Iterable[Labels]) -> Labels:
    """Add up the labels of several clips."""
    parts = list(parts)
    return Labels(
        sum(part.frames for part in parts),
        sum(part.right for part in parts),
        sum(part.changes for part in parts),
    )


def label_clips(model: Path, clips: Path, classes: list[str]) -> dict[str, tuple[Labels, Labels]]:
    """Label the clips of all classes; return what came of each, frame by frame and averaged."""
    found = {}
    for truth in classes:
        with tempfile.TemporaryDirectory() as folder:
            run([
                PYTHON, "predict_video.py", "-m", model, "-l", model.with_name("lb.pickle"),
                "-i", clips / truth, "--no-preview", "--csv", folder,
            ])  # fmt: skip
            for table in sorted(Path(folder).iterdir()):
                with table.open(newline="", encoding="utf-8-sig") as file:
                    rows = list(csv.DictReader(file))
                found[f"{truth}/{table.stem}"] = (
                    Labels.of([row["raw_label"] for row in rows], truth),
                    Labels.of([row["label"] for row in rows], truth),
                )
    return found


def main() -> None:
    """Train and label with each base and seed; print a table, and one of each clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--weights", default=IMAGENET)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()

    print(f"{processor()}\n")
    print(
        "| base | seed | copy | test pictures right | same label as float | frames of the clips "
        "right, raw | changes, raw | right, averaged | changes, averaged |\n" + "|---" * 9 + "|"
    )
    details: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, base in BASES.items():
            for seed in range(args.seeds):
                print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
                model = Path(folder, f"{name}-{seed}", "activity.keras")
                run_training(
                    model.parent, "--dataset", args.dataset, *base_options(name, args.weights),
                    "--seed", seed, "--cache", Path(folder, "features.sqlite"),
                )  # fmt: skip
                record = json.loads(model.with_suffix(".json").read_text())
                for copy, scores in (("float", record["test"]), ("int8", record["copy_test"])):
                    path = model if copy == "float" else model.with_suffix(".xml")
                    clips = label_clips(path, args.clips, list(record["data"]["classes"]))
                    raw, averaged = (total(parts) for parts in zip(*clips.values(), strict=True))
                    print(
                        f"| {base.title} | {seed} | {copy} | {scores['accuracy']:.1%} "
                        f"| {scores.get('same_label', 1):.1%} | {raw.text()} | {averaged.text()} |",
                        flush=True,
                    )
                    if copy == "int8" and seed == 0:
                        for clip, parts in clips.items():
                            cells = " | ".join(part.text() for part in parts)
                            details.setdefault(clip, []).append(f"{parts[0].frames} | {cells}")
    print(f"\nSeed 0, int8; for {' and for '.join(base.title for base in BASES.values())}:\n")
    for clip, figures in details.items():
        print(f"| {clip} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
