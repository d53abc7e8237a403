"""Train a classifier of activities from folders of pictures and videos.

    python train.py --dataset DIR --model model/activity.keras --label-bin model/lb.pickle

DIR holds one folder a class; a table, `--segments`, may say more. Each picture, or frame of a
video, and its augmented views go through a frozen network once, ResNet50 or another that was
trained on ImageNet; a new head is trained on the features, and both become one model.

From Python, `train` does the same; `activity.training.settings` has the hyper-parameters.
"""

import argparse
import platform
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity import __version__
from activity.cli import Parser, file_path, options_named, run, whole_number
from activity.errors import UserError
from activity.files import PICTURES, check_distinct, check_input, check_output, save_json
from activity.label_file import NONE_OF_THESE, save_labels
from activity.model_file import RESIZE_RULES, ModelCard, save_model, save_openvino_model
from activity.training.bases import BASES, IMAGENET
from activity.training.settings import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from activity.training.calibration import Calibration
    from activity.training.dataset import Dataset, Picture
    from activity.training.mistakes import Mistake
    from activity.training.split import Parts

LABELS = ["football", "tennis", "weight_lifting"]
LOW_ACCURACY = 0.8
LOW_ACCURACY_HINT = (
    "that is low: look for pictures in the wrong folder among them, add pictures of the classes "
    "that the matrix shows mixed up, or leave out one of two that look alike"
)
NONE_HINT = (
    "that is not much to rely on: --none FOLDER, pictures of other things as a class of their own, "
    "helps more"
)
NO_NETWORK_HINT = (
    "take --base efficientnet_lite2, whose weights come along, or give the path of a file of "
    "ResNet50 weights without top"
)
MOST_NAMES = 4  # of pictures that are much the same, or much the same trouble
PACKAGES = ("tensorflow", "keras", "openvino", "nncf", "cv2", "sklearn", "numpy")


@dataclass(frozen=True)
class TrainingFiles:
    """The files that a training writes. Those that exist are replaced."""

    model: Path = Path("model/activity.keras")
    label_bin: Path = Path("model/lb.pickle")  # the class names, a pickled LabelBinarizer
    plot: Path = Path("plot.png")  # the curves of accuracy and loss
    errors: Path | None = None  # a sheet of the pictures with a wrong label
    cache: Path = Path(".cache/features.sqlite")  # features of earlier runs, read as well

    @property
    def openvino(self) -> Path:
        """The model's copy for OpenVINO; its weights (.bin) stand beside it."""
        return self.model.with_suffix(".xml")

    @property
    def record(self) -> Path:
        """What went into the run and what came out of it."""
        return self.model.with_suffix(".json")

    @property
    def frames(self) -> Path:
        """The folder beside the cache for frames of videos, safe to delete as well."""
        return self.cache.with_name(f"{self.cache.stem}_frames")

    def options(self) -> list[tuple[str, Path]]:
        """Return each file with what asks for it on the command line."""
        errors = [("--errors", self.errors)] if self.errors else []
        return [
            ("--model", self.model),
            ("--model's record", self.record),
            ("--model's OpenVINO copy", self.openvino),
            ("--model's weights for OpenVINO", self.openvino.with_suffix(".bin")),
            ("--label-bin", self.label_bin),
            ("--plot", self.plot),
            ("--cache", self.cache),
            *errors,
        ]

    def check(self) -> None:
        """Make their folders; raise `UserError` if one of the files could not be written."""
        for _, path in self.options():
            check_output(path, PICTURES if path in (self.plot, self.errors) else ())


def train(
    folder: Path,
    files: TrainingFiles,
    settings: Settings = Settings(),  # noqa: B008 (it is frozen)
    *,
    labels: Sequence[str] = LABELS,
    none: Sequence[Path] = (),
    tables: Sequence[Path] = (),
    strict: bool = False,
) -> dict[str, Any]:
    """Train on the folders named `labels` (["all"]: every one) in `folder`; return the record.

    The folders in `none` hold other things, a class of their own. CSV `tables` say which files, or
    parts of videos, show what. If `strict`, a file that does not decode is an error. Raises
    `UserError` for what is unusable.
    """
    # TensorFlow takes seconds to import, and who mistypes an option should not wait for it.
    from activity.training import conversion, evaluation, mistakes

    started = time.monotonic()
    files.check()
    data, parts = find_data(folder, files.frames, settings, labels, none, tables, strict)
    fitted = fit(parts, data.labels, files.cache, settings)
    model, history, sureness, probabilities = fitted
    size, shares = BASES[settings.base].input_size, (sureness.unknown_below, sureness.mean_noticed)
    card = ModelCard(tuple(data.labels), settings.resize, size, *shares)
    scores = evaluation.evaluate(parts.test, probabilities, card.labels)
    wrong = mistakes.find_mistakes(parts, probabilities, sureness.held_out, card.labels)
    print_verdict(scores["accuracy"], wrong, len(parts.test), files)
    print_sureness(sureness)

    save_labels(card.labels, files.label_bin)
    save_model(model, files.model, card)
    copy = conversion.openvino_copy(model, parts.train, card, settings)
    save_openvino_model(copy, files.openvino, card)
    copy_scores = evaluation.compare_copy(files.openvino, parts.test, probabilities, card, settings)
    evaluation.save_plot(history, parts.test, probabilities, card.labels, files.plot)
    if files.errors:
        mistakes.save_contact_sheet(wrong, card, files.errors)
    arguments = {"dataset": folder, "labels": labels, "none": none, "segments": tables}
    arguments |= {"strict": strict} | asdict(files) | asdict(settings)
    record: dict[str, Any] = {"arguments": arguments, "data": data.record()}
    record |= {"split": parts.record(), "history": history, "calibration": sureness.record()}
    record |= {"test": scores, "copy_test": copy_scores}
    record |= {"mistakes": [mistake.record() for mistake in wrong], "versions": versions()}
    record |= {"seconds": round(time.monotonic() - started, 1)}
    save_json(record, files.record)
    return record


def find_data(
    folder: Path,
    frames: Path,
    settings: Settings,
    labels: Sequence[str],
    none: Sequence[Path],
    tables: Sequence[Path],
    strict: bool,
) -> "tuple[Dataset, Parts]":
    """Find what there is to learn from, and split it; say what deserves a look.

    Frames of videos are kept in the folder `frames`. For the other arguments see `train`.
    """
    from activity.training import dataset, layout
    from activity.training.split import split

    try:
        annotations = layout.find_annotations(folder, labels, none, tables)
    except UserError as error:
        beside = layout.tables_in(folder)
        if error.about != "labels" or tables or not beside:
            raise
        hint = f"if {beside[0]} says which file is what, add --segments {beside[0]}"
        raise UserError(f"{error}; {hint}", error.about) from error
    data = dataset.load(annotations, frames, () if list(labels) == layout.ALL else labels)
    print_dataset(data, strict)
    parts = split(data, settings)
    for remark in parts.remarks:
        print(remark)
    return data, parts


def fit(
    parts: "Parts",
    labels: Sequence[str],
    cache: Path,
    settings: Settings,
) -> "tuple[keras.Model, dict[str, list[float]], Calibration, np.ndarray]":
    """Train a head on the features of a base, and make it as sure as it is right.

    Return both as one model, the head's history, what was found out about its sureness, and the
    (N, classes) probabilities of the test part.
    """
    from activity.training import backbone, calibration, head
    from activity.training.feature_cache import FeatureCache

    base = build_base(settings)
    with closing(FeatureCache(cache)) as features:
        extractor = backbone.FeatureExtractor(base, features, settings)
        batches = head.compute_features(extractor, parts.train, parts.test, labels, settings)
        trained, history = head.train_head(*batches, settings)
        predict = partial(head.predict_with_another_head, extractor, settings)
        sureness = calibration.calibrate(parts.train, settings, predict)
        head.cool(trained, sureness.temperature)
        probabilities = trained.predict(batches[1], verbose=0)
    return head.assemble(base, trained), history, sureness, probabilities


def build_base(settings: Settings) -> "keras.Model":
    """Return the frozen base; where its weights cannot be downloaded, say what needs no network."""
    from activity.training.backbone import DownloadError, build_backbone

    try:
        return build_backbone(BASES[settings.base], settings.weights)
    except DownloadError as error:
        raise UserError(f"{error}; {NO_NETWORK_HINT}", error.about) from error


def print_dataset(data: "Dataset", strict: bool) -> None:
    """Print what was found for each class, and every file that deserves a look.

    If `strict`, raise `UserError` where one of them cannot be decoded.
    """
    widest = max(len(label) for label in ["class", *data.labels])
    print(f"{'class':{widest}}   files  pictures  scenes")
    for label, (files, pictures, scenes) in data.counts().items():
        print(f"{label:{widest}}  {files:6d}  {pictures:8d}  {scenes:6d}")
    for file in data.skipped:
        print(f"skipped {str(file.path)!r}: {file.reason}")
    for where, groups in (
        ("two classes", data.in_two_classes()),
        ("training and test part", data.in_two_parts()),
    ):
        for same in groups:
            print(f"the same picture in {where}: {names_of(same)}")
    if strict and data.skipped:
        count = "1 file" if len(data.skipped) == 1 else f"{len(data.skipped)} files"
        raise UserError(f"{count} cannot be decoded (--strict); remove what is named above")


def names_of(pictures: "Sequence[Picture]") -> str:
    """Return the names of equal pictures; there may be hundreds, of a camera that does not move."""
    names = ", ".join(repr(str(picture)) for picture in pictures[:MOST_NAMES])
    more = len(pictures) - MOST_NAMES
    return names if more <= 0 else f"{names} and {more} more"


def print_verdict(
    accuracy: float, mistakes: "Sequence[Mistake]", total: int, files: TrainingFiles
) -> None:
    """Say how many of the test images are wrong, and what to do about it."""
    if mistakes:
        tested = sum(mistake.tested for mistake in mistakes)
        look = "" if files.errors else ", --errors FILE.png shows them"
        print(
            f"{tested} of {total} have a wrong label, and of all pictures {len(mistakes)}, each "
            f"from a model that did not see it: {files.record} lists them{look}; perhaps some are "
            "in the wrong folder, such as"
        )
    for mistake in mistakes[:MOST_NAMES]:
        print(f"  {mistake}")
    if accuracy < LOW_ACCURACY:
        print(LOW_ACCURACY_HINT)


def print_sureness(sureness: "Calibration") -> None:
    """Say how sure the model may be, and what to do about it."""
    print(sureness.text())
    if sureness.worth_little:
        print(NONE_HINT)


def versions() -> dict[str, str]:
    """Return the versions of this project, of Python and of what the results depend on."""
    return {"activity": __version__, "python": platform.python_version()} | {
        name: import_module(name).__version__ for name in PACKAGES
    }


def main() -> int:
    """Run the script and return the exit code."""
    args = parse_args()
    files = TrainingFiles(args.model, args.label_bin, args.plot, args.errors, args.cache)
    settings = Settings(
        base=args.base, weights=args.weights, resize=args.resize, views=args.views,
        epochs=args.epochs, precision=args.precision, seed=args.seed,
    )  # fmt: skip
    named = [("--dataset", args.dataset), ("--labels", "labels"), ("--weights", "weights")]
    named += [("--none", folder) for folder in args.none]
    named += [("--segments", table) for table in args.segments]
    with options_named([*named, *files.options()]):
        check(args, files)
        train(
            args.dataset, files, settings,
            labels=args.labels, none=args.none, tables=args.segments, strict=args.strict,
        )  # fmt: skip
    written = (files.model, files.openvino, files.label_bin, files.plot, files.errors)
    for path in filter(None, (*written, files.record)):
        print(f"wrote {path}")
    return 0


def check(args: argparse.Namespace, files: TrainingFiles) -> None:
    """Raise `UserError` for a path that would fail later, after the imports or the training."""
    if not args.dataset.is_dir():
        raise UserError(
            f"{args.dataset} is not a folder; name one that holds a folder a class", args.dataset
        )
    for folder in args.none:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder; name one with pictures", folder)
    for table in args.segments:
        check_input(table, "name a table in CSV")
    check_distinct([*files.options(), ("--weights", Path(args.weights))])
    files.check()
    if args.weights != IMAGENET:
        path = Path(args.weights)
        with options_named([("--weights", path)]):
            check_input(path, "name one, or 'imagenet'")


# Two lines an argument read like a table.
# fmt: off
def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("Train a classifier of activities from folders of pictures and videos.")
    add = parser.add_argument_group("data").add_argument
    add("-d", "--dataset", type=Path, required=True, metavar="DIR",
        help="folder that holds a folder of pictures and videos for each class; or such folders in "
        "folders called train, val and test, any two of them, which are the split then")
    add("--labels", nargs="+", default=LABELS, metavar="NAME",
        help=f"folders to take as classes, or 'all' (default: {' '.join(LABELS)})")
    add("--none", nargs="+", type=Path, default=[], metavar="FOLDER",
        help="folders with pictures and videos of other things, at any depth: they become a class, "
        f"'{NONE_OF_THESE}', and so does a class folder called 'none'")
    add("--segments", nargs="+", type=Path, default=[], metavar="FILE.csv",
        help="tables that say which files, or which parts of videos, show what, as the page of "
        "predict_video.py hands them on: columns file, label, and if wanted start and end in "
        "seconds, split (train or test), site (what is from one stands in one part)")
    add("--strict", action="store_true",
        help="stop if a file cannot be decoded, instead of skipping it")
    add = parser.add_argument_group("files to write").add_argument
    add("-m", "--model", type=file_path, default=TrainingFiles.model, metavar="FILE",
        help="the model; its copy for OpenVINO (.xml, .bin) and a record of the run (.json) "
        "go beside it (default: %(default)s)")
    add("-l", "--label-bin", type=file_path, default=TrainingFiles.label_bin, metavar="FILE",
        help="the class names, a pickled LabelBinarizer (default: %(default)s)")
    add("-p", "--plot", type=file_path, default=TrainingFiles.plot, metavar="FILE",
        help="the curves of accuracy and loss (default: %(default)s)")
    add("--errors", type=file_path, metavar="FILE",
        help="contact sheet of the pictures that are probably in the wrong folder and of the test "
        "images that get a wrong label, .png, .pdf or .svg")
    add("--cache", type=file_path, default=TrainingFiles.cache, metavar="FILE",
        help="features of earlier runs; frames of videos are kept beside it; safe to delete "
        "(default: %(default)s)")
    add = parser.add_argument_group("training").add_argument
    add("--base", choices=BASES, default=Settings.base,
        help="network that the pictures go through: the tutorial's, or a smaller, faster and more "
        "exact one that needs no download (default: %(default)s)")
    add("--weights", default=Settings.weights, metavar="imagenet|PATH",
        help="weights of the base, or a file of others (default: %(default)s)")
    add("-e", "--epochs", type=whole_number(1, 10**6), default=Settings.epochs, metavar="N",
        help="passes over all views of the training images (default: %(default)s)")
    add("--views", type=whole_number(0, 1000), default=Settings.views, metavar="N",
        help="augmented copies of each training image (default: %(default)s)")
    add("--precision", choices=("int8", "float"), default=Settings.precision,
        help="of the copy for OpenVINO: float is slower and closer to the model "
        "(default: %(default)s)")
    add("--resize", choices=RESIZE_RULES, default=Settings.resize,
        help="how images become square: 'squash' as in the tutorial (default: %(default)s)")
    add("--seed", type=whole_number(0, 2**32 - 1), default=Settings.seed, metavar="N",
        help="for augmentation and head; the split never changes (default: %(default)s)")
    return parser.parse_args()
# fmt: on


if __name__ == "__main__":
    run(main)
