"""How good the trained model is: the scores on the test part and the curves of the training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import classification_report, confusion_matrix

from activity.engine import load_engine
from activity.figures import save_picture
from activity.model_file import ModelCard
from activity.training.dataset import Picture, plain_images
from activity.training.settings import Settings


def evaluate(
    pictures: Sequence[Picture], probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Compare the (N, classes) probabilities of pictures with their classes; print and return it.

    Rows of the confusion matrix are true classes, columns predicted ones, in the order of `labels`.
    """
    truth, predicted = _class_indices(pictures, labels), probabilities.argmax(axis=1)
    indices = range(len(labels))
    report = {"labels": indices, "target_names": labels, "zero_division": 0}
    matrix = confusion_matrix(truth, predicted, labels=indices)
    record = {
        "images": len(truth),
        "accuracy": float(np.mean(truth == predicted)),
        "report": classification_report(truth, predicted, output_dict=True, **report),
        "confusion_matrix": matrix.tolist(),
    }
    column = max(6, *(len(label) for label in labels)) + 2
    text = [
        f"\ntest part: {len(truth)} images, accuracy {record['accuracy']:.1%}\n",
        classification_report(truth, predicted, digits=3, **report),
        "confusion matrix: a row for each true class, a column for each predicted one",
        " " * column + "".join(f"{label:>{column}}" for label in labels),
    ]
    for label, row in zip(labels, matrix, strict=True):
        text.append(f"{label:>{column}}" + "".join(f"{count:{column}d}" for count in row))
    print("\n".join(text), end="\n\n")
    return record


def compare_copy(
    path: Path,
    pictures: Sequence[Picture],
    probabilities: np.ndarray,
    card: ModelCard,
    settings: Settings,
) -> dict[str, float]:
    """Compare the (N, classes) probabilities of a model with its copy's; print and return it."""
    images = plain_images(pictures, card.resize, card.input_size)
    copied = np.stack([row for _, row in load_engine(path).stream(enumerate(images))])
    truth = _class_indices(pictures, card.labels)
    predicted, by_copy = probabilities.argmax(axis=1), copied.argmax(axis=1)
    record = {
        "accuracy": float(np.mean(by_copy == truth)),
        "same_label": float(np.mean(by_copy == predicted)),
        "mean_absolute_difference": float(np.abs(copied - probabilities).mean()),
    }
    print(
        f"{settings.precision} copy on the same {len(truth)} images: "
        f"accuracy {record['accuracy']:.1%}, same label on {record['same_label']:.1%}, "
        f"probabilities differ by {record['mean_absolute_difference']:.4f} on average\n"
    )
    return record


def _class_indices(pictures: Sequence[Picture], labels: Sequence[str]) -> np.ndarray:
    return np.array([labels.index(picture.label) for picture in pictures])


def save_plot(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Plot loss and accuracy of training and test part, one value an epoch, as a picture."""
    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        panel.plot(epochs, history[name], ".-", label="training (augmented, with dropout)")
        panel.plot(epochs, history[f"val_{name}"], ".-", label="test")
        panel.set(xlabel="epoch", ylabel=name, title=name.capitalize())
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    save_picture(figure, path, dpi=120)
