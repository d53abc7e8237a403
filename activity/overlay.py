"""What is drawn on a frame."""

import cv2
import numpy as np

# Text height as a share of the frame's shorter side, and the least that can be read, in pixels.
TEXT_SHARE = 0.06
SMALLEST_TEXT = 12
WEIGHT = 600  # semi-bold; 400 is regular


class Overlay:
    """Draws a line of text in the top left, on a darkened plate that keeps it legible anywhere."""

    def __init__(self) -> None:
        # Unlike the stroke fonts it knows more than ASCII: class names are the user's.
        self._font = cv2.FontFace("sans")

    def draw(self, frame: np.ndarray, text: str) -> None:
        """Draw `text` on an (H, W, 3) uint8 BGR frame, in place.

        The size follows the frame, from 160p to 4K, and shrinks where the text would not fit.
        """
        height, width = frame.shape[:2]
        size = max(SMALLEST_TEXT, round(TEXT_SHARE * min(height, width)))
        text_width = self._width(text, size)
        room = width - 2 * size
        if text_width > room > 0:
            size = max(1, size * room // text_width)
            text_width = self._width(text, size)
        margin = size // 2
        plate = frame[margin : margin + 2 * size, margin : 2 * margin + text_width + size]
        plate //= 4
        origin = (2 * margin, margin + round(1.35 * size))
        cv2.putText(frame, text, origin, (255, 255, 255), self._font, size, WEIGHT)

    def _width(self, text: str, size: int) -> int:
        _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._font, size, WEIGHT)
        return width
