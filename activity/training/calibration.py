"""How sure the model may be: of its labels, and of having been taught what it sees.

Both are found out inside the training part, with heads that did not see what they are asked about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.model_selection import StratifiedGroupKFold

from activity.label_file import NONE_OF_THESE
from activity.training.dataset import Picture
from activity.training.settings import Settings

BINS = 15  # of the calibration error, as most publications have them
WORTH_LITTLE = 0.8  # of a share that is noticed
SMALLEST = 1e-9  # of a probability, which float32 may round to zero

# Trains a head for some pictures on others; returns (N, classes) probabilities, in the order of
# the sorted class names of the latter.
Predict = Callable[[Sequence[Picture], Sequence[Picture]], np.ndarray]


@dataclass(frozen=True)
class Calibration:
    """What was found out about how sure a model may be."""

    temperature: float  # by which its logits are to be divided
    error_before: float | None  # of the held-out pictures' probabilities, as far as it is known
    error_after: float | None
    # Pictures whose largest probability is lower are taken for unknown; a class of them needs none.
    unknown_below: float | None
    # The share of a class's pictures that is noticed to be unknown if the class is left out of the
    # training; of a few drawn classes where there are many, and empty where too few would be left.
    noticed: dict[str, float]
    # What heads that did not see the training part's pictures say of them: calibrated (N, classes).
    held_out: np.ndarray | None = None

    @property
    def mean_noticed(self) -> float | None:
        """The mean of these shares, if there are some."""
        return float(np.mean(list(self.noticed.values()))) if self.noticed else None

    @property
    def worth_little(self) -> bool:
        """Whether much of the unknown would pass unnoticed, and a class of it is missing."""
        shares = self.mean_noticed
        return self.unknown_below is not None and shares is not None and shares < WORTH_LITTLE

    def text(self) -> str:
        """Say what it is worth."""
        if self.error_before is None:
            return "too few different pictures to find out how sure the model may be"
        lines = [
            f"calibration: temperature {self.temperature:.2f}, which takes the error of held-out "
            f"pictures from {self.error_before:.3f} to {self.error_after:.3f}"
        ]
        if self.mean_noticed is not None:
            shares = ", ".join(f"{label} {share:.0%}" for label, share in self.noticed.items())
            lines.append(
                f"what was never taught: with each of {len(self.noticed)} classes left out, "
                f"{self.mean_noticed:.0%} of its pictures would be noticed ({shares})"
            )
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the record of a run."""
        return {
            "temperature": self.temperature,
            "held_out_error_before": self.error_before,
            "held_out_error_after": self.error_after,
            "unknown_below": self.unknown_below,
            "noticed_if_left_out": self.noticed,
        }


def calibrate(pictures: Sequence[Picture], settings: Settings, predict: Predict) -> Calibration:
    """Cross-validate on the pictures of the training part, whose copies stay together."""
    labels = sorted({picture.label for picture in pictures})
    truth = np.array([labels.index(picture.label) for picture in pictures])
    held_out = np.empty((len(pictures), len(labels)))
    folding = _folds(pictures, settings)
    if not folding:
        return Calibration(1.0, None, None, None, {})
    for train, asked in folding:
        held_out[asked] = predict([pictures[i] for i in train], [pictures[i] for i in asked])
    temperature = best_temperature(held_out, truth)
    calibrated = tempered(held_out, temperature)
    below = unknown_below(calibrated, settings)
    known = [label for label in labels if label != NONE_OF_THESE]
    drawn = np.random.default_rng(settings.seed).permutation(known)[: settings.most_left_out]
    return Calibration(
        temperature,
        calibration_error(held_out, truth),
        calibration_error(calibrated, truth),
        None if NONE_OF_THESE in labels else below,
        {
            label: share_noticed(label, pictures, temperature, settings, predict)
            for label in known
            if label in drawn and len(labels) > 2  # or one would be left
        },
        calibrated,
    )


def share_noticed(
    label: str,
    pictures: Sequence[Picture],
    temperature: float,
    settings: Settings,
    predict: Predict,
) -> float:
    """Return the share of a class's pictures that is taken for unknown if it is not taught."""
    others = [picture for picture in pictures if picture.label != label]
    left_out = [picture for picture in pictures if picture.label == label]
    taught = sorted({picture.label for picture in others})
    train, held_out = _folds(others, settings)[0]
    asked = [*(others[i] for i in held_out), *left_out]
    found = tempered(predict([others[i] for i in train], asked), temperature)
    known, unknown = found[: len(held_out)], found[len(held_out) :]
    if NONE_OF_THESE in taught:
        return float((unknown.argmax(axis=1) == taught.index(NONE_OF_THESE)).mean())
    return float((unknown.max(axis=1) < unknown_below(known, settings)).mean())


def unknown_below(known: np.ndarray, settings: Settings) -> float:
    """Return the largest probability below which (N, classes) known pictures would be refused.

    That of few of them is lower. To take the largest probability for a sign of the unknown is the
    baseline of Hendrycks and Gimpel 2016 (arXiv:1610.02136); calibrated, it was at least as good
    here as energy, logits and nearest neighbours (benchmarks/README.md).
    """
    return float(np.quantile(known.max(axis=1), settings.refused_share))


def _folds(pictures: Sequence[Picture], settings: Settings) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split pictures into parts, again and again; return none where too few differ."""
    groups: dict[str, set[int]] = {}
    for picture in pictures:
        groups.setdefault(picture.label, set()).add(picture.group)
    folds = min(settings.folds, *map(len, groups.values()))
    if folds < 2:
        return []
    folding = StratifiedGroupKFold(folds, shuffle=True, random_state=settings.seed)
    labels = [picture.label for picture in pictures]
    return list(folding.split(labels, labels, [picture.group for picture in pictures]))


def best_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature at which (N, classes) probabilities are most likely to be the truth.

    Guo et al. 2017, "On calibration of modern neural networks" (arXiv:1706.04599). As if one more
    picture had been wrong: from few that are all right no certainty follows (Platt 1999).
    """
    pictures, classes = probabilities.shape
    wrong = 1 / (pictures + 2)
    targets = np.full(probabilities.shape, wrong / max(1, classes - 1))
    targets[np.arange(pictures), truth] = 1 - wrong

    def surprise(temperature: float) -> float:
        found = np.maximum(tempered(probabilities, temperature), SMALLEST)
        return float(-(targets * np.log(found)).sum())

    return float(minimize_scalar(surprise, bounds=(0.1, 10), method="bounded").x)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the (N, classes) probabilities whose logits are divided by a temperature."""
    logits = np.log(np.maximum(probabilities, SMALLEST)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    tempered: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return tempered


def reliability(
    probabilities: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort pictures into bins by their largest probability, of which there are (N, classes).

    Return for each bin that is not empty the share of the pictures, their mean largest probability,
    and the share of right labels among them.
    """
    largest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((largest * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    used = counts > 0
    sums = [np.bincount(bins, weights=each, minlength=BINS)[used] for each in (largest, right)]
    return counts[used] / len(truth), sums[0] / counts[used], sums[1] / counts[used]


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the expected calibration error: how far probabilities are from accuracies, 0..1."""
    shares, sure, right = reliability(probabilities, truth)
    return float((shares * np.abs(sure - right)).sum())
