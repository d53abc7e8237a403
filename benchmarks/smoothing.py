"""Compare smoothers on edited streams, whose true labels are known: what is wrong, late, or lost.

    python -m benchmarks.smoothing --clips DIR --model FILE --picture PICTURE

The folders in DIR are named after the classes. Streams are made of the probabilities of whole
clips of different activities one after the other, at 30 frames/s, and of clips with 0.4 s of
another one inside. A video of 8 pieces of 4 s is cut, too, and labelled by the script; PICTURE
shows its timelines. FILE has its class names, lb.pickle, beside it.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from activity.prediction.classifier import Classifier
from activity.prediction.observation import Observation
from activity.prediction.outputs.video import H264Writer
from activity.prediction.sampling import SAMPLES_PER_SECOND, sample
from activity.prediction.smoothers import Smoother
from activity.prediction.smoothers.hmm import HiddenMarkov
from activity.prediction.smoothers.mean import Mean
from activity.quiet.opencv import cv2
from activity.video.backends import CLOCK, Format
from activity.video.reader import Frame, VideoReader
from activity.video.sources import find_sources
from benchmarks.processes import PYTHON, run

FPS = 30
CUTAWAY = 12  # frames
PIECES, PIECE_SECONDS = 8, 4.0
VIDEO_SIZE = (960, 540)
AUTO = round(FPS / SAMPLES_PER_SECOND)
# What is compared: a name, the smoother, and the stride.
WAYS: list[tuple[str, Smoother, int]] = [
    ("none", Mean(1), 1),
    ("**mean of 128, the tutorial's**", Mean(128), 1),
    ("mean of 32", Mean(32), 1),
    ("**hmm, files**", HiddenMarkov(), 1),
    ("**hmm, files, stride auto**", HiddenMarkov(), AUTO),
    ("hmm, looking ahead for the whole video", HiddenMarkov(1e9), 1),
    ("hmm, 2 s ahead", HiddenMarkov(2.0), 1),
    ("**hmm, live with a delay of 1 s**", HiddenMarkov(1.0), 1),
    ("hmm, live with a delay of 0.5 s", HiddenMarkov(0.5), 1),
    ("**hmm, live**", HiddenMarkov(0.0), 1),
    ("hmm, live, stride auto", HiddenMarkov(0.0), AUTO),
]


@dataclass(frozen=True)
class Stream:
    """The (frames, classes) raw probabilities of footage, and its true classes, by their index."""

    probabilities: np.ndarray
    truth: np.ndarray

    @classmethod
    def joined(cls, parts: "Sequence[Stream]") -> "Stream":
        """Put streams one after the other."""
        return cls(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.truth for part in parts]),
        )

    @property
    def cuts(self) -> list[int]:
        """The frames from which on another class is true."""
        return [int(frame) for frame in np.flatnonzero(np.diff(self.truth)) + 1]


def main() -> None:
    """Run the comparison; print its table, and that of the video."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("model/activity.xml"))
    parser.add_argument("--streams", type=int, default=30)
    parser.add_argument("--cutaways", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()

    classifier = Classifier(args.model)
    labels = classifier.labels
    clips = {
        source: read(source, classifier, label)
        for label in labels
        for source in find_sources([str(args.clips / label)])
    }
    random = np.random.default_rng(args.seed)
    streams = [edited(list(clips.values()), random) for _ in range(args.streams)]
    cutaways = [with_cutaway(list(clips.values()), random) for _ in range(args.cutaways)]
    frames = sum(len(stream.truth) for stream in streams)
    print(f"{len(clips)} clips, {len(streams)} streams of {frames} frames, seed {args.seed}\n")
    print(
        "| smoother | frames wrong | seconds behind a cut | label changes on single clips "
        "| cutaways held |\n|---|---|---|---|---|"
    )
    for name, smoother, stride in WAYS:
        shown = [label(stream, smoother, stride) for stream in streams]
        wrong = sum(int((a != b.truth).sum()) for a, b in zip(shown, streams, strict=True)) / frames
        late = np.mean([t for a, b in zip(shown, streams, strict=True) for t in lateness(a, b)])
        changes = sum(
            int((np.diff(label(clip, smoother, stride)) != 0).sum()) for clip in clips.values()
        )
        held = sum(
            bool((label(stream, smoother, stride) == stream.truth)[begin:end].all())
            for stream, begin, end in cutaways
        )
        figures = f"{wrong:.1%} | {late:.2f} | {changes} | {held} of {len(cutaways)}"
        print(f"| {name} | {figures} |", flush=True)
    compare_on_video(args.model, args.clips, list(labels), args.picture)


def read(source: str, classifier: Classifier, truth: str) -> Stream:
    """Classify every frame of a clip, at `FPS` frames/s."""
    times, rows = [], []
    with VideoReader(source) as reader:
        images = sample(reader, classifier.metadata, 1, reader.recycle)
        for frame, probabilities in classifier.engine().stream(images):
            times.append(frame.time)
            rows.append(probabilities)
    shown = np.arange(0, times[-1] + 0.5 / FPS, 1 / FPS)
    # The frame that is shown at a time is the last one that is not later.
    indices = np.searchsorted(times, shown + 1e-6) - 1
    index = classifier.labels.index(truth)
    return Stream(np.array(rows)[indices], np.full(len(shown), index))


def edited(clips: Sequence[Stream], random: np.random.Generator) -> Stream:
    """Put up to eight clips after each other, each once, neighbours of different classes."""
    parts: list[Stream] = []
    for index in random.permutation(len(clips)):
        if len(parts) < PIECES and (not parts or parts[-1].truth[0] != clips[index].truth[0]):
            parts.append(clips[index])
    return Stream.joined(parts)


def with_cutaway(clips: Sequence[Stream], random: np.random.Generator) -> tuple[Stream, int, int]:
    """Put `CUTAWAY` frames of another class into a clip, which stays the truth.

    Return it, and the frames between which that is to be held: until a second after it.
    """
    while True:
        clip, other = (clips[index] for index in random.choice(len(clips), 2, replace=False))
        if clip.truth[0] != other.truth[0] and len(clip.truth) > 5 * FPS:
            break
    begin = int(random.integers(3 * FPS, len(clip.truth) - CUTAWAY - FPS))
    place = int(random.integers(len(other.truth) - CUTAWAY))
    probabilities = clip.probabilities.copy()
    probabilities[begin : begin + CUTAWAY] = other.probabilities[place : place + CUTAWAY]
    return Stream(probabilities, clip.truth), begin, begin + CUTAWAY + FPS


def label(stream: Stream, smoother: Smoother, stride: int) -> np.ndarray:
    """Return the index of each frame's label."""
    observations = (
        Observation(Frame(number, number / FPS, row), None if number % stride else row)
        for number, row in enumerate(stream.probabilities)
    )
    smoothed = smoother.smooth(observations, can_wait=True)
    return np.array([int(each.probabilities.argmax()) for each in smoothed])


def lateness(shown: np.ndarray, stream: Stream) -> list[float]:
    """Return for each cut how many seconds the label needs to be right."""
    ends = [*stream.cuts[1:], len(stream.truth)]
    late = []
    for cut, end in zip(stream.cuts, ends, strict=True):
        right = np.flatnonzero(shown[cut:end] == stream.truth[cut])
        late.append(float(right[0] if len(right) else end - cut) / FPS)
    return late


def compare_on_video(model: Path, clips: Path, labels: list[str], picture: Path | None) -> None:
    """Cut a video and label it with the script; print what is wrong, and draw the timelines."""
    with tempfile.TemporaryDirectory() as name:
        video = Path(name, "edited.mp4")
        truth = write_video(video, clips, labels)
        print(f"\nA video of {PIECES} pieces of {PIECE_SECONDS:g} s, {len(truth)} frames:\n")
        print("| options | frames wrong | label changes, 7 are right |\n|---|---|---|")
        timelines: list[np.ndarray] = []
        for options in (
            "--smoothing mean",
            "--smoothing hmm",
            "--smoothing hmm --stride auto",
            "--smoothing hmm --delay 1",
            "--smoothing hmm --delay 0",
        ):
            table, timeline = Path(name, "t.csv"), Path(name, f"{len(timelines)}.png")
            run([
                PYTHON, "predict_video.py", "-m", model, "-l", model.with_name("lb.pickle"),
                "-i", video, "-o", Path(name, "o.mp4"), "--csv", table, "--timeline", timeline,
                "--no-preview", "--overwrite", *options.split(),
            ])  # fmt: skip
            with table.open(newline="", encoding="utf-8-sig") as file:
                shown = [row["label"] for row in csv.DictReader(file)]
            wrong = np.mean([one != other for one, other in zip(shown, truth, strict=True)])
            changes = sum(one != other for one, other in pairwise(shown))
            print(f"| `{options}` | {wrong:.1%} | {changes} |", flush=True)
            timelines.append(np.asarray(cv2.imread(str(timeline))))
        if picture:
            cv2.imwrite(str(picture), np.vstack(timelines[:2]))


def write_video(path: Path, clips: Path, labels: list[str]) -> list[str]:
    """Write pieces of clips, neighbours of different classes; return the truth of each frame."""
    sources = {label: list(find_sources([str(clips / label)])) for label in labels}
    truth: list[str] = []
    writer: H264Writer | None = None
    for piece in range(PIECES):
        label = labels[piece % len(labels)]
        source = sources[label][piece // len(labels) % len(sources[label])]
        due = 0.0
        with VideoReader(source, end=PIECE_SECONDS) as reader:
            for frame in reader:
                while due <= frame.time + 1e-6:
                    fitted = Frame(len(truth), len(truth) / FPS, letterboxed(frame.picture))
                    writer = writer or H264Writer(path, Format(FPS, FPS, CLOCK), fitted, 0.0)
                    writer.add(fitted)
                    truth.append(label)
                    due += 1 / FPS
    assert writer
    writer.finish(0.0)
    return truth


def letterboxed(picture: np.ndarray) -> np.ndarray:
    """Fit a picture into the video's size, with black bars."""
    width, height = VIDEO_SIZE
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    fitted = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    fitted[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size)
    return fitted


if __name__ == "__main__":
    main()
