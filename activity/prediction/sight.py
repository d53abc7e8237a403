"""What the model sees: of which frames, and what of them."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from activity.model_file import ModelCard
from activity.prediction.settings import Settings
from activity.preprocessing import resize
from activity.quiet.opencv import cv2
from activity.video.reader import HALF_A_MILLISECOND, Frame

LOOKS_A_SECOND = 5.0  # of the stride "auto": as fine as smoothing needs it (docs/smoothing.md)


def see(
    frames: Iterable[Frame],
    card: ModelCard,
    settings: Settings,
    release: Callable[[Frame], None] | None = None,
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Yield each frame with what a model with this card sees of it, (side, side, 3) uint8 RGB.

    That is every so many frames, from the first one on; of the others it sees nothing. `release`
    gets each frame as soon as its picture has been seen, where nobody else needs that.
    """
    due = 0.0
    for index, frame in enumerate(frames):
        if settings.stride == "auto":
            looks = index == 0 or frame.time >= due - HALF_A_MILLISECOND
        else:
            looks = index % settings.stride == 0
        image = None
        if looks:
            due = frame.time + 1 / LOOKS_A_SECOND
            # OpenCV decodes to BGR, the model takes RGB.
            seen = resize(frame.picture, card.resize, card.input_size)
            image = cv2.cvtColor(seen, cv2.COLOR_BGR2RGB)
        if release:
            release(frame)
        yield frame, image
