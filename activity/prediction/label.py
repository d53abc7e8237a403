"""From a clip to its labels, and to what is made of them."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from activity.cli import Progress
from activity.engine import Engine
from activity.label_file import UNCERTAIN
from activity.prediction.classifier import Classifier
from activity.prediction.observation import Observation, Prediction
from activity.prediction.output import Clip, Output
from activity.prediction.outputs import OUTPUTS, files_of
from activity.prediction.overlay import draw
from activity.prediction.result import Result, Tally
from activity.prediction.sampling import sample
from activity.prediction.settings import Settings
from activity.prediction.smoothers.mean import Mean
from activity.streams import latest, prefetch
from activity.video.reader import HALF_A_MILLISECOND, Frame, VideoReader
from activity.video.sources import is_picture, source_title
from activity.video.stop import Stop

# Frames that wait between two stages: enough to smooth them out, few enough to fit in memory.
AHEAD = 3
DRAWN_AHEAD = 2

Labelled = Iterator[tuple[Frame, Prediction]]


def label_video(
    source: str,
    classifier: Classifier,
    outputs: Mapping[str, Any],
    settings: Settings = Settings(),  # noqa: B008 (it is frozen)
    *,
    stop: Stop | None = None,
    several: bool = False,
    quiet: bool = True,
    on_frame: Callable[[], None] = lambda: None,
) -> Result | None:
    """Label a clip, a camera (its number) or a stream (its address); write the outputs.

    `outputs` are paths by the names in `OUTPUTS`; files that exist are replaced. `several` tells
    that there are other clips, and an index of all. `on_frame` is called with each frame. Once
    `stop` is wanted the outputs are finished; the result is None if that was before the first
    frame. Raises `UserError` for what cannot be decoded or written.

    Reading, the model, and drawing with writing are three stages that run at the same time.
    """
    stop = stop or Stop()
    kinds = {OUTPUTS[name]: path for name, path in outputs.items()}
    drawn = any(kind.draws for kind in kinds)
    is_photo = is_picture(source)
    if is_photo:  # there is nothing to smooth, and no time
        settings = replace(
            settings, smoother=Mean(1), stride=1, start=0.0, end=None, fps=None, track=None
        )
    sparse = settings.stride != 1
    what = (settings.start, settings.end, stop, settings.fps, settings.track)
    with VideoReader(source, *what, sparse=sparse and not drawn) as reader, ExitStack() as stack:
        for kind, path in kinds.items():
            kind.check(path, source)
        # Frames of a live source would be late if they waited for a batch; and with a stride too
        # many pictures would wait in memory, where they cannot be read again.
        waiting_costs = drawn and sparse and not reader.can_be_read_again
        engine = classifier.engine(low_latency=reader.live or waiting_costs or is_photo)
        if stop.wanted:
            return None
        model = (classifier.path, classifier.metadata)
        clip = Clip(source, reader.format, *model, settings, stop, several)
        made = [kind(path, clip) for kind, path in kinds.items()]
        for output in made:
            stack.enter_context(output.opened())
        labelled = stack.enter_context(closing(_labelled(reader, engine, clip, made, drawn)))
        if drawn:
            labelled = stack.enter_context(closing(prefetch(_drawn(labelled, clip), DRAWN_AHEAD)))
        title = source_title(source)
        progress = Progress(reader.expected, "frames", title, quiet or is_photo)
        stack.enter_context(progress)
        tally = Tally(classifier.labels, reader.format.fps)
        began = time.monotonic()
        for frame, prediction in labelled:
            tally.add(frame, prediction)
            for output in made:
                output.add(frame, prediction)
            progress.advance(prediction.label)
            on_frame()
            reader.recycle(frame)
            if stop.wanted:
                break
        seconds = time.monotonic() - began
    result = tally.result(
        source, reader, ended_early=stop.wanted and not is_photo,
        smoothing=settings.smoother.title, seconds=seconds,
        outputs={kind: str(path) for kind, path in files_of(outputs).items()},
    )  # fmt: skip
    for output in made:
        output.finish(result)
    return result


def _labelled(
    reader: VideoReader, engine: Engine, clip: Clip, outputs: Sequence[Output], drawn: bool
) -> Generator[tuple[Frame, Prediction], None, None]:
    """Yield each frame with its label; reading and the model run ahead in threads of their own.

    Where a label depends on later frames, or few frames are sampled, the pictures to be `drawn` on
    would have to wait in memory. So the clip is read twice at the same time, once for labels and
    some seconds behind for pictures.
    """
    sparse = clip.settings.stride != 1
    waits = clip.settings.smoother.looks_ahead or sparse
    if not (drawn and waits and reader.can_be_read_again):
        yield from _labelled_once(reader, engine, clip, outputs, keep=drawn)
        return
    with (
        reader.again(sparse=sparse) as scout,
        closing(_labelled_once(scout, engine, clip, outputs, keep=False)) as labelled,
        closing(prefetch(reader, AHEAD)) as frames,
    ):
        # The prediction for a frame's time is that of the last one not after it.
        upcoming = next(labelled, None)
        for frame in frames:
            while upcoming and upcoming[0].time <= frame.time + HALF_A_MILLISECOND:
                prediction = upcoming[1]
                upcoming = next(labelled, None)
            yield frame, prediction


def _labelled_once(
    reader: VideoReader, engine: Engine, clip: Clip, outputs: Sequence[Output], keep: bool
) -> Generator[tuple[Frame, Prediction], None, None]:
    """Yield each frame with its label, and if asked to `keep` it with its picture."""
    observers = [output for output in outputs if output.observes]
    settings, labels = clip.settings, clip.metadata.labels

    def observed(frames: Iterable[Frame]) -> Iterator[Observation]:
        release = None if keep or observers else reader.recycle
        images = sample(frames, clip.metadata, settings.stride, release)
        for frame, probabilities in engine.stream(images):
            observation = Observation(frame, probabilities)
            for observer in observers if probabilities is not None else ():
                observer.observe(observation)
            if observers and not keep:
                reader.recycle(frame)
            yield observation

    def predicted(observations: Iterable[Observation]) -> Labelled:
        for each in settings.smoother.smooth(observations, reader.can_be_read_again):
            best = int(each.probabilities.argmax())
            certain = each.probabilities[best] >= settings.min_probability
            label, raw_label = labels[best], labels[int(each.raw.argmax())]
            yield (
                each.frame,
                Prediction(
                    label if certain else UNCERTAIN, raw_label, each.probabilities, each.raw
                ),
            )

    with (
        closing(latest(reader) if reader.live else prefetch(reader, AHEAD)) as frames,
        closing(prefetch(predicted(observed(frames)), AHEAD)) as labelled,
    ):
        yield from labelled


def _drawn(labelled: Labelled, clip: Clip) -> Labelled:
    """Yield the frames with their labels drawn on them."""
    for frame, prediction in labelled:
        draw(frame.picture, prediction, clip.metadata.labels, clip.settings)
        yield frame, prediction
