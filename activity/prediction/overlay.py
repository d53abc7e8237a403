"""What is drawn on a frame."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from activity.prediction.observation import Prediction
from activity.prediction.settings import Settings
from activity.quiet.opencv import cv2

# Text height as a share of the frame's shorter side, and the most of a frame that may be covered.
TEXT_SHARE = 0.06
LARGEST_SHARE = 0.1
ROW = 1.9  # height of a row, text and bar, in text heights
# Unlike the stroke fonts it knows more than ASCII: class names are the user's.
FONT = cv2.FontFace("sans")
WEIGHT = 600  # semi-bold; 400 is regular
WHITE = (255, 255, 255)


def draw(
    picture: np.ndarray, prediction: Prediction, labels: Sequence[str], settings: Settings
) -> None:
    """Draw the label and the most probable classes, in place, on (H, W, 3) uint8 BGR."""
    smoothed = prediction.smoothed
    rows = [(f"{settings.smoother.caption}: {prediction.label}", float(smoothed.max()))]
    if settings.top > 1:
        best = smoothed.argsort()[::-1][: settings.top]
        rows += [
            (labels[index], float(smoothed[index]))
            for index in best
            if labels[index] != prediction.label
        ]
    draw_rows(picture, rows)


def draw_rows(frame: np.ndarray, rows: Sequence[tuple[str, float]]) -> None:
    """Draw a text and its probability in each row, with a thin bar, in place on a frame.

    `frame` is (H, W, 3) uint8 BGR. The rows stand in its top left on a darkened plate that keeps
    them legible anywhere. They follow the size of the frame, from 160p to 4K, and shrink where they
    would not fit or cover too much of it.
    """
    # Measured with the widest number, so that the plate does not breathe with the digits.
    size, width = _fit(tuple(f"{text} 100%" for text, _ in rows), *frame.shape[:2])
    if size == 0:
        return
    row, margin = round(ROW * size), size // 2
    top, left = margin, 2 * margin
    plate = frame[top : top + row * len(rows) + margin, margin : left + width + margin]
    plate //= 4
    thickness = max(1, size // 8)
    for text, probability in rows:
        origin = (left, top + round(1.25 * size))
        cv2.putText(frame, f"{text} {probability:.0%}", origin, WHITE, FONT, size, WEIGHT)
        bar = frame[top + round(1.6 * size) :][:thickness, left : left + width]
        bar //= 2
        bar += 64
        bar[:, : round(width * probability)] = WHITE
        top += row


@lru_cache  # a clip has few labels, and measuring text takes longer than drawing it
def _fit(texts: tuple[str, ...], height: int, width: int) -> tuple[int, int]:
    """Return the size of the text and the width of the longest in pixels; 0 for no room."""
    for size in range(round(TEXT_SHARE * min(height, width)), 0, -1):
        sizes = [cv2.getTextSize((0, 0), text, (0, 0), FONT, size, WEIGHT) for text in texts]
        text_width = max(width for _, _, width, _ in sizes)
        margin = size // 2
        plate_width = text_width + 2 * margin
        plate_height = round(ROW * size) * len(texts) + margin
        fits = plate_width + margin <= width and plate_height + margin <= height
        if fits and plate_width * plate_height <= LARGEST_SHARE * height * width:
            return size, text_width
    return 0, 0
