"""Label every frame of videos with a trained model, without flicker.

    python predict_video.py --model model/activity.xml --label-bin model/lb.pickle \\
        --input clip.mp4 --output output/clip.mp4 --size 128

Each frame goes through the model, the last --size probability vectors are averaged, and the label
of the largest mean is drawn on the frame. The annotated frames are shown and written to a video,
with the times and the sound of the clip. `--smoothing hmm` turns with the film instead of seconds
later, as it looks ahead; `--stride auto` classifies no more frames than it takes. `--ask` saves
the frames that the model is least sure of, to be sorted by a person and trained on.

Reading, the model, and drawing with writing are three stages that run at the same time.

From Python, `label_video` does the same for one clip.
"""

import argparse
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity.cli import (
    Parser,
    Progress,
    file_path,
    one_line_errors,
    options_named,
    real_number,
    run,
    whole_number,
)
from activity.errors import UserError, print_error
from activity.files import check_distinct, save_json
from activity.label_file import NONE_OF_THESE, UNCERTAIN, load_labels
from activity.model_file import digest
from activity.text import printable

if TYPE_CHECKING:  # for an archive only, as they take time to import
    from activity.prediction.archive import Archive, Clip

with one_line_errors():  # OpenCV may lack libraries of the system
    from activity.prediction.asking import LeastSure
    from activity.prediction.classifier import Classifier
    from activity.prediction.curves import Curves
    from activity.prediction.labelling import cannot_wait, label_frames
    from activity.prediction.outputs import INDEX, Output, Outputs, Watcher, plan_outputs
    from activity.prediction.overlay import draw
    from activity.prediction.page import index_of, save_page, save_picture
    from activity.prediction.preview import Preview
    from activity.prediction.report import ClipResult, RunReport, json_record
    from activity.prediction.settings import LOOK_AHEAD, SMOOTHERS, Settings
    from activity.prediction.smoothing import Prediction
    from activity.prediction.summary import ClipSummary, Segment
    from activity.prediction.table import clip_table, frame_table
    from activity.prediction.timeline import save_timeline
    from activity.prediction.writer import video_writer
    from activity.streams import prefetch
    from activity.video.backends import USUAL_FPS, Format
    from activity.video.reader import Frame, VideoReader
    from activity.video.sources import (
        find_sources,
        holds_no_video_itself,
        is_read_once,
        names_several,
        numbered_pictures,
        source_names,
        source_title,
    )
    from activity.video.stop import Stop, exit_on_sigterm

LONGEST = 10**6  # seconds of a clip
DRAWN_AHEAD = 2  # frames
MOST_ASKED = 10_000  # pictures


def label_video(
    source: str,
    classifier: Classifier,
    outputs: Outputs,
    settings: Settings = Settings(),  # noqa: B008 (it is frozen)
    *,
    fps: float | None = None,
    top: int = 1,
    watchers: Sequence[Watcher] = (),
    preview: Preview | None = None,
    stop: Stop | None = None,
    quiet: bool = True,
) -> ClipResult | None:
    """Label a clip, a camera (its number) or a stream (its address); write the outputs.

    Numbered pictures are shown at `fps`. The `top` most probable classes are drawn; `watchers` take
    in the frames with those of other clips, `preview` shows them. Files that exist are replaced.
    Once `stop` is wanted they are finished; the result is None if that was before the first frame.
    Raises `UserError` for what cannot be decoded or written.
    """
    stop, labels, curves = stop or Stop(), classifier.labels, Curves(classifier.labels)
    watchers = [*watchers, preview] if preview else watchers
    drawn = bool(outputs.output or preview)
    sparse = not drawn and settings.stride != 1
    with VideoReader(source, settings.start, settings.end, stop, fps, sparse) as reader:
        outputs.check()
        engine = classifier.engine(cannot_wait(reader, settings, drawn))
        if stop.wanted:
            return None
        summary = ClipSummary(labels, reader.format.fps, settings.smoother())
        with (
            opened(outputs, source, summary, curves, reader.format, watchers) as files,
            closing(label_frames(reader, engine, classifier, settings, drawn)) as labelled,
            closing(annotated(labelled, labels, settings, top) if drawn else labelled) as frames,
            Progress(reader.expected, "frames", source_title(source), quiet) as progress,
        ):
            began = time.monotonic()
            for frame, prediction in frames:
                for output in (summary, *files):
                    output.add(frame, prediction)
                progress.advance(prediction.label)
                reader.recycle(frame)
                if stop.wanted:
                    break
            seconds = time.monotonic() - began
    record = json_record(source, reader, classifier, settings, outputs, summary)
    save_reports(record, source, outputs, summary, curves)
    return ClipResult.of(source, reader, outputs, summary, seconds, cut=stop.wanted)


def annotated(
    frames: Iterable[tuple[Frame, Prediction]], labels: Sequence[str], settings: Settings, top: int
) -> Generator[tuple[Frame, Prediction], None, None]:
    """Yield the frames, drawn on in a thread of its own."""

    def drawn() -> Iterator[tuple[Frame, Prediction]]:
        for frame, prediction in frames:
            draw(frame.picture, prediction, labels, settings, top)
            yield frame, prediction

    return prefetch(drawn(), DRAWN_AHEAD)


@contextmanager
def opened(
    outputs: Outputs,
    source: str,
    summary: ClipSummary,
    curves: Curves,
    format: Format,
    watchers: Sequence[Watcher],
) -> Iterator[list[Output]]:
    """Give what takes in the frames of a clip; its files are whole once the block ends."""
    files: list[Output] = [*watchers]
    for watcher in watchers:
        watcher.begin(source)
    if outputs.timeline or outputs.page:
        files.append(curves)
    with ExitStack() as stack:
        if outputs.output:
            files.append(stack.enter_context(video_writer(outputs.output, format)))
        if outputs.csv:
            files.append(
                stack.enter_context(frame_table(outputs.csv, summary.labels, summary.smoother))
            )
        yield files


def save_reports(
    record: dict[str, Any], source: str, outputs: Outputs, summary: ClipSummary, curves: Curves
) -> None:
    """Write what is told of a clip when it is over, and its video is whole."""
    title = source_title(source)
    if outputs.timeline:
        save_timeline(outputs.timeline, title, curves, summary.segments, summary.smoother)
    if outputs.json:
        save_json(record, outputs.json)
    if outputs.page:
        clip = Path(source)
        film = outputs.output or (clip if clip.is_file() else None)
        save_page(outputs.page, title, record, curves, film)


def main() -> int:
    """Run the script; return the exit code: 0, 1 if a clip failed, 128 plus a signal's number."""
    args = parse_args()
    if args.table:
        with options_named([("--table", args.table.absolute())]):
            return label_archive(args)
    classifier, common, asked, clips = plan(args)
    labels, settings = classifier.labels, settings_of(args)
    several = names_several(args.input)
    stop = Stop()
    failed = False
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(stop.on_signals())
        if args.quiet:
            enter(redirect_stdout(None))
        table = (
            enter(frame_table(common.csv, labels, settings.smoother(), several=True))
            if common.csv
            else None
        )
        summary = enter(clip_table(common.summary, labels)) if common.summary else None
        preview = enter(Preview(stop, args.realtime)) if args.preview else None
        index = enter(index_of(common.page, labels)) if common.page else None
        watchers = [watcher for watcher in (table, asked) if watcher]
        others = [other for other in (summary, index) if other]
        report = RunReport([source for source, _ in clips], labels, several, others)
        for source, outputs in clips:
            if stop.wanted:
                break
            try:
                with options_named([("--input", source), *outputs.options()]):
                    refuse_to_replace(outputs, args.overwrite)
                    result = label_video(
                        source, classifier, outputs, settings, fps=args.fps, top=args.top,
                        watchers=watchers, preview=preview, stop=stop, quiet=args.quiet,
                    )  # fmt: skip
            except UserError as error:
                if not several:
                    raise
                report.fail(source, error)
                failed = True
            else:
                if result:
                    report.add(result)
        if asked and (said := asked.save(args.quiet)):
            print(said)
    if common.page and not args.quiet:
        print(f"page: {printable(common.page)}")
    return 128 + stop.signal if stop.signal else int(failed)


def settings_of(args: argparse.Namespace) -> Settings:
    """Return what the labels depend on, as the options say."""
    return Settings(
        smoothing=args.smoothing, size=args.size or Settings.size, delay=args.delay,
        min_probability=args.min_probability,
        start=args.start, end=args.end, stride=args.stride,
    )  # fmt: skip


def model_of(args: argparse.Namespace) -> Classifier:
    """Return the model, not yet loaded, whose classes are those of the other file."""
    models = [("--model", args.model), ("--label-bin", args.label_bin), ("--unknown", "unknown")]
    with options_named(models):
        labels = load_labels(args.label_bin)
        classifier = Classifier(args.model, args.unknown)
        classifier.card.require_labels(labels, args.label_bin)
    return classifier


def plan(
    args: argparse.Namespace,
) -> tuple[Classifier, Outputs, LeastSure | None, list[tuple[str, Outputs]]]:
    """Return the model, not yet loaded, the files and the pictures of the run, and its clips.

    What can go wrong is found out here, before the model is loaded, which takes seconds with Keras.
    """
    named = Outputs(args.output, args.csv, args.json, args.timeline, args.page, args.summary)
    inputs = [("--input", name) for name in args.input]
    others = [("--fps", args.fps), ("--ask", args.ask and args.ask[1])]
    with options_named([*inputs, *named.options(), *others]):
        classifier = model_of(args)
        sources = find_sources(args.input)
        if args.fps and not any(map(numbered_pictures, sources)):
            raise UserError(f"{args.fps:g} is the rate of numbered pictures; name some", args.fps)
        several = names_several(args.input)
        names = source_names(sources, {INDEX} if several and args.page else ())
        common, plans = plan_outputs(named, names, several, args.video)
        refuse_to_replace(common, args.overwrite)
        common.check()
        asked = LeastSure(args.ask[0], args.ask[1], sources, args.fps) if args.ask else None
    models = [("--model", args.model), ("--label-bin", args.label_bin)]
    inputs = [("--input", Path(source)) for source in sources]
    written = [pair for plan in [common, *plans] for pair in plan.options()]
    check_distinct([*inputs, *models, *written])
    if not args.quiet:
        for name in filter(holds_no_video_itself, args.input):
            count = sum(Path(source).is_relative_to(name) for source in sources)
            found = f"{count} were found in folders below it"
            print_error("note", f"{name} holds no video itself; {found}")
    return classifier, common, asked, list(zip(sources, plans, strict=True))


class ClipLabeller:
    """Labels clips of an archive, in a process of its own that keeps the model."""

    def __init__(
        self,
        archive: "Archive",
        model: Path,
        unknown: bool,
        settings: Settings,
        top: int,
        pulse: Callable[[], None],
    ) -> None:
        """Load the model; `pulse` is to be called while there is progress."""
        self._archive, self._settings, self._top, self._pulse = archive, settings, top, pulse
        self._classifier = Classifier(model, unknown, threads=1)
        self._classifier.engine(prompt=False)  # a model that cannot be loaded is no clip's fault

    def __call__(self, clip: "Clip") -> dict[str, Any]:
        """Label a clip, and save its row; return that."""
        try:
            if is_read_once(clip.path):
                raise UserError(f"{clip.path} is a pipe; an archive has only files", clip.path)
            result = label_video(
                clip.path, self._classifier, clip.outputs, self._settings, top=self._top,
                watchers=[self],
            )  # fmt: skip
        except UserError as error:
            return self._archive.fail(clip, error)
        assert result  # as nothing stops it
        if result.page:
            save_picture(result)
        return self._archive.save(clip, result)

    def begin(self, _source: str) -> None:
        """Watch the clip that is labelled next."""

    def add(self, _frame: Frame, _prediction: Prediction) -> None:
        """See that there is progress."""
        self._pulse()


def label_archive(args: argparse.Namespace) -> int:
    """Label the clips of an archive that have no row yet; return the exit code, 1 if one failed."""
    from activity.prediction.archive import MANY, ClipWorker, FilmProgress
    from activity.prediction.cluster import on_cluster
    from activity.prediction.worker import on_this_machine

    classifier, archive, clips, page = plan_archive(args)
    todo = (args.model.absolute(), args.unknown, settings_of(args), args.top)
    make = partial(ClipWorker, archive, ClipLabeller, *todo)
    done = failed = 0
    with exit_on_sigterm(), archive.alone(), options_named([("--ray", args.ray)]):
        missing = archive.left(clips)
        # The largest first, so that nobody waits for a long one in the end.
        left = sorted(clips if args.overwrite else missing, key=lambda clip: -clip.size)
        on_all = args.ray and left
        work = on_cluster(args.ray, make, left) if on_all else on_this_machine(make, left)
        try:
            with closing(work) as rows, FilmProgress(left, args.quiet) as progress:
                for row in rows:
                    progress.count(row)
                    done += 1
                    if "error" in row:
                        failed += 1
                        print_error("error", row["error"])
                    if done % MANY == 0:
                        archive.merge()
        finally:
            archive.merge()
            if not args.quiet:
                labelled = len(clips) - len(left) + done - failed
                print(
                    f"{printable(archive.file)}: {labelled} of {len(clips)} clips labelled, "
                    f"{done - failed} of them now; {failed} failed"
                )
        if page:
            save_index(archive, clips, page, classifier.labels)
    if page and not args.quiet:
        print(f"page: {printable(page)}")
    return int(failed > 0)


def plan_archive(
    args: argparse.Namespace,
) -> "tuple[Classifier, Archive, list[Clip], Path | None]":
    """Return the model, the table of an archive, its clips, and the page that is to list them."""
    from activity.prediction.archive import Archive, find_clips

    named = Outputs(args.output, args.csv, args.json, args.timeline, args.page).wanted()
    # Workers on other machines may be in other folders.
    outputs = Outputs(**{kind: path.absolute() for kind, path in named.items()})
    inputs = [("--input", name) for name in args.input]
    with options_named([*inputs, *outputs.options()]):
        classifier = model_of(args)
        clips, page = find_clips(args.input, outputs)
        settings = {**asdict(settings_of(args)), "unknown": args.unknown}
        archive = Archive(args.table.absolute(), digest(args.model), settings)
    return classifier, archive, clips, page


def save_index(
    archive: "Archive", clips: "Sequence[Clip]", page: Path, labels: Sequence[str]
) -> None:
    """Write the page that lists the clips of an archive."""
    folder = os.path.commonpath([Path(clip.name).parent for clip in clips])
    with index_of(page, labels) as index:
        for row in archive.rows(clips):
            name = os.path.relpath(row["clip"], folder)
            if row["error"] is not None:
                index.fail(name, row["error"])
            else:
                index.add_row(
                    name, Path(row["outputs"]["page"]), row["label"], row["probability"],
                    row["flicker"], [Segment(**one) for one in row["segments"]], row["remarks"],
                )  # fmt: skip


def refuse_to_replace(outputs: Outputs, overwrite: bool) -> None:
    """Raise `UserError` if one of the files exists: an --output may be somebody's film."""
    for path in outputs.wanted().values():
        # A folder has an error of its own, and so has what may not be looked at.
        if not overwrite and os.path.lexists(path) and not path.is_dir():
            raise UserError(f"{path} exists; add --overwrite, or choose another name", path)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("Label every frame of videos, without flicker.")
    add_files(parser)
    add_prediction(parser)
    add_display(parser)
    args = parser.parse_args()
    if args.end is not None and args.end <= args.start:
        parser.error(f"--end {args.end:g} is not after --start {args.start:g}")
    if args.ask:
        number, folder = args.ask
        try:
            args.ask = whole_number(1, MOST_ASKED)(number), Path(folder)
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument --ask: {error}")
    if args.ray and not args.table:
        parser.error("--ray is for archives; add --table DIR")
    singly = {"--summary": args.summary, "--ask": args.ask, "--fps": args.fps}
    for option, given in (singly | {"--realtime": args.realtime}).items():
        if args.table and given:
            parser.error(f"{option} is not for archives; leave it out, or --table")
    if args.smoothing == "mean" and args.delay is not None:
        parser.error(f"--delay {args.delay:g} is for --smoothing hmm; the mean looks back only")
    if args.smoothing != "mean" and args.size is not None:
        parser.error(f"--size {args.size} is for --smoothing mean; leave it out")
    return args


def stride(text: str) -> int | str:
    """Parse a --stride."""
    try:
        return text if text == "auto" else whole_number(1, 10**6)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor 'auto'") from error


# Two lines an argument read like a table.
# fmt: off
def add_files(parser: Parser) -> None:
    """Add what is read and what is written."""
    files = parser.add_argument_group("files")
    add = files.add_argument
    add("-m", "--model", type=file_path, default=Path("model/activity.xml"), metavar="FILE",
        help="model that train.py wrote: .xml runs with OpenVINO, others with Keras "
        "(default: %(default)s)")
    add("-l", "--label-bin", type=file_path, default=Path("model/lb.pickle"), metavar="FILE",
        help="its class names (default: %(default)s)")
    add("-i", "--input", nargs="+", required=True, metavar="CLIP",
        help="what to label: videos, folders of them, patterns like 'clips/*.mp4', numbered "
        "pictures like 'frames/*.png' or frames/%%04d.png, the number of a camera, the address of "
        "a stream. For more than one clip each output is a folder")
    add("--fps", type=real_number(0.01, 1000), metavar="N",
        help=f"numbered pictures a second (default: {USUAL_FPS:g})")
    video = files.add_mutually_exclusive_group().add_argument
    video("-o", "--output", type=file_path, metavar="FILE",
        help="annotated video, .mp4 (H.264, with the clip's sound) or .avi (MJPG) "
        "(default: output/<name of the clip>.mp4)")
    video("--no-video", dest="video", action="store_false",
        help="write no annotated video")
    add("--csv", type=file_path, metavar="FILE",
        help="table with one row a frame; for more than one clip a folder, or one table of all")
    add("--summary", type=file_path, metavar="FILE",
        help="table with one row a clip")
    add("--json", type=file_path, metavar="FILE",
        help="report: clip, model, settings, segments of equal labels, shares, label changes")
    add("--timeline", type=file_path, metavar="FILE",
        help="picture of all probabilities over time, .png, .pdf or .svg")
    add("--page", type=file_path, metavar="FILE",
        help="page for a browser: the film, the probabilities under it, and the segments, to be "
        "corrected and handed on as a table; for more than one clip a folder, with an index")
    add("--table", type=file_path, metavar="DIR",
        help="label an archive: keep a table with one row a clip in this folder (clips.parquet), "
        "skip what it has, and write only the other files that are asked for, into folders")
    add("--ray", nargs="?", const="auto", metavar="ADDRESS",
        help="label it on all machines of a Ray cluster (default: the one that runs here)")
    add("--ask", nargs=2, metavar=("N", "DIR"),
        help="save the N frames that the model is least sure of, spread over clips and time, as "
        "pictures in a new folder: sort them into class folders, and train on them, too")
    add("--overwrite", action="store_true",
        help="replace outputs that exist")


def add_prediction(parser: Parser) -> None:
    """Add what the labels depend on."""
    add = parser.add_argument_group("prediction").add_argument
    add("--smoothing", choices=SMOOTHERS, default=Settings.smoothing,
        help="'mean' averages the last predictions; 'hmm', a hidden Markov model, looks ahead, so "
        "that the label turns when the film does (default: %(default)s)")
    add("-s", "--size", type=whole_number(1, 10**6), metavar="K",
        help="average over the last K predictions; 1 shows the raw labels "
        f"(default: {Settings.size})")
    add("--delay", type=real_number(0, 60), metavar="SECONDS",
        help="how far 'hmm' looks ahead, and how late a live picture is shown (default: "
        f"{LOOK_AHEAD:g} for files; 0 for cameras, streams and pipes)")
    add("--min-probability", type=real_number(0, 1), default=0.0, metavar="P",
        help=f"label it '{UNCERTAIN}' where the smoothed probability is lower "
        "(default: %(default)g)")
    add("--unknown", action="store_true",
        help=f"label it '{NONE_OF_THESE}' where the model is as unsure as it is of what it was not "
        "taught; train.py says what that is worth")
    add("--start", type=real_number(0, LONGEST), default=0.0, metavar="SECONDS",
        help="where to begin (default: %(default)g)")
    add("--end", type=real_number(0, LONGEST), metavar="SECONDS",
        help="where to stop (default: the end of the clip)")
    add("--stride", type=stride, default=Settings.stride, metavar="N|auto",
        help="classify every Nth frame, or about five a second; those between are written, too "
        "(default: %(default)s)")


def add_display(parser: Parser) -> None:
    """Add what is drawn, printed and shown."""
    add = parser.add_argument_group("what is shown").add_argument
    add("--top", type=whole_number(1, 100), default=1, metavar="K",
        help="draw the K most probable classes (default: %(default)s)")
    add("--quiet", action="store_true",
        help="print errors only")
    preview = parser.add_argument_group("preview window; space pauses, q or Esc ends the run")
    add = preview.add_mutually_exclusive_group().add_argument
    add("--no-preview", dest="preview", action="store_false",
        help="do not open a window")
    add("--realtime", action="store_true",
        help="show frames no faster than they were filmed")
# fmt: on


if __name__ == "__main__":
    # Under its name, by which other processes find what is defined here.
    import predict_video

    run(predict_video.main)
