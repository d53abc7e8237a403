"""From a source to its frames with their labels: reading, the model and smoothing, in threads."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from activity.engine import Engine
from activity.prediction.classifier import Classifier
from activity.prediction.settings import LOOK_AHEAD, Settings
from activity.prediction.sight import see
from activity.prediction.smoothing import Prediction, smooth
from activity.streams import latest, prefetch
from activity.video.reader import HALF_A_MILLISECOND, Frame, VideoReader

# Frames that wait between two stages: enough to smooth them out, few enough to fit in memory.
AHEAD = 3
BLOCK = 1.0  # seconds of a file that are labelled together


def cannot_wait(reader: VideoReader, settings: Settings, drawn: bool) -> bool:
    """Tell whether frames are not to wait until a batch is full.

    Those of a live source are late then, and with a stride too many pictures to be `drawn` on would
    wait in memory, where they cannot be read again.
    """
    return reader.live or (drawn and settings.stride != 1 and not reader.can_be_read_again)


def label_frames(
    reader: VideoReader, engine: Engine, classifier: Classifier, settings: Settings, drawn: bool
) -> Generator[tuple[Frame, Prediction], None, None]:
    """Yield each frame with its label; reading and the model run ahead in threads of their own.

    Where a label depends on later frames, or few frames are looked at, the pictures to be `drawn`
    on would have to wait in memory. So the clip is read twice at the same time, once for labels and
    some seconds behind for pictures.
    """
    waits = settings.smoothing == "hmm" or settings.stride != 1
    if not (drawn and waits and reader.can_be_read_again):
        yield from label_once(reader, engine, classifier, settings, keep=drawn)
        return
    with (
        reader.again(sparse=settings.stride != 1) as scout,
        closing(label_once(scout, engine, classifier, settings, keep=False)) as labelled,
        closing(prefetch(reader, AHEAD)) as frames,
    ):
        yield from in_step(frames, labelled)


def label_once(
    reader: VideoReader, engine: Engine, classifier: Classifier, settings: Settings, keep: bool
) -> Generator[tuple[Frame, Prediction], None, None]:
    """Yield each frame with its label, and if asked to `keep` it with its picture."""
    foresees = settings.delay is None and reader.can_be_read_again
    delay, block = (LOOK_AHEAD, BLOCK) if foresees else (settings.delay or 0.0, 0.0)
    with closing(latest(reader) if reader.live else prefetch(reader, AHEAD)) as frames:
        seen = see(frames, classifier.card, settings, None if keep else reader.recycle)
        smoothed = smooth(
            classifier.classify(engine, seen), classifier.labels, settings, delay, block
        )
        with closing(prefetch(smoothed, AHEAD)) as labelled:
            yield from labelled


def in_step(
    frames: Iterable[Frame], labelled: Iterator[tuple[Frame, Prediction]]
) -> Iterator[tuple[Frame, Prediction]]:
    """Yield each frame with the prediction for its time: that of the last frame not after it."""
    upcoming = next(labelled, None)
    for frame in frames:
        while upcoming and upcoming[0].time <= frame.time + HALF_A_MILLISECOND:
            prediction = upcoming[1]
            upcoming = next(labelled, None)
        yield frame, prediction
