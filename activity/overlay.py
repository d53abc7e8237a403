"""What is drawn on a frame."""

from functools import lru_cache

import cv2
import numpy as np

# Text height as a share of the frame's shorter side, and the least that can be read, in pixels.
TEXT_SHARE = 0.06
SMALLEST_TEXT = 12
# Unlike the stroke fonts it knows more than ASCII: class names are the user's.
FONT = cv2.FontFace("sans")
WEIGHT = 600  # semi-bold; 400 is regular


def draw_label(frame: np.ndarray, text: str) -> None:
    """Draw a line of text in the top left of an (H, W, 3) uint8 BGR frame, in place.

    It stands on a darkened plate that keeps it legible anywhere. The size follows the frame, from
    160p to 4K, and shrinks where the text would not fit.
    """
    size, width = _fit(text, *frame.shape[:2])
    margin = size // 2
    plate = frame[margin : margin + 2 * size, margin : 2 * margin + width + size]
    plate //= 4
    origin = (2 * margin, margin + round(1.35 * size))
    cv2.putText(frame, text, origin, (255, 255, 255), FONT, size, WEIGHT)


@lru_cache  # a clip has few labels, and measuring text takes longer than drawing it
def _fit(text: str, height: int, width: int) -> tuple[int, int]:
    """Return the size of a text and its width in pixels, on a frame of this height and width."""
    size = max(SMALLEST_TEXT, round(TEXT_SHARE * min(height, width)))
    text_width = _width(text, size)
    room = width - 2 * size
    if text_width > room > 0:
        size = max(1, size * room // text_width)
        text_width = _width(text, size)
    return size, text_width


def _width(text: str, size: int) -> int:
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), FONT, size, WEIGHT)
    return width
