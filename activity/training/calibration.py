"""How far a model's confidence can be trusted, and how much it notices of things never taught.

Both are measured inside the training part, by heads that did not see the pictures in question.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from activity.label_file import NONE_OF_THESE
from activity.training.dataset import Picture
from activity.training.settings import Settings

BINS = 15  # of the calibration error, as in most publications
MOST_LEFT_OUT = 8  # folders of other things: each takes a head of its own
SMALLEST = 1e-9  # of a probability, which float32 may round to zero

# Trains a head on some pictures and applies it to others; returns (N, classes) probabilities, in
# the order of the sorted class names of the former.
Predict = Callable[[Sequence[Picture], Sequence[Picture]], np.ndarray]


@dataclass(frozen=True)
class Calibration:
    """What cross-validation says about a model's confidence."""

    temperature: float = 1.0  # by which its logits are to be divided
    held_out_error_before: float | None = None  # None if there are too few pictures
    held_out_error_after: float | None = None
    # The share of a folder of other things that is taken for such though it was not taught, by the
    # folder's name; empty where there are not several folders.
    other_things_noticed: dict[str, float] = field(default_factory=dict)


def class_indices(pictures: Sequence[Picture], labels: Sequence[str]) -> np.ndarray:
    """Return the (N,) indices of the pictures' own classes in `labels`."""
    return np.array([labels.index(picture.label) for picture in pictures])


def calibrate(
    pictures: Sequence[Picture], settings: Settings, predict: Predict
) -> tuple[Calibration, np.ndarray]:
    """Cross-validate on the pictures of the training part; those of one group stay together.

    Also returns their (N, classes) held-out probabilities, calibrated; of too few, (0, classes).
    """
    labels = sorted({picture.label for picture in pictures})
    truth = class_indices(pictures, labels)
    groups = [picture.group for picture in pictures]
    scenes = Counter(label for label, _ in set(zip(truth.tolist(), groups, strict=True)))
    folds = min(settings.folds, *scenes.values())
    if folds < 2:
        return Calibration(), np.empty((0, len(labels)))
    folding = StratifiedGroupKFold(folds, shuffle=True, random_state=settings.seed)
    held_out = np.empty((len(pictures), len(labels)))
    for train, test in folding.split(truth, truth, groups):
        held_out[test] = predict([pictures[i] for i in train], [pictures[i] for i in test])
    temperature = best_temperature(held_out, truth)
    calibrated = tempered(held_out, temperature)
    errors = calibration_error(held_out, truth), calibration_error(calibrated, truth)
    return Calibration(temperature, *errors, _noticed(pictures, settings, predict)), calibrated


def _noticed(pictures: Sequence[Picture], settings: Settings, predict: Predict) -> dict[str, float]:
    """Leave out one folder of other things at a time; return the share of each that is noticed.

    Folders are the first ones in which the paths of other things differ.
    """
    others = [picture for picture in pictures if picture.label == NONE_OF_THESE]
    paths = [picture.source.absolute() for picture in others]
    common = os.path.commonpath([path.parent for path in paths] or [Path("/")])
    folders = defaultdict[str, list[Picture]](list)
    for picture, path in zip(others, paths, strict=True):
        folders[next(iter(path.relative_to(common).parent.parts), ".")].append(picture)
    drawn = np.random.default_rng(settings.seed).permutation(sorted(folders))[:MOST_LEFT_OUT]
    shares = {}
    for name in sorted(drawn) if len(folders) > 1 else ():
        scenes = {picture.group for picture in folders[name]}
        train = [picture for picture in pictures if picture.group not in scenes]
        labels = sorted({picture.label for picture in train})
        if NONE_OF_THESE in labels:  # unless all of them show one scene
            predicted = predict(train, folders[name]).argmax(axis=1)
            shares[str(name)] = float(np.mean(predicted == labels.index(NONE_OF_THESE)))
    return shares


def best_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature at which (N, classes) probabilities make the truth most likely.

    `truth` holds (N,) class indices. Guo et al. 2017, "On calibration of modern neural networks"
    (arXiv:1706.04599). As if one more picture had been wrong: from few that are all right no
    certainty follows (Platt 1999).
    """
    pictures, classes = probabilities.shape
    wrong = 1 / (pictures + 2)
    targets = np.where(np.arange(classes) == truth[:, None], 1 - wrong, wrong / (classes - 1))

    def loss(temperature: float) -> float:
        likely = np.maximum(tempered(probabilities, temperature), SMALLEST)
        return -float((targets * np.log(likely)).sum())

    return float(minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the (N, classes) probabilities whose logits are divided by a temperature."""
    return np.asarray(softmax(np.log(np.maximum(probabilities, SMALLEST)) / temperature, axis=1))


def reliability(
    probabilities: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put pictures into bins by their confidence, the largest of their (N, classes) probabilities.

    Return for each bin that is not empty the share of the pictures, their mean confidence, and
    their accuracy, all 0..1.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    used = counts > 0
    sums = [np.bincount(bins, weights=each, minlength=BINS)[used] for each in (confidence, right)]
    return counts[used] / len(truth), sums[0] / counts[used], sums[1] / counts[used]


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, 0..1."""
    shares, confidence, accuracy = reliability(probabilities, truth)
    return float((shares * np.abs(confidence - accuracy)).sum())
