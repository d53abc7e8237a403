"""Train a classifier of activities from folders of pictures and videos.

    python train.py --dataset DIR --model model/activity.keras --label-bin model/lb.pickle

DIR holds one folder per class; a table, `--segments`, may say more. Each picture, or frame of a
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
from typing import Any

from activity import __version__
from activity.cli import Parser, add_settings, file_path, given_settings, option, run, setting
from activity.errors import UserError
from activity.files import PICTURES, check_distinct, check_input, check_output, save_json
from activity.label_file import NONE_OF_THESE, save_labels
from activity.model_file import ModelMetadata, save_model, save_openvino_model
from activity.training.bases import BASES, IMAGENET
from activity.training.settings import Settings

LABELS = ["football", "tennis", "weight_lifting"]
PACKAGES = ("tensorflow", "keras", "openvino", "nncf", "cv2", "sklearn", "numpy")


@dataclass(frozen=True)
class TrainingFiles:
    """The files that a training writes. Those that exist are replaced."""

    model: Path = setting(Path("model/activity.keras"), "-m", "--model", type=file_path,
        metavar="FILE", help="the model; its copy for OpenVINO (.xml, .bin) and a record of the "
        "run (.json) go beside it (default: model/activity.keras)")  # fmt: skip
    label_bin: Path = setting(Path("model/lb.pickle"), "-l", "--label-bin", type=file_path,
        metavar="FILE",
        help="the class names, a pickled LabelBinarizer (default: model/lb.pickle)")  # fmt: skip
    plot: Path = setting(Path("plot.png"), "-p", "--plot", type=file_path, metavar="FILE",
        help="the curves of accuracy and loss (default: plot.png)")  # fmt: skip
    errors: Path | None = setting(None, "--errors", type=file_path, metavar="FILE",
        help="contact sheet of the pictures that get a wrong label, .png, .pdf or "
        ".svg")  # fmt: skip
    cache: Path = setting(Path(".cache/features.sqlite"), "--cache", type=file_path, metavar="FILE",
        help="features of earlier runs, frames of videos beside it (default: "
        ".cache/features.sqlite)")  # fmt: skip

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

    def check(self, weights: str) -> None:
        """Make their folders; raise `UserError` if one, or the file of `weights`, is unusable."""
        named = {
            "--model": self.model, "--model's record": self.record,
            "--model's OpenVINO copy": self.openvino,
            "--model's weights for OpenVINO": self.openvino.with_suffix(".bin"),
            "--label-bin": self.label_bin, "--plot": self.plot, "--errors": self.errors,
            "--cache": self.cache,
        }  # fmt: skip
        files = [(name, path) for name, path in named.items() if path]
        if weights != IMAGENET:
            with option("--weights"):
                check_input(Path(weights), f"name one, or {IMAGENET!r}")
        check_distinct([*files, ("--weights", Path(weights))])
        for name, path in files:
            with option(name):
                check_output(path, PICTURES if name in ("--plot", "--errors") else ())


def train(
    folder: Path, files: TrainingFiles, settings: Settings = Settings(), *,
    labels: Sequence[str] = LABELS, none: Sequence[Path] = (), tables: Sequence[Path] = (),
    strict: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train on the folders named `labels` (["all"]: every one) in `folder`; return the record.

    The folders in `none` hold other things, a class of their own. The `tables` say which files, or
    parts of videos, show what. If `strict`, a file that does not decode is an error. Raises
    `UserError` for what is unusable.
    """
    started = time.monotonic()
    for name, path in [("--dataset", folder), *(("--none", each) for each in none)]:
        if not path.is_dir():
            raise UserError(f"{name} {path} is not a folder; name one that holds pictures")
    for table in tables:
        with option("--segments"):
            check_input(table, "name a table in CSV")
    files.check(settings.weights)
    # TensorFlow takes seconds to import, and who mistypes an option should not wait for it.
    from activity.training import backbone, conversion, dataset, head, layout, mistakes, report
    from activity.training.calibration import calibrate, class_indices
    from activity.training.evaluation import compare_copy, evaluate, save_plot
    from activity.training.feature_cache import FeatureCache
    from activity.training.split import split

    annotations = layout.find_annotations(folder, labels, none, tables)
    data = dataset.load(annotations, files.frames, () if list(labels) == layout.ALL else labels)
    report.print_dataset(data)
    if strict and data.skipped:
        count = "1 file" if len(data.skipped) == 1 else f"{len(data.skipped)} files"
        raise UserError(f"{count} cannot be decoded (--strict); remove what is named above")
    parts = split(data, settings)
    for remark in parts.remarks:
        print(remark)

    base = backbone.build_backbone(BASES[settings.base], settings.weights)
    with closing(FeatureCache(files.cache)) as cache:
        extractor = backbone.FeatureExtractor(base, cache, settings)
        features = head.compute_features(extractor, parts.train, parts.test, data.labels)
        trained, history = head.train_head(*features, settings)
        predict = partial(head.predict_with_another_head, extractor)
        calibration, held_out = calibrate(parts.train, settings, predict)
        head.scale_temperature(trained, calibration.temperature)
        probabilities = trained.predict(features[1], verbose=0)
    model = head.assemble(base, trained)
    metadata = ModelMetadata(tuple(data.labels), settings.resize, BASES[settings.base].input_size)
    scores = evaluate(parts.test, probabilities, data.labels)
    report.print_scores(scores, data.labels)
    wrong = mistakes.find_mistakes(parts, probabilities, held_out, data.labels)
    report.print_mistakes(wrong, scores, files.record, files.errors)
    report.print_calibration(calibration)

    save_labels(data.labels, files.label_bin)
    save_model(model, files.model, metadata)
    copy = conversion.convert(model)
    if settings.precision == "int8":
        copy = conversion.quantize(copy, parts.train, settings)
    save_openvino_model(copy, files.openvino, metadata)
    copy_scores = compare_copy(files.openvino, parts.test, probabilities, metadata)
    report.print_copy_scores(copy_scores, len(parts.test), settings.precision)
    truth = class_indices(parts.test, data.labels)
    save_plot(history, probabilities, truth, files.plot)
    if files.errors:
        mistakes.save_contact_sheet(wrong, metadata, files.errors)
    arguments = {"dataset": folder, "labels": labels, "none": none, "segments": tables}
    versions = {name: import_module(name).__version__ for name in PACKAGES}
    record: dict[str, Any] = {
        "arguments": arguments | {"strict": strict} | asdict(files) | asdict(settings),
        "data": data.record(),
        "split": {
            "training_images": len(parts.train), "test_images": len(parts.test),
            "test_videos": sorted({str(each.video) for each in parts.test if each.video}),
            "remarks": parts.remarks,
        },
        "history": history, "calibration": asdict(calibration), "test": scores,
        "copy_test": copy_scores,
        "mistakes": [mistake.record() for mistake in wrong],
        "versions": {"activity": __version__, "python": platform.python_version()} | versions,
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    save_json(record, files.record)
    return record


def main() -> int:
    """Run the script and return the exit code."""
    args = parse_args()
    files = TrainingFiles(**given_settings(vars(args), TrainingFiles))
    train(
        args.dataset, files, Settings(**given_settings(vars(args), Settings)),
        labels=args.labels, none=args.none, tables=args.segments, strict=args.strict,
    )  # fmt: skip
    written = (files.model, files.openvino, files.label_bin, files.plot, files.errors, files.record)
    for path in filter(None, written):
        print(f"wrote {path}")
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("Train a classifier of activities from folders of pictures and videos.")
    add = parser.add_argument_group("data").add_argument
    # fmt: off
    add("-d", "--dataset", type=Path, required=True, metavar="DIR",
        help="folder that holds a folder of pictures and videos for each class; or such folders in "
        "folders called train and test, or alike, which are the split then")
    add("--labels", nargs="+", default=LABELS, metavar="NAME",
        help=f"folders to take as classes, or 'all' (default: {' '.join(LABELS)})")
    add("--none", nargs="+", type=Path, default=[], metavar="FOLDER",
        help="folders with pictures and videos of other things, at any depth: they become a class, "
        f"'{NONE_OF_THESE}', and so does a class folder called 'none'")
    add("--segments", nargs="+", type=Path, default=[], metavar="FILE",
        help="tables of what files or parts of videos show, as from the page of predict_video.py "
        "or an annotation tool: columns file, label, and optionally start, end or duration "
        "(seconds, mm:ss; start_ms, start_frame), split (train, test), site")
    add("--strict", action="store_true",
        help="stop if a file cannot be decoded, instead of skipping it")
    # fmt: on
    add_settings(parser.add_argument_group("files to write"), TrainingFiles)
    add_settings(parser.add_argument_group("training"), Settings)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
