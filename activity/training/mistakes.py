"""Pictures that get a wrong label from a model that did not see them: a record, a contact sheet.

Those whose own label is least probable tell most: often they lie in a wrong folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from activity.figures import plain, save_picture
from activity.model_file import ModelCard
from activity.training.annotations import TEST, TRAIN
from activity.training.dataset import Picture, plain_images
from activity.training.split import Parts

COLUMNS = 6
LARGEST_SHEET = 48  # pictures; more would be too small to see, or too many to look at


@dataclass(frozen=True)
class Mistake:
    """A picture and the wrong label that it got."""

    picture: Picture
    predicted: str
    probability: float  # of the wrong label
    tested: bool  # whether the picture is one of the test part

    def __str__(self) -> str:
        own, found = self.picture.label, self.predicted
        return f"{str(self.picture)!r} is {own}, and taken for {found} ({self.probability:.0%})"

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the record of a run."""
        return self.picture.record() | {
            "predicted": self.predicted,
            "probability": round(self.probability, 4),
            "part": TEST if self.tested else TRAIN,
        }


def find_mistakes(
    parts: Parts, tested: np.ndarray, held_out: np.ndarray | None, labels: Sequence[str]
) -> list[Mistake]:
    """Return the pictures of both parts that get a wrong label; first, whose own is least probable.

    `tested` and `held_out` are (N, classes) probabilities of test and training part, of the latter
    by heads that did not see the pictures; None if there are none. The probability of a picture's
    own label is cleanlab's measure of its quality, too; with what else cleanlab does the first ones
    were no more often mislabelled (benchmarks/README.md).
    """
    pictures, probabilities = parts.test, tested
    if held_out is not None:
        pictures, probabilities = parts.test + parts.train, np.concatenate([tested, held_out])
    given = np.array([labels.index(picture.label) for picture in pictures])
    predicted = probabilities.argmax(axis=1)
    order = np.argsort(probabilities[np.arange(len(given)), given], kind="stable")
    return [
        Mistake(
            pictures[index],
            labels[predicted[index]],
            float(probabilities[index].max()),
            tested=bool(index < len(parts.test)),
        )
        for index in order
        if predicted[index] != given[index]
    ]


def save_contact_sheet(mistakes: Sequence[Mistake], card: ModelCard, path: Path) -> None:
    """Draw the first mistakes as the model sees the pictures."""
    shown = mistakes[:LARGEST_SHEET]
    images = plain_images([mistake.picture for mistake in shown], card.resize, card.input_size)
    rows = max(1, -(-len(shown) // COLUMNS))
    figure = Figure(figsize=(2.2 * COLUMNS, 2.65 * rows + 0.6), layout="constrained")
    title = f"{len(mistakes)} pictures get a wrong label from models that did not see them"
    if len(shown) < len(mistakes):
        title += f"; these are the first {len(shown)}"
    figure.suptitle(title)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, mistake, image in zip(panels, shown, images, strict=False):
        panel.imshow(image)
        panel.set_title(
            f"{plain(_shortened(mistake.picture.label))}, taken for\n"
            f"{plain(_shortened(mistake.predicted))} ({mistake.probability:.0%})\n"
            f"{plain(_shortened(mistake.picture.name))}",
            fontsize=8,
        )
    save_picture(figure, path, dpi=100)


def _shortened(name: str, longest: int = 28) -> str:
    """Return a name that fits over its picture."""
    return name if len(name) <= longest else f"{name[: longest - 10]}…{name[-9:]}"
