"""Plant wrong labels in a data set, and count those among the first pictures that training names.

    python -m benchmarks.mislabelled --dataset DIR [--base NAME] [--weights PATH] [--seeds N]

The features are computed once: a picture has the same ones in whatever folder it lies.
"""

import argparse
import contextlib
import io
import random
import tempfile
from pathlib import Path

from activity.training.bases import BASES, IMAGENET
from activity.training.layout import ALL, find_annotations
from activity.training.settings import Settings
from train import TrainingFiles, train

PLANTED, NAMED = 20, 40


def plant(dataset: Path, folder: Path, seed: int) -> set[Path]:
    """Link a data set's pictures into class folders, a few into wrong ones; return these."""
    files = find_annotations(dataset, ALL)
    labels = sorted({each.label for each in files})
    choose = random.Random(seed)
    wrong = set(choose.sample(range(len(files)), PLANTED))
    planted = set()
    for number, each in enumerate(files):
        label = each.label
        if number in wrong:
            label = choose.choice([other for other in labels if other != label])
        link = folder / label / f"{number}{each.path.suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(each.path.absolute())
        if number in wrong:
            planted.add(link)
    return planted


def main() -> None:
    """Train once for each seed, and print how many were found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--base", choices=BASES, default=Settings.base)
    parser.add_argument("--weights", default=IMAGENET)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=TrainingFiles.cache)
    args = parser.parse_args()

    settings = Settings(base=args.base, weights=args.weights, precision="float")
    print(f"| seed | named | of {PLANTED} planted among the first {NAMED} |\n|---|---|---|")
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
            folder, written = Path(place, "data"), Path(place, "model")
            planted = plant(args.dataset, folder, seed)
            files = TrainingFiles(
                written / "a.keras", written / "lb.pickle", written / "plot.png", cache=args.cache
            )
            mistakes = train(folder, files, settings, labels=ALL)["mistakes"]
        found = sum(mistake["file"] in planted for mistake in mistakes[:NAMED])
        print(f"| {seed} | {len(mistakes)} | {found} |", flush=True)


if __name__ == "__main__":
    main()
