"""What the model sees of each frame."""

from collections.abc import Iterable, Iterator

import numpy as np

from activity.model_file import ModelCard
from activity.prediction.reader import Frame
from activity.preprocessing import resize
from activity.quiet.opencv import cv2


def see(
    frames: Iterable[Frame], card: ModelCard, stride: int
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Yield each frame with what a model with this card sees of it, (side, side, 3) uint8 RGB.

    That is every `stride`-th frame, from the first one on; of the others it sees nothing.
    """
    for index, frame in enumerate(frames):
        if index % stride:
            yield frame, None
        else:
            # OpenCV decodes to BGR, the model takes RGB.
            seen = resize(frame.picture, card.resize, card.input_size)
            yield frame, cv2.cvtColor(seen, cv2.COLOR_BGR2RGB)
