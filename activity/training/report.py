"""What a training prints of its data and its results, in this order."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from activity.text import printable
from activity.training.calibration import Calibration
from activity.training.dataset import Dataset
from activity.training.mistakes import Mistake

MOST_NAMES = 4  # of equal pictures, or of mistakes
# A confusion matrix of more classes fits no terminal: then the pairs most often confused are named.
MOST_COLUMNS, MOST_PAIRS = 12, 10
LOW_ACCURACY = 0.8
LOW_ACCURACY_HINT = (
    "the accuracy is low: look for pictures in the wrong folder, add pictures of the classes that "
    "are confused, or leave out one of two that look alike"
)


def print_dataset(data: Dataset) -> None:
    """Print the numbers of files, pictures and scenes of each class, and what deserves a look."""
    widest = max(len(label) for label in ["class", *data.labels])
    print(f"{'class':{widest}}   files  pictures  scenes")
    for label, (files, pictures, scenes) in data.counts().items():
        print(f"{label:{widest}}  {files:6d}  {pictures:8d}  {scenes:6d}")
    for file in data.skipped:
        print(f"skipped {str(file.path)!r}: {file.reason}")
    doubtful = {"two classes": data.in_two_classes(), "training and test part": data.in_two_parts()}
    for places, groups in doubtful.items():
        for same in groups:
            names = ", ".join(repr(str(picture)) for picture in same[:MOST_NAMES])
            # A camera that does not move may have made hundreds.
            more = f" and {len(same) - MOST_NAMES} more" if len(same) > MOST_NAMES else ""
            print(f"the same picture in {places}: {names}{more}")


def print_scores(scores: Mapping[str, Any], labels: Sequence[str]) -> None:
    """Print the scores of the test part, as `evaluation.evaluate` returns them."""
    matrix = np.array(scores["confusion_matrix"])
    print(
        f"\ntest part: {scores['images']} images, accuracy {scores['accuracy']:.1%}, "
        f"calibration error {scores['calibration_error']:.3f}"
    )
    if clips := scores["clips"]:
        count = "1 clip" if clips["clips"] == 1 else f"{clips['clips']} clips"
        print(
            f"of these {clips['frames']} frames of {count}: accuracy by clip "
            f"{clips['accuracy']:.1%}, by frame {clips['frame_accuracy']:.1%}"
        )
        for wrong in clips["wrong"]:
            print(f"{str(wrong['file'])!r} is {wrong['label']}, and taken for {wrong['predicted']}")
    # All that the report needs is in the matrix: each pair of true and predicted class, so often.
    truth, predicted = np.indices(matrix.shape).reshape(2, -1).repeat(matrix.ravel(), axis=1)
    indices = range(len(labels))
    report = classification_report(
        truth, predicted, labels=indices, target_names=labels, digits=3, zero_division=0
    )
    print(f"\n{report}")
    _print_matrix(matrix, labels)
    print()


def _print_matrix(matrix: np.ndarray, labels: Sequence[str]) -> None:
    """Print a (classes, classes) confusion matrix; of many classes only those confused most."""
    if len(labels) <= MOST_COLUMNS:
        width = max(6, *map(len, labels)) + 2
        print("confusion matrix: a row for each true class, a column for each predicted one")
        for name, row in [("", labels), *zip(labels, matrix, strict=True)]:
            print("".join(f"{cell:>{width}}" for cell in (name, *row)))
        return
    print("most often confused:")
    wrong = matrix - np.diag(matrix.diagonal())
    for index in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]:
        row, column = divmod(int(index), len(labels))
        if wrong[row, column]:
            print(f"{wrong[row, column]:6d} {labels[row]}, taken for {labels[column]}")


def print_mistakes(
    mistakes: Sequence[Mistake], scores: Mapping[str, Any], record: Path, sheet: Path | None
) -> None:
    """Say how many pictures get a wrong label, and what to do about it.

    The file `record` lists them, and the contact `sheet`, where there is one, shows them.
    """
    if mistakes:
        tested = sum(mistake.tested for mistake in mistakes)
        show = f"{sheet} shows" if sheet else "--errors FILE.png shows"
        print(
            f"{tested} of {scores['images']} have a wrong label, and of all pictures "
            f"{len(mistakes)}, each from a model that did not see it: {record} lists them, {show} "
            "them; perhaps some are in the wrong folder, such as"
        )
    for mistake in mistakes[:MOST_NAMES]:
        print(f"  {mistake}")
    if scores["accuracy"] < LOW_ACCURACY:
        print(LOW_ACCURACY_HINT)


def print_calibration(calibration: Calibration) -> None:
    """Say how far the model's confidence can be trusted, and what it notices of other things."""
    if calibration.held_out_error_before is None:
        print("too few different pictures to calibrate the model's confidence")
        return
    print(
        f"calibration: temperature {calibration.temperature:.2f}, which takes the error of "
        f"held-out pictures from {calibration.held_out_error_before:.3f} to "
        f"{calibration.held_out_error_after:.3f}"
    )
    if shares := calibration.other_things_noticed:
        each = ", ".join(f"{printable(name)} {share:.0%}" for name, share in shares.items())
        print(
            "other things never taught: with one folder of them left out at a time, "
            f"{np.mean(list(shares.values())):.0%} of its pictures are noticed ({each})"
        )


def print_copy_scores(scores: Mapping[str, float], images: int, precision: str) -> None:
    """Print how the copy does on the test part, as `evaluation.compare_copy` returns it."""
    print(
        f"{precision} copy on the same {images} images: accuracy {scores['accuracy']:.1%}, "
        f"same label on {scores['same_label']:.1%}, "
        f"calibration error {scores['calibration_error']:.3f}, "
        f"probabilities differ by {scores['mean_absolute_difference']:.4f} on average\n"
    )
