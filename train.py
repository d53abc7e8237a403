"""Train a classifier of activities from folders of images.

    python train.py --dataset DIR --model model/activity.keras --label-bin model/lb.pickle

DIR holds one folder of images a class. Each image and its augmented views go through a frozen
ImageNet ResNet50 once; a new head is trained on the features, and both become one model.
"""

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from activity import artifacts
from activity.cli import Parser, Progress, UserError, file_path, run, whole_number
from activity.preprocessing import RESIZE_RULES

if TYPE_CHECKING:
    from activity.dataset import Dataset

LABELS = ["football", "tennis", "weight_lifting"]
LOW_ACCURACY = 0.8
LOW_ACCURACY_HINT = (
    "that is low: look for pictures in the wrong folder among them, add pictures of the classes "
    "that the matrix shows mixed up, or leave out one of two that look alike"
)
PACKAGES = ("tensorflow", "keras", "openvino", "nncf", "cv2", "sklearn", "numpy")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description="Train a classifier of activities from folders of images.")
    # Two lines an argument read like a table.
    # fmt: off
    add = parser.add_argument_group("data").add_argument
    add("-d", "--dataset", type=Path, required=True, metavar="DIR",
        help="folder that holds a folder of images for each class, at any depth")
    add("--labels", nargs="+", default=LABELS, metavar="NAME",
        help=f"folders to take as classes, or 'all' (default: {' '.join(LABELS)})")
    add("--strict", action="store_true",
        help="stop if a file cannot be decoded, instead of skipping it")
    add = parser.add_argument_group("files to write").add_argument
    add("-m", "--model", type=file_path, default=Path("model/activity.keras"), metavar="FILE",
        help="the model; its copy for OpenVINO (.xml, .bin) and a record of the run (.json) "
        "go beside it (default: %(default)s)")
    add("-l", "--label-bin", type=file_path, default=Path("model/lb.pickle"), metavar="FILE",
        help="the class names, a pickled LabelBinarizer (default: %(default)s)")
    add("-p", "--plot", type=file_path, default=Path("plot.png"), metavar="FILE",
        help="the curves of accuracy and loss (default: %(default)s)")
    add("--errors", type=file_path, metavar="FILE",
        help="contact sheet of the test images that get a wrong label, .png, .pdf or .svg")
    add("--cache", type=file_path, default=Path(".cache/features.sqlite"), metavar="FILE",
        help="features of earlier runs, safe to delete (default: %(default)s)")
    add = parser.add_argument_group("training").add_argument
    add("--weights", default="imagenet", metavar="imagenet|PATH",
        help="weights of the base: Keras' download, or a file (default: %(default)s)")
    add("-e", "--epochs", type=whole_number(1, 10**6), default=25, metavar="N",
        help="passes over all views of the training images (default: %(default)s)")
    add("--views", type=whole_number(0, 1000), default=6, metavar="N",
        help="augmented copies of each training image (default: %(default)s)")
    add("--precision", choices=("int8", "float"), default="int8",
        help="of the copy for OpenVINO: float is half as fast and closer to the model "
        "(default: %(default)s)")
    add("--resize", choices=RESIZE_RULES, default="crop",
        help="how images become square: 'squash' as in the tutorial (default: %(default)s)")
    add("--batch-size", type=whole_number(1, 10**6), metavar="N",
        help="features a step of the head's training "
        "(default: a twentieth of all, within 16 and 256)")
    add("--seed", type=whole_number(0, 2**32 - 1), default=0, metavar="N",
        help="for augmentation and head; the split never changes (default: %(default)s)")
    # fmt: on
    return parser.parse_args()


def main() -> int:
    """Run the script and return the exit code."""
    args = parse_args()
    started = time.monotonic()
    record_path, copy_path = args.model.with_suffix(".json"), args.model.with_suffix(".xml")
    check_paths(args, record_path, copy_path)

    # Imports that take seconds wait until the arguments are known to be right.
    from sklearn.preprocessing import LabelBinarizer

    from activity import dataset

    data = dataset.load(dataset.find_files(args.dataset, args.labels))
    print_dataset(data)
    if args.strict and data.skipped:
        files = "1 file" if len(data.skipped) == 1 else f"{len(data.skipped)} files"
        raise UserError(f"{files} cannot be decoded (--strict); remove what is named above")
    train, test = dataset.split(data)
    binarizer = LabelBinarizer().fit(data.labels)
    labels = binarizer.classes_.tolist()

    from activity.feature_cache import FeatureCache

    from activity import augmentation, backbone, classifier, conversion, evaluation, mistakes
    from activity.engine import load_engine

    base = backbone.build_backbone(args.weights)
    cache = FeatureCache(args.cache)
    extractor = backbone.FeatureExtractor(base, cache, args.resize, args.seed)
    train_views, test_views = range(args.views + 1), [augmentation.PLAIN]
    missing = extractor.missing(train, train_views) + extractor.missing(test, test_views)
    total = sum(len(views) for _, views in missing)
    print(
        f"features: {len(train)} training images with {len(train_views)} views each and "
        f"{len(test)} test images, {total} to compute"
    )
    with Progress(total, "views") as progress:
        extractor.fill(missing, progress.update)

    # Large batches are fast, but few images need small ones, or the head would take too few steps.
    batch_size = args.batch_size or min(256, max(16, len(train) * len(train_views) // 20))
    train_batches = classifier.FeatureBatches(
        extractor, train, train_views, labels, batch_size, args.seed
    )
    test_batches = classifier.FeatureBatches(extractor, test, test_views, labels, batch_size)
    head, history = classifier.train_head(train_batches, test_batches, args.epochs, args.seed)

    probabilities = head.predict(test_batches, verbose=0)
    scores, text = evaluation.evaluate(test_batches.targets, probabilities.argmax(axis=1), labels)
    print(f"\n{text}\n")
    wrong = mistakes.find_mistakes(test, probabilities, labels)
    if wrong:
        look = "" if args.errors else ", --errors FILE.png shows them"
        print(f"{len(wrong)} of {len(test)} have a wrong label: {record_path} lists them{look}")
    if scores["accuracy"] < LOW_ACCURACY:
        print(LOW_ACCURACY_HINT)

    def plain_images(pictures: Sequence[dataset.Picture]) -> Iterator[np.ndarray]:
        return dataset.plain_images(pictures, args.resize, backbone.INPUT_SIZE)

    card = artifacts.ModelCard.of(labels, args.resize, backbone.INPUT_SIZE)
    model = classifier.assemble(base, head)
    artifacts.save_labels(binarizer, args.label_bin)
    artifacts.save_model(model, args.model, card)

    # The copy is calibrated on training images, and only measured on test images.
    converted = conversion.convert(model)
    if args.precision == "int8":
        pictures = conversion.calibration_pictures(train, args.seed)
        converted = conversion.quantize(converted, plain_images(pictures))
    artifacts.save_openvino_model(converted, copy_path, card)
    copy = load_engine(copy_path)
    copied = np.stack(list(copy.stream(plain_images(test))))
    copy_scores, text = evaluation.compare(
        args.precision, test_batches.targets, probabilities, copied
    )
    print(f"{text}\n")

    evaluation.save_plot(history, args.plot)
    if args.errors:
        images = plain_images([mistake.picture for mistake in wrong])
        mistakes.save_contact_sheet(wrong, images, len(test), args.errors)
    artifacts.save_json(
        {
            "arguments": vars(args),
            "data": data.record(),
            "training_images": len(train),
            "test": scores,
            "mistakes": [mistake.record() for mistake in wrong],
            "copy_test": copy_scores,
            "history": history,
            "seconds": round(time.monotonic() - started, 1),
            "versions": {"python": platform.python_version()}
            | {name: import_module(name).__version__ for name in PACKAGES},
        },
        record_path,
    )
    for path in (args.model, copy_path, args.label_bin, args.plot, args.errors, record_path):
        if path:
            print(f"wrote {path}")
    return 0


def check_paths(args: argparse.Namespace, record_path: Path, copy_path: Path) -> None:
    """Raise `UserError` for a path that would fail later, after the imports or the training."""
    if not args.dataset.is_dir():
        raise UserError(
            f"--dataset {args.dataset} is not a folder; name one that holds a folder a class"
        )
    outputs = {
        "--model": args.model,
        "its record (.json)": record_path,
        "its OpenVINO copy (.xml)": copy_path,
        "its OpenVINO copy (.bin)": copy_path.with_suffix(".bin"),
        "--label-bin": args.label_bin,
        "--plot": args.plot,
        "--cache": args.cache,
    }
    if args.errors:
        outputs["--errors"] = args.errors
    artifacts.check_distinct([*outputs.items(), ("--weights", Path(args.weights))])
    for option, path in outputs.items():
        artifacts.check_output(
            path, option, artifacts.PICTURES if option in ("--plot", "--errors") else ()
        )
    if args.weights != "imagenet":
        artifacts.check_input(Path(args.weights), "--weights", "name one, or 'imagenet'")


def print_dataset(data: "Dataset") -> None:
    """Print what was found for each class, and every file that deserves a look."""
    widest = max(len(label) for label in ["class", *data.labels])
    print(f"{'class':{widest}}   files  decoded  distinct")
    for label in data.labels:
        files, decoded, distinct = data.count(label)
        print(f"{label:{widest}}  {files:6d}  {decoded:7d}  {distinct:8d}")
    for file in data.skipped:
        print(f"skipped {str(file.path)!r}: {file.reason}")
    for pictures in data.in_two_classes():
        print(f"the same picture in two classes: {', '.join(repr(str(p.path)) for p in pictures)}")


if __name__ == "__main__":
    run(main)
