"""What is known of a clip that there is not, for outputs that need no video."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from conftest import frame

from activity.model_file import ModelMetadata
from activity.prediction.observation import Prediction
from activity.prediction.output import Clip, Output
from activity.prediction.outputs.video import Video
from activity.prediction.result import Result, Tally
from activity.prediction.settings import Settings
from activity.video.backends import Format
from activity.video.reader import Frame, VideoReader
from activity.video.stop import Stop

PLAIN = Format(25.0, 25.0, Fraction(1, 12_800))
Labelled = Iterable[tuple[Frame, Prediction]]


def clip_of(
    labels: Sequence[str], source: str = "clip.mp4", format: Format = PLAIN, several: bool = False,
    **settings: Any,
) -> Clip:  # fmt: skip
    """Make a clip whose frames are to have these labels."""
    metadata = ModelMetadata(tuple(labels), "crop", 8)
    return Clip(source, format, Path("m.xml"), metadata, Settings(**settings), Stop(), several)


def prediction(
    labels: Sequence[str], smoothed: Sequence[float], raw: Sequence[float] | None = None
) -> Prediction:
    """Make a prediction of (classes,) probabilities."""
    both = np.array(smoothed), np.array(smoothed if raw is None else raw)
    label, raw_label = (labels[int(each.argmax())] for each in both)
    return Prediction(label, raw_label, *both)


PREDICTION = prediction("a", [1.0])


def labelled(
    labels: Sequence[str], rows: Iterable[Sequence[float]], fps: float = 25.0
) -> Iterator[tuple[Frame, Prediction]]:
    """Yield a frame for each row of probabilities."""
    for number, row in enumerate(rows):
        yield frame(number, fps), prediction(labels, row)


def result_of(tally: Tally, source: str = "clip.mp4", loss: str = "", **facts: Any) -> Result:
    """Return the result of a clip, which `loss` says what is missing of."""
    reader: Any = SimpleNamespace(
        decoded=5, format=PLAIN, loss=loss, notes=[], reconnections=0, width=2, height=1
    )
    others: dict[str, Any] = {"ended_early": False, "smoothing": "mean of 128", "seconds": 1.0}
    return tally.result(source, reader, **others | facts)


def write(kind: type[Output], path: Path, clip: Clip, frames: Labelled, **facts: Any) -> Result:
    """Write the output of a clip with these frames."""
    output, tally = kind(path, clip), Tally(clip.metadata.labels, clip.format.fps)
    with output.opened():
        for shown, found in frames:
            tally.add(shown, found)
            output.add(shown, found)
    result = result_of(tally, clip.source, **facts)
    output.finish(result)
    return result


def video_of(clip: Path, start: float = 0.0, end: float | None = None, **format: Any) -> Path:
    """Write the annotated video of a clip beside it, with nothing drawn on it."""
    path = clip.with_name("video.mp4")
    with VideoReader(clip, start, end) as reader:
        changed = replace(reader.format, **format)
        video = Video(path, clip_of("a", format=changed, start=start, end=end))
        with video.opened():
            for frame in reader:
                video.add(frame, PREDICTION)
                reader.recycle(frame)
    return path
