"""Label every frame of videos with a trained model, without flicker.

    python predict_video.py --model model/activity.xml --label-bin model/lb.pickle \\
        --input clip.mp4 --output output/clip.avi --size 128

Each frame goes through the model, the last --size probability vectors are averaged, and the label
of the largest mean is drawn on the frame. The annotated frames are shown and written to a video.

Reading, the model, and drawing with writing are three stages that run at the same time.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, redirect_stdout
from dataclasses import asdict, dataclass
from itertools import islice, tee
from pathlib import Path

import numpy as np

from activity import artifacts
from activity.cli import (
    Parser,
    Progress,
    Stop,
    UserError,
    file_path,
    print_error,
    real_number,
    run,
    whole_number,
)
from activity.engine import KERAS_BATCH, OPENVINO_BATCH, Engine, load_engine
from activity.outputs import ENDINGS, check_outputs, plan_outputs
from activity.overlay import draw_rows
from activity.pipeline import latest, prefetch
from activity.preprocessing import resize
from activity.report import (
    UNCERTAIN,
    ClipResult,
    ClipSummary,
    Prediction,
    Report,
    SummaryTable,
    frame_table,
)
from activity.smoothing import RollingAverage
from activity.sources import find_sources, is_stream, names_several, source_names, source_title
from activity.video import Preview, VideoReader, video_writer

# Frames that wait between two stages: enough to smooth them out, few enough to fit in memory.
AHEAD = 4
LONGEST = 10**6  # seconds of a clip
SETTINGS = ("size", "min_probability", "start", "end", "stride")  # what the labels depend on


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description="Label every frame of videos, without flicker.")
    # Two lines an argument read like a table.
    # fmt: off
    add = parser.add_argument_group("files").add_argument
    add("-m", "--model", type=file_path, default=Path("model/activity.xml"), metavar="FILE",
        help="model that train.py wrote: .xml runs with OpenVINO, others with Keras "
        "(default: %(default)s)")
    add("-l", "--label-bin", type=file_path, default=Path("model/lb.pickle"), metavar="FILE",
        help="its class names (default: %(default)s)")
    add("-i", "--input", nargs="+", required=True, metavar="CLIP",
        help="what to label: videos, folders of them, patterns like 'clips/*.mp4', the number of a "
        "camera, the address of a stream. For more than one video each output is a folder")
    add("-o", "--output", type=file_path, metavar="FILE",
        help="annotated video, .avi or .mp4 (default: output/<name of the clip>.avi)")
    add("--csv", type=file_path, metavar="FILE",
        help="table with one row a frame")
    add("--json", type=file_path, metavar="FILE",
        help="report: clip, model, settings, segments of equal labels, shares, label changes")
    add("--timeline", type=file_path, metavar="FILE",
        help="picture of all probabilities over time, .png, .pdf or .svg")
    add("--overwrite", action="store_true",
        help="replace outputs that exist")
    add = parser.add_argument_group("prediction").add_argument
    add("-s", "--size", type=whole_number(1, 10**6), default=128, metavar="K",
        help="average over the last K predictions; 1 shows the raw labels (default: %(default)s)")
    add("--min-probability", type=real_number(0, 1), default=0.0, metavar="P",
        help=f"label it '{UNCERTAIN}' where the averaged probability is lower "
        "(default: %(default)g)")
    add("--start", type=real_number(0, LONGEST), default=0.0, metavar="SECONDS",
        help="where to begin (default: %(default)g)")
    add("--end", type=real_number(0, LONGEST), metavar="SECONDS",
        help="where to stop (default: the end of the clip)")
    add("--stride", type=whole_number(1, 10**6), default=1, metavar="N",
        help="classify every Nth frame; those between are written, too, and keep the label "
        "(default: %(default)s)")
    add("--batch-size", type=whole_number(1, 1024), metavar="N",
        help="frames a call of the model; changes no result (default: "
        f"{OPENVINO_BATCH} with OpenVINO, {KERAS_BATCH} with Keras; always 1 for a camera, a "
        "stream or a stride)")
    add = parser.add_argument_group("what is shown").add_argument
    add("--top", type=whole_number(1, 100), default=1, metavar="K",
        help="draw the K most probable classes (default: %(default)s)")
    add("--quiet", action="store_true",
        help="print errors only")
    preview = parser.add_argument_group("preview window; space pauses, q or Esc ends the run")
    add = preview.add_mutually_exclusive_group().add_argument
    add("--no-preview", action="store_true",
        help="do not open a window")
    add("--realtime", action="store_true",
        help="show frames no faster than they were filmed")
    # fmt: on
    args = parser.parse_args()
    if args.end is not None and args.end <= args.start:
        parser.error(f"--end {args.end:g} is not after --start {args.start:g}")
    return args


@dataclass(frozen=True)
class Classifier:
    """A model ready to run, its card, and its class names in the order of its outputs."""

    engine: Engine
    card: artifacts.ModelCard
    labels: Sequence[str]


def main() -> int:
    """Run the script; return the exit code: 0, 1 if a clip failed, 128 plus a signal's number."""
    args = parse_args()

    # What can go wrong is found out before the model is loaded, which takes seconds with Keras.
    labels = artifacts.load_labels(args.label_bin)
    card = artifacts.read_card(args.model)
    card.require_labels(labels, args.label_bin)
    sources, several = find_sources(args.input), names_several(args.input)
    wanted = {kind: getattr(args, kind) for kind in ENDINGS if getattr(args, kind)}
    plans = plan_outputs(wanted, source_names(sources), several)
    artifacts.check_distinct(
        [("--input", Path(source)) for source in sources]
        + [("--model", args.model), ("--label-bin", args.label_bin)]
        + [(f"--{kind}", path) for outputs in plans for kind, path in outputs.items()]
    )

    classifier = None
    failed = False
    stop = Stop()
    with ExitStack() as stack:
        if args.quiet:
            stack.enter_context(redirect_stdout(None))
        preview = None if args.no_preview else stack.enter_context(Preview(stop))
        table = SummaryTable(sources, labels) if several else None
        for source, outputs in zip(sources, plans, strict=True):
            if stop.wanted:
                break
            try:
                with VideoReader(source, args.start, args.end, stop) as reader:
                    check_outputs(outputs, args.overwrite)
                    if classifier is None:
                        # Neither frames of a live source nor those of a stride wait for a batch.
                        prompt = args.stride > 1 or any(map(is_stream, sources))
                        engine = load_engine(args.model, args.batch_size, prompt)
                        classifier = Classifier(engine, card, labels)
                        if stop.wanted:
                            break  # before anything is written
                    result = label_clip(source, reader, classifier, outputs, preview, stop, args)
            except UserError as error:
                if table is None:
                    raise
                print_error("error", error)
                failed = True
                continue
            print(table.row(result) if table else result.text())
    return 128 + stop.signal if stop.signal else int(failed)


def label_clip(
    source: str,
    reader: VideoReader,
    classifier: Classifier,
    outputs: Mapping[str, Path],
    preview: Preview | None,
    stop: Stop,
    args: argparse.Namespace,
) -> ClipResult:
    """Label one clip and write its outputs."""
    labels, title = classifier.labels, source_title(source)
    summary = ClipSummary(labels, reader.fps)
    reports: list[Report] = [summary]
    with ExitStack() as stack:
        writer = stack.enter_context(video_writer(outputs["output"], reader.fps))
        if "csv" in outputs:
            reports.append(stack.enter_context(frame_table(outputs["csv"], labels, reader.fps)))
        if "timeline" in outputs:
            from activity.timeline import Timeline  # Matplotlib takes a second to import

            timeline = Timeline(labels, reader.fps)
            reports.append(timeline)
        if preview:
            preview.begin(title, reader.fps if args.realtime else None)

        last = reader.decoded - 1  # number of the last frame that was written
        seen = read(reader, classifier.card)
        frames = stack.enter_context(
            closing(latest(seen) if reader.live else prefetch(seen, AHEAD))
        )
        predictions = stack.enter_context(
            closing(prefetch(predict(frames, classifier, args), AHEAD))
        )
        progress = stack.enter_context(Progress(reader.expected, "frames", title, args.quiet))
        started = time.monotonic()
        for frame, prediction in predictions:
            draw_rows(frame, overlay_rows(prediction, labels, args.top))
            # It also stands for frames of a live source that were dropped, so that time is kept.
            writer.write(frame, times=prediction.frame - last)
            last = prediction.frame
            for each in reports:
                each.add(prediction)
            progress.set_postfix_str(prediction.label, refresh=False)
            progress.update()
            if preview:
                preview.show(frame)
            reader.recycle(frame)
            if stop.wanted:
                break
        seconds = time.monotonic() - started

    if "timeline" in outputs:
        timeline.save(outputs["timeline"], title, summary.segments)
    if "json" in outputs:
        report = {
            "clip": {
                "input": source,
                "width": reader.width,
                "height": reader.height,
                "fps": reader.fps,
                "frames_decoded": reader.decoded,
                "frames_claimed": reader.claimed,
                "reconnections": reader.reconnections,
            },
            "model": {"file": args.model, "labels": labels} | asdict(classifier.card),
            "settings": {name: getattr(args, name) for name in SETTINGS},
            "outputs": outputs,
        }
        artifacts.save_json(report | summary.record(), outputs["json"])

    notes = []
    if summary.skipped:
        notes.append(f"skipped {summary.skipped} frames to keep up with the source")
    if stop.wanted:
        notes.append("ended before the end of the clip")
    else:
        warn_of_loss(source, reader)
    return ClipResult(source, outputs["output"], summary, seconds, notes)


def warn_of_loss(source: str, reader: VideoReader) -> None:
    """Say so where the clip has fewer frames than it should, or more."""
    decoded, claimed = reader.decoded, reader.claimed
    if reader.live and decoded < reader.end:
        print_error("warning", f"{source} broke off after {decoded} frames and did not come back")
    elif claimed and decoded != min(claimed, reader.end):
        lost = f", {1 - decoded / claimed:.0%} are missing" if decoded < claimed else ""
        print_error(
            "warning", f"{source}: decoded {decoded} frames, the file claims {claimed}{lost}"
        )


def read(
    reader: VideoReader, card: artifacts.ModelCard
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each frame's number, the (H, W, 3) BGR frame, and what the model is to see of it."""
    for frame in reader:
        # OpenCV decodes to BGR, the model takes RGB.
        yield reader.decoded - 1, frame, resize(frame, card.resize, card.input_size)[..., ::-1]


def predict(
    frames: Iterable[tuple[int, np.ndarray, np.ndarray]],
    classifier: Classifier,
    args: argparse.Namespace,
) -> Iterator[tuple[np.ndarray, Prediction]]:
    """Yield each (H, W, 3) BGR frame with its label, averaged over the last predictions."""
    labels = classifier.labels
    average = RollingAverage(args.size)
    frames, seen = tee(frames)
    outputs = classifier.engine.stream(image for _, _, image in islice(seen, 0, None, args.stride))
    for index, (number, frame, _) in enumerate(frames):
        if index % args.stride == 0:
            raw = next(outputs)
            averaged = average.update(raw)
            label = labels[int(averaged.argmax())]
            if averaged.max() < args.min_probability:
                label = UNCERTAIN
            raw_label = labels[int(raw.argmax())]
        yield frame, Prediction(number, label, raw_label, averaged, raw)


def overlay_rows(
    prediction: Prediction, labels: Sequence[str], top: int
) -> list[tuple[str, float]]:
    """Return what is drawn on a frame: texts and probabilities, the label first."""
    averaged = prediction.averaged
    rows = [(f"activity: {prediction.label}", float(averaged.max()))]
    if top > 1:
        best = averaged.argsort()[::-1][:top]
        rows += [
            (labels[index], float(averaged[index]))
            for index in best
            if labels[index] != prediction.label
        ]
    return rows


if __name__ == "__main__":
    run(main)
