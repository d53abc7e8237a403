"""What the model sees of each frame."""

from collections.abc import Iterable, Iterator

from activity.model_file import ModelCard
from activity.prediction.reader import Frame
from activity.preprocessing import resize
from activity.quiet.opencv import cv2


def see(frames: Iterable[Frame], card: ModelCard, stride: int) -> Iterator[Frame]:
    """Add to every `stride`-th frame, from the first one on, what a model with this card sees."""
    for index, frame in enumerate(frames):
        if index % stride == 0:
            # OpenCV decodes to BGR, the model takes RGB.
            seen = resize(frame.picture, card.resize, card.input_size)
            frame.seen = cv2.cvtColor(seen, cv2.COLOR_BGR2RGB)
        yield frame
