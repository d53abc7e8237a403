"""Which frames the model gets, and what of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np

from activity.model_file import ModelMetadata
from activity.preprocessing import resize
from activity.quiet.opencv import cv2
from activity.video.reader import HALF_A_MILLISECOND, Frame

SAMPLES_PER_SECOND = 5.0  # of the stride "auto": as fine as smoothing needs it (docs/smoothing.md)


def sample(
    frames: Iterable[Frame],
    metadata: ModelMetadata,
    stride: int | Literal["auto"],
    release: Callable[[Frame], None] | None = None,
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Yield each frame with the model's input, (side, side, 3) uint8 RGB, or None.

    The first frame has one, and so has every `stride`th, or about five per second. `release` gets
    each frame as soon as its picture is not needed any more, where nobody else needs that.
    """
    due = 0.0
    for index, frame in enumerate(frames):
        if stride == "auto":
            is_due = index == 0 or frame.time >= due - HALF_A_MILLISECOND
        else:
            is_due = index % stride == 0
        image = None
        if is_due:
            due = frame.time + 1 / SAMPLES_PER_SECOND
            # OpenCV decodes to BGR, the model takes RGB.
            resized = resize(frame.picture, metadata.resize, metadata.input_size)
            image = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)
        if release:
            release(frame)
        yield frame, image
