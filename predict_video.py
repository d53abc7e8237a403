"""Label every frame of a video with a trained model, without flicker.

    python predict_video.py --model model/activity.xml --label-bin model/lb.pickle \\
        --input clip.mp4 --output output/clip.avi --size 128

Each frame goes through the model, the last --size probability vectors are averaged, and the label
of the largest mean is drawn on the frame. The annotated frames are shown and written to a video.

Reading, the model, and drawing with writing are three stages that run at the same time.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import tee
from pathlib import Path

import numpy as np
from tqdm import tqdm

from activity import artifacts
from activity.cli import Parser, StopSignal, at_least, file_path, run
from activity.engine import KERAS_BATCH, OPENVINO_BATCH, Engine, load_engine
from activity.overlay import draw_label
from activity.pipeline import latest, prefetch
from activity.preprocessing import resize
from activity.report import ClipSummary, Prediction, frame_table
from activity.smoothing import RollingAverage
from activity.video import CODECS, Preview, VideoReader, source_name, video_writer

# Frames that wait between two stages: enough to smooth them out, few enough to fit in memory.
AHEAD = 4


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description="Label every frame of a video, without flicker.")
    # Two lines an argument read like a table.
    # fmt: off
    add = parser.add_argument_group("files").add_argument
    add("-m", "--model", type=file_path, default=Path("model/activity.xml"), metavar="FILE",
        help="model that train.py wrote: .xml runs with OpenVINO, others with Keras "
        "(default: %(default)s)")
    add("-l", "--label-bin", type=file_path, default=Path("model/lb.pickle"), metavar="FILE",
        help="its class names (default: %(default)s)")
    add("-i", "--input", required=True, metavar="FILE",
        help="video to label; or the number of a camera, or the address of a stream")
    add("-o", "--output", type=file_path, metavar="FILE",
        help="annotated video, .avi or .mp4 (default: output/<name of the input>.avi)")
    add("--csv", type=file_path, metavar="FILE",
        help="table with one row a frame")
    add("--json", type=file_path, metavar="FILE",
        help="report: clip, model, settings, segments of equal labels, shares, label changes")
    add("--timeline", type=file_path, metavar="FILE",
        help="picture of all probabilities over time, .png, .pdf or .svg")
    add = parser.add_argument_group("prediction").add_argument
    add("-s", "--size", type=at_least(1), default=128, metavar="K",
        help="average over the last K frames; 1 shows the raw labels (default: %(default)s)")
    add("--batch-size", type=at_least(1), metavar="N",
        help="frames a call of the model; changes no result "
        f"(default: {OPENVINO_BATCH} with OpenVINO, {KERAS_BATCH} with Keras, 1 for live sources)")
    preview = parser.add_argument_group("preview window; q or Esc ends the run")
    add = preview.add_mutually_exclusive_group().add_argument
    add("--no-preview", action="store_true",
        help="do not open a window")
    add("--realtime", action="store_true",
        help="show frames no faster than they were filmed")
    # fmt: on
    args = parser.parse_args()
    if args.output is None:
        args.output = Path("output", f"{source_name(args.input)}.avi")
    return args


def main() -> int:
    """Run the script and return the exit code: 0, or 128 plus the number of a signal."""
    args = parse_args()

    # What can go wrong is found out before the model is loaded, which takes seconds with Keras.
    labels = artifacts.load_labels(args.label_bin)
    card = artifacts.read_card(args.model)
    card.require_labels(labels, args.label_bin)
    wanted = {
        "--output": args.output,
        "--csv": args.csv,
        "--json": args.json,
        "--timeline": args.timeline,
    }
    outputs = {option: path for option, path in wanted.items() if path is not None}
    artifacts.check_distinct(
        {
            "--input": Path(args.input),
            "--model": args.model,
            "--label-bin": args.label_bin,
        }
        | outputs
    )
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(args.input))
        endings = {"--output": tuple(CODECS), "--timeline": artifacts.PICTURES}
        for option, path in outputs.items():
            artifacts.check_output(path, option, endings.get(option, ()))
        preview = None
        if not args.no_preview:
            realtime_fps = reader.fps if args.realtime else None
            preview = stack.enter_context(Preview(Path(args.input).name, realtime_fps))

        # A live source does not wait until a batch is full.
        engine = load_engine(args.model, 1 if reader.live else args.batch_size)
        writer = stack.enter_context(video_writer(args.output, reader.fps))
        table = None
        if args.csv:
            table = stack.enter_context(frame_table(args.csv, labels, reader.fps))

        seen = read(reader, card)
        frames = stack.enter_context(
            closing(latest(seen) if reader.live else prefetch(seen, AHEAD))
        )
        predictions = stack.enter_context(
            closing(prefetch(predict(frames, engine, labels, args.size), AHEAD))
        )

        summary = ClipSummary(labels, reader.fps)
        timeline = None
        if args.timeline:
            from activity.timeline import Timeline  # Matplotlib takes a second to import

            timeline = Timeline(labels, reader.fps)
        progress = stack.enter_context(tqdm(total=reader.claimed, unit="frame", disable=None))
        stop = StopSignal()
        started = time.monotonic()
        stopped = False
        for frame, prediction in predictions:
            draw_label(frame, f"activity: {prediction.label}")
            writer.write(frame)
            if table:
                table.write(prediction)
            if timeline:
                timeline.add(prediction)
            summary.add(prediction)
            progress.update()
            closed = preview is not None and not preview.show(frame)
            reader.recycle(frame)
            stopped = closed or stop.number > 0
            if stopped:
                break
        seconds = time.monotonic() - started

    if timeline:
        timeline.save(args.timeline, Path(args.input).name, summary.segments)
    if args.json:
        report = {
            "clip": {
                "input": args.input,
                "fps": reader.fps,
                "frames_decoded": reader.decoded,
                "frames_claimed": reader.claimed,
            },
            "model": {"file": args.model, "labels": labels} | asdict(card),
            "settings": {"size": args.size, "output": args.output},
        }
        artifacts.save_json(report | summary.record(), args.json)

    print(f"{args.output}: {summary.frames} frames, {summary.frames / seconds:.1f} frames/s")
    if summary.skipped:
        print(f"skipped {summary.skipped} frames to keep up with the source")
    if stopped:
        print("ended before the end of the clip")
    elif reader.claimed and reader.decoded != reader.claimed:
        print(f"decoded {reader.decoded} frames, the file claims {reader.claimed}")
    for line in summary.lines():
        print(line)
    return 128 + stop.number if stopped and stop.number else 0


def read(
    reader: VideoReader, card: artifacts.ModelCard
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each frame's number, the (H, W, 3) BGR frame, and what the model is to see of it."""
    for number, frame in enumerate(reader):
        # OpenCV decodes to BGR, the model takes RGB.
        yield number, frame, resize(frame, card.resize, card.input_size)[..., ::-1]


def predict(
    frames: Iterable[tuple[int, np.ndarray, np.ndarray]],
    engine: Engine,
    labels: Sequence[str],
    size: int,
) -> Iterator[tuple[np.ndarray, Prediction]]:
    """Yield each (H, W, 3) BGR frame with its label, averaged over the last `size` frames."""
    average = RollingAverage(size)
    frames, seen = tee(frames)
    outputs = engine.stream(image for _, _, image in seen)
    for (number, frame, _), raw in zip(frames, outputs, strict=True):
        averaged = average.update(raw)
        label, raw_label = labels[int(averaged.argmax())], labels[int(raw.argmax())]
        yield frame, Prediction(number, label, raw_label, averaged, raw)


if __name__ == "__main__":
    run(main)
