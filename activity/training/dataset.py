"""Folders of images: what is in them, which are the same picture, and the split."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activity.quiet import opencv  # noqa: F401 (imutils imports OpenCV, too)

# isort: split
import numpy as np
from imutils.paths import list_files
from sklearn.model_selection import train_test_split

from activity.errors import UserError, print_error
from activity.label_file import NONE_OF_THESE, check_class_names
from activity.preprocessing import resize, shrink_or_grow
from activity.streams import parallel_map
from activity.training.copies import THUMBNAIL_SIDE, groups_of, link_equal
from activity.training.images import UnreadableImageError, read_image
from activity.training.settings import Settings

# Below four, a stratified quarter of a class can be no picture at all.
MIN_PICTURES = 4


@dataclass(frozen=True)
class Picture:
    """One image file that decodes."""

    path: Path
    label: str
    digest: str  # of the file's bytes
    group: int  # pictures with the same number show the same thing


@dataclass(frozen=True)
class SkippedFile:
    """One file that is no picture, and why."""

    path: Path
    label: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """What was found: the pictures of the wanted classes, and the files that are none."""

    pictures: list[Picture]
    skipped: list[SkippedFile]

    @property
    def labels(self) -> list[str]:
        """The class names in alphabetical order, which is that of the model's outputs."""
        used = {picture.label for picture in self.pictures}
        return sorted(used | {file.label for file in self.skipped})

    def count(self, label: str) -> tuple[int, int, int]:
        """Return the numbers of files, of pictures that decode and of distinct ones in a class."""
        groups = [picture.group for picture in self.pictures if picture.label == label]
        skipped = sum(file.label == label for file in self.skipped)
        return len(groups) + skipped, len(groups), len(set(groups))

    def in_two_classes(self) -> list[list[Picture]]:
        """Return the groups of equal pictures whose members do not agree on the class."""
        groups: dict[int, list[Picture]] = {}
        for picture in self.pictures:
            groups.setdefault(picture.group, []).append(picture)
        return [
            members
            for members in groups.values()
            if len({picture.label for picture in members}) > 1
        ]

    def record(self) -> dict[str, Any]:
        """Return the counts of each class and the files that deserve a look, for the run record."""
        counts = ("files", "decoded", "distinct")
        return {
            "classes": {
                label: dict(zip(counts, self.count(label), strict=True)) for label in self.labels
            },
            "skipped": [{"file": file.path, "reason": file.reason} for file in self.skipped],
            "in_two_classes": [
                [str(picture.path) for picture in pictures] for pictures in self.in_two_classes()
            ],
        }


def find_files(
    folder: Path, labels: Sequence[str], none: Sequence[Path] = ()
) -> list[tuple[Path, str]]:
    """List the files below `folder` with their class, the name of the folder each lies in.

    `labels` are the wanted classes; `["all"]` takes every folder that holds a file. A folder named
    "none" holds things of none of them, and so do the folders in `none`, wherever they are. Hidden
    files and folders are left out. Raises `UserError` for a class without enough files, or fewer
    than two classes.
    """
    others = {path: NONE_OF_THESE for each in none for path in _files_below(each)}
    for each in none:
        if not any(path.is_relative_to(each) for path in others):
            raise UserError(f"{each} holds 0 files of other things; add pictures of some", each)
    taken = {path.absolute() for path in others}
    found = [
        (path, path.parent.name)
        for path in _files_below(folder)
        if path.parent != folder and path.absolute() not in taken
    ]
    if list(labels) != ["all"]:
        found = [(path, label) for path, label in found if label in labels]
    counts = Counter(label for _, label in found)
    try:
        check_class_names(list(counts))
    except ValueError as error:
        raise UserError(
            f"{folder} has a class that cannot be: {error}; rename it", folder
        ) from error
    for label in counts if list(labels) == ["all"] else labels:
        if labels.count(label) > 1:
            raise UserError(f"{label!r} is named twice; name each class once", "labels")
        if not counts[label]:
            raise UserError(
                f"{label!r} is no folder with files below {folder}; name the folders to take, or "
                "'all' to take every one",
                "labels",
            )
        _require_enough(label, counts[label], "files")
    if len(counts) + bool(others) < 2:
        raise UserError(
            f"{' '.join(labels)} makes {len(counts)} class{'' if counts else 'es'} of {folder}, "
            "but a classifier needs at least two; name more folders",
            "labels",
        )
    named = [(path, NONE_OF_THESE if label == "none" else label) for path, label in found]
    return named + list(others.items())


def _files_below(folder: Path) -> list[Path]:
    """List the files below a folder, at any depth, sorted; hidden ones are left out."""

    def is_visible(path: Path) -> bool:
        return not any(part.startswith(".") for part in path.relative_to(folder).parts)

    def warn(error: OSError) -> None:
        if is_visible(Path(error.filename)):
            print_error("warning", f"{error.filename} is left out: {error.strerror}")

    for _ in os.walk(folder, onerror=warn):
        pass  # `list_files` passes over a folder that it may not read in silence
    return [path for name in sorted(list_files(str(folder))) if is_visible(path := Path(name))]


def read_picture(picture: Picture) -> np.ndarray:
    """Decode a picture that decoded before, (H, W, 3) uint8 RGB; else raise `UserError`."""
    try:
        return read_image(picture.path)[1]
    except UnreadableImageError as error:
        raise UserError(
            f"{str(picture.path)!r} changed during the run ({error}); start again"
        ) from error


def plain_images(pictures: Sequence[Picture], rule: str, size: int) -> Iterator[np.ndarray]:
    """Yield each picture as the model sees it without augmentation, (size, size, 3) uint8 RGB."""
    return parallel_map(lambda picture: resize(read_picture(picture), rule, size), pictures)


def load(files: Sequence[tuple[Path, str]]) -> Dataset:
    """Decode every file once, in parallel, and group the files that show the same picture.

    One image a thread is in memory at a time, then only its thumbnail.
    """
    digests, thumbnails, kept, skipped = [], [], [], []
    for (path, label), scanned in zip(
        files, parallel_map(_scan, (path for path, _ in files)), strict=True
    ):
        if isinstance(scanned, str):
            skipped.append(SkippedFile(path, label, scanned))
        else:
            digest, thumbnail = scanned
            digests.append(digest)
            thumbnails.append(thumbnail)
            kept.append((path, label))
    links = link_equal(np.array(thumbnails, np.uint8).reshape(len(kept), 3 * THUMBNAIL_SIDE**2))
    groups = groups_of(len(kept), links)
    return Dataset(
        [
            Picture(path, label, digest, int(group))
            for (path, label), digest, group in zip(kept, digests, groups, strict=True)
        ],
        skipped,
    )


def split(data: Dataset, settings: Settings) -> tuple[list[Picture], list[Picture]]:
    """Split into training and test part, stratified, always with the same seed.

    It is the tutorial's split, but all copies of a picture go where the first one goes, so that no
    picture stands on both sides. Raises `UserError` if a class has too few different pictures.
    """
    for label in data.labels:
        _, _, distinct = data.count(label)
        _require_enough(label, distinct, "different images")
    pictures = data.pictures
    first_of = {picture.group: picture for picture in reversed(pictures)}
    _, drawn = train_test_split(
        pictures,
        test_size=settings.test_share,
        stratify=[picture.label for picture in pictures],
        random_state=settings.split_seed,
    )
    test_groups = {picture.group for picture in drawn if picture is first_of[picture.group]}
    train = [picture for picture in pictures if picture.group not in test_groups]
    test = [picture for picture in pictures if picture.group in test_groups]
    for label in data.labels:
        if any(label not in {picture.label for picture in part} for part in (train, test)):
            raise UserError(
                f"the images of class {label!r} are too much alike to be split; add different ones"
            )
    return train, test


def _require_enough(label: str, number: int, things: str) -> None:
    if number < MIN_PICTURES:
        raise UserError(
            f"class {label!r} has {number} {things}; add images until there are at least "
            f"{MIN_PICTURES}, so that a quarter can be kept for testing"
        )


def _scan(path: Path) -> tuple[str, np.ndarray] | str:
    """Return the digest and the thumbnail of an image, or the reason why it has none."""
    try:
        encoded, image = read_image(path)
    except UnreadableImageError as error:
        return str(error)
    thumbnail = shrink_or_grow(image, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return hashlib.blake2b(encoded, digest_size=16).hexdigest(), thumbnail.ravel()
