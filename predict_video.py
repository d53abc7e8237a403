"""Label every frame of videos with a trained model, without flicker.

    python predict_video.py --model model/activity.xml --label-bin model/lb.pickle \\
        --input clip.mp4 --output output/clip.mp4 --size 128

Each frame goes through the model, the last --size probability vectors are averaged, and the label
of the largest mean is drawn on the frame. The annotated frames are shown and written to a video,
with the times and the sound of the clip. `--smoothing hmm` turns with the video instead of seconds
later, as it looks ahead; `--stride auto` classifies no more frames than it takes.

A run is: options; a plan of what to make of which clips; `label_video` for each of them, in this
process or in others; and its result, which terminal, table and index render. Outputs and smoothers
bring their options: see `activity/prediction/outputs/` and `activity/prediction/smoothers/`.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack, closing, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path

from activity.cli import Parser, add_settings, file_path, one_line_errors, option, run
from activity.errors import UserError
from activity.label_file import load_labels
from activity.model_file import read_metadata
from activity.text import printable

# OpenCV may lack libraries of the system.
with one_line_errors() if __name__ == "__main__" else nullcontext():
    from activity.prediction.batch import Job, Results, in_this_process
    from activity.prediction.classifier import Classifier
    from activity.prediction.console import BatchProgress, Console
    from activity.prediction.label import label_video
    from activity.prediction.outputs import OUTPUTS
    from activity.prediction.plan import Plan, make_plan, refuse_to_replace
    from activity.prediction.settings import Settings
    from activity.prediction.smoothers import SMOOTHERS
    from activity.video.sources import local_source
    from activity.video.stop import Stop

MODELS = Path(__file__).with_name("model")  # beside this script

__all__ = ["Classifier", "Settings", "label_video", "main"]


def main() -> int:
    """Run the script; return the exit code: 0, 1 if a clip failed, 128 plus a signal's number."""
    args = parse_args()
    stop = Stop()
    with ExitStack() as stack:
        enter = stack.enter_context
        if args.quiet:
            enter(redirect_stdout(None))
        plan = make_plan(
            args.input, args.wanted, args.model, labels_of(args), args.settings,
            table=args.table, on_cluster=bool(args.ray), overwrite=args.overwrite,
        )  # fmt: skip
        # What other processes are at work on is left unfinished.
        enter(stop.on_signals(at_once=plan.in_processes))
        if plan.table:
            enter(plan.table.alone())
        failed = label_clips(args, plan, stop)
    return 128 + stop.signal if stop.signal else int(failed > 0)


def labels_of(args: argparse.Namespace) -> Sequence[str]:
    """Return the class names, if both files have the same."""
    with option("--model"):
        metadata = read_metadata(args.model)
    with option("--label-bin"):
        metadata.require_labels(load_labels(args.label_bin), args.label_bin)
    return metadata.labels


def label_clips(args: argparse.Namespace, plan: Plan, stop: Stop) -> int:
    """Label the clips that the table does not have; return how many failed."""
    done = set()
    if plan.table and not args.overwrite:
        for job, result in plan.table.done(plan.jobs):
            done.add(job.name)
            plan.gather(job, result)
    jobs = [job for job in plan.jobs if job.name not in done]
    console = Console([job.source for job in jobs], plan.labels, plan.task.several)
    progress = BatchProgress(jobs, quiet=args.quiet or not plan.in_processes)
    labelled = failed = 0
    ended = False
    try:
        with closing(results_of(args, plan, jobs, stop)) as results, progress:
            for job, result in results:
                if plan.table:
                    plan.table.save(job, result)
                plan.gather(job, result)
                console.add(result)
                progress.count(job, result)
                labelled += not result.error
                failed += bool(result.error)
        ended = True
    finally:
        # A run that is to go on with a table has their parts then.
        for gatherer in plan.gatherers.values() if ended or not plan.table else ():
            if line := gatherer.finish(goes_on=bool(plan.table)):
                print(line)
        if plan.table:
            print(
                f"{printable(plan.table.path)}: {len(done) + labelled} of {len(plan.jobs)} clips "
                f"labelled, {labelled} of them now; {failed} failed"
            )
    return failed


def results_of(args: argparse.Namespace, plan: Plan, jobs: Sequence[Job], stop: Stop) -> Results:
    """Return what comes of jobs, as it comes."""
    if not plan.in_processes or not jobs:
        may_replace = args.overwrite or plan.table
        check = (lambda _: None) if may_replace else refuse_to_replace
        return in_this_process(plan.task, jobs, stop, args.quiet, check)
    # What only these need takes time to import.
    from activity.prediction.cluster import on_cluster
    from activity.prediction.workers import Worker, in_processes

    # The largest first, so that nobody waits for a long one in the end.
    jobs = sorted(jobs, key=lambda job: -job.size)
    if args.ray:
        return on_cluster(args.ray, partial(Worker, plan.task), jobs)
    return in_processes(plan.task, jobs)


def parse_args() -> argparse.Namespace:
    """Read the command line; `settings` and `wanted`, the outputs by kind, are made of it."""
    parser = Parser("Label every frame of videos, without flicker.")
    # Two lines an argument read like a table.
    # fmt: off
    files = parser.add_argument_group("files")
    add = files.add_argument
    add("-m", "--model", type=file_path, default=MODELS / "activity.xml", metavar="FILE",
        help="model that train.py wrote: .xml runs with OpenVINO, others with Keras "
        "(default: model/activity.xml beside this script)")
    add("-l", "--label-bin", type=file_path, default=MODELS / "lb.pickle", metavar="FILE",
        help="its class names (default: model/lb.pickle beside this script)")
    add("-i", "--input", nargs="+", type=local_source, required=True, metavar="CLIP",
        help="what to label: videos and photos, folders of them, patterns like 'clips/*.mp4', "
        "numbered pictures of one clip like 'frames/*.png' or frames/%%04d.png, the number of a "
        "camera, the address of a stream, - for standard input. For more than one clip each output "
        "is a folder")
    for kind in OUTPUTS.values():
        kind.add_options(files)
    add("--table", type=file_path, metavar="FILE",
        help="table with a row for each clip, .csv or .parquet; clips are labelled at the same "
        "time, one per processor core, and the same command goes on with those without a row")
    add("--ray", nargs="?", const="auto", metavar="ADDRESS",
        help="label on all machines of a Ray cluster (default: the one that runs here)")
    add("--overwrite", action="store_true",
        help="replace outputs that exist")
    prediction = parser.add_argument_group("prediction")
    choices = "; ".join(f"'{name}' {smoother.help}" for name, smoother in SMOOTHERS.items())
    prediction.add_argument("--smoothing", choices=SMOOTHERS, default=Settings().smoother.name,
        help=f"{choices} (default: %(default)s)")
    for settings in (*SMOOTHERS.values(), Settings):
        add_settings(prediction, settings)
    parser.add_argument("--quiet", action="store_true",
        help="print errors and warnings only")
    # fmt: on
    args = parser.parse_args()
    options = vars(args)
    try:
        args.settings = Settings.of(options)
        requests = {name: kind.requested(options) for name, kind in OUTPUTS.items()}
    except UserError as error:
        parser.error(str(error))
    args.wanted = {kind: given for kind, given in requests.items() if given is not None}
    return args


if __name__ == "__main__":
    run(main)
