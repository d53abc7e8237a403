"""What is there to learn from: pictures and frames of videos, and which of them belong together."""

import hashlib
import itertools
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from activity.cli import Progress
from activity.errors import UserError, print_error
from activity.preprocessing import resize, shrink_or_grow
from activity.streams import parallel_map
from activity.text import natural_order
from activity.training.annotations import Annotation
from activity.training.copies import THUMBNAIL_SIDE, groups_of, link_equal
from activity.training.footage import Still, keep_frames
from activity.training.images import UnreadableImageError, read_image
from activity.video.sources import VIDEO_ENDINGS

# Root mean square differences of two thumbnails, in grey levels of 255. A frame of a video that is
# nearer to another one would teach nothing new.
SAME_FRAME = 2.0
# Pictures whose names follow each other and that are nearer are of one burst or film. Neighbours in
# the sports images of the tutorial, which come from everywhere, are at least 29 apart; frames of
# eleven clips, a second apart, between 2 and 27 (medians).
SAME_SCENE = 20.0


@dataclass(frozen=True)
class Picture:
    """One picture, a file or a frame of a video."""

    path: Path  # of its file, or of the file that the frame is kept in
    label: str
    digest: str  # of the file's bytes
    group: int  # pictures with the same number show the same scene
    video: Path | None = None
    time: float = 0.0  # seconds from the first frame of the video
    part: str | None = None  # annotations.TRAIN or TEST, where somebody says so
    site: str | None = None  # pictures of one site are of one group

    @property
    def source(self) -> Path:
        """The file that the user knows."""
        return self.video or self.path

    @property
    def name(self) -> str:
        """What to call it over a picture of it: without folders."""
        return f"{self.source.name} {self.time:.2f} s" if self.video else self.source.name

    def __str__(self) -> str:
        return f"{self.source} {self.time:.2f} s" if self.video else str(self.source)

    def record(self) -> dict[str, Any]:
        """Return what it is, as it stands in the record of a run."""
        time = {"time": self.time} if self.video else {}
        return {"file": self.source, **time, "label": self.label}


@dataclass(frozen=True)
class SkippedFile:
    """One file that cannot be used, and why."""

    path: Path
    label: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """What was found: pictures, those that are the same, and files that cannot be used."""

    pictures: list[Picture]
    skipped: list[SkippedFile]
    copies: list[list[Picture]]  # groups of files that show the same picture

    @property
    def labels(self) -> list[str]:
        """The class names in alphabetical order, which is that of the model's outputs."""
        return sorted({picture.label for picture in self.pictures})

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return the numbers of files, of pictures and frames, and of scenes in each class."""
        files: dict[str, set[Path]] = {label: set() for label in self.labels}
        scenes: dict[str, set[int]] = {label: set() for label in self.labels}
        pictures = Counter(picture.label for picture in self.pictures)
        for picture in self.pictures:
            files[picture.label].add(picture.source)
            scenes[picture.label].add(picture.group)
        for file in self.skipped:
            files[file.label].add(file.path)
        return {
            label: (len(files[label]), pictures[label], len(scenes[label])) for label in self.labels
        }

    def in_two_classes(self) -> list[list[Picture]]:
        """Return the groups of equal pictures whose members do not agree on the class."""
        return [same for same in self.copies if len({each.label for each in same}) > 1]

    def in_two_parts(self) -> list[list[Picture]]:
        """Return the groups of equal pictures that the user has put into both parts of a split."""
        return [same for same in self.copies if len({each.part for each in same} - {None}) > 1]

    def record(self) -> dict[str, Any]:
        """Return the counts of each class and the files that deserve a look, for the run record."""
        names = ("files", "pictures", "scenes")
        in_two = {"in_two_classes": self.in_two_classes(), "in_two_parts": self.in_two_parts()}
        return {
            "classes": {
                label: dict(zip(names, counts, strict=True))
                for label, counts in self.counts().items()
            },
            "skipped": [{"file": file.path, "reason": file.reason} for file in self.skipped],
            **{
                kind: [[str(picture) for picture in same] for same in groups]
                for kind, groups in in_two.items()
            },
        }


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


def load(annotations: Sequence[Annotation], frames: Path, required: Sequence[str] = ()) -> Dataset:
    """Decode every file once, in parallel, and find out which pictures belong together.

    Frames of videos are kept in the folder `frames`. One file a thread is in memory at a time,
    then only thumbnails. A class without a picture is left out with a warning; if it is `required`,
    `UserError` is raised.
    """
    files: dict[Path, list[Annotation]] = {}
    for annotation in annotations:
        files.setdefault(annotation.path, []).append(annotation)
    pictures: list[Picture] = []
    thumbnails: list[np.ndarray] = []
    skipped: list[SkippedFile] = []
    with Progress(len(files), "files") as progress:
        for its, seen in zip(
            files.values(), parallel_map(partial(_scan, frames=frames), files.values()), strict=True
        ):
            progress.update()
            if isinstance(seen, str):
                labels = dict.fromkeys(annotation.label for annotation in its)
                skipped += [SkippedFile(its[0].path, label, seen) for label in labels]
                continue
            for picture, thumbnail in seen:
                pictures.append(picture)
                thumbnails.append(thumbnail)
    usable = {picture.label for picture in pictures}
    for label in sorted({annotation.label for annotation in annotations} - usable):
        file = next(file for file in skipped if file.label == label)
        what = f"{label!r} holds nothing that decodes ({file.path} {file.reason})"
        if label in required:
            raise UserError(f"{what}; add pictures or videos", "labels")
        print_error("warning", f"{what}; it is left out")
    skipped = [file for file in skipped if file.label in usable]
    points = np.array(thumbnails, np.uint8).reshape(len(pictures), -1)
    return _grouped(pictures, points, skipped)


def _scan(
    annotations: Sequence[Annotation], frames: Path
) -> list[tuple[Picture, np.ndarray]] | str:
    """Return the pictures of a file with their thumbnails; or the reason why it has none.

    Of frames that are nearly the same and have the same label there is the first one.
    """
    path = annotations[0].path
    try:
        if path.suffix.lower() not in VIDEO_ENDINGS - {".gif"}:
            return [_see(annotation) for annotation in annotations]
        if not stat.S_ISREG(path.stat().st_mode):
            return "is not a regular file"  # a pipe would be waited for
        stills = keep_frames(path, annotations, frames)
    except UnreadableImageError as error:
        return str(error)
    except UserError as error:
        if error.about != str(path):  # a full disk is not the video's fault
            raise
        return str(error).removeprefix(f"{path} ")
    except OSError as error:
        if error.filename != str(path):
            raise
        return error.strerror or str(error)
    seen: list[tuple[Picture, np.ndarray]] = []
    for annotation, its in zip(annotations, stills, strict=True):
        for still in its:
            picture, thumbnail = _see(annotation, still)
            if not any(
                _difference(thumbnail, other) < SAME_FRAME
                for before, other in seen
                if before.label == picture.label
            ):
                seen.append((picture, thumbnail))
    return seen or "has no frame at the times that are asked for"


def _see(annotation: Annotation, still: Still | None = None) -> tuple[Picture, np.ndarray]:
    """Return the picture of a file, or a frame of it, not yet in a group, and its thumbnail."""
    path = still.file if still else annotation.path
    try:
        encoded, image = read_image(path)
    except UnreadableImageError as error:
        if still:  # by a power cut, say
            path.unlink()
            raise UserError(f"{path} was damaged, and is removed; start again") from error
        raise
    thumbnail = shrink_or_grow(image, THUMBNAIL_SIDE, THUMBNAIL_SIDE).ravel()
    picture = Picture(
        path,
        annotation.label,
        hashlib.blake2b(encoded, digest_size=16).hexdigest(),
        group=0,
        video=annotation.path if still else None,
        time=still.time if still else 0.0,
        part=annotation.part,
        site=annotation.site,
    )
    return picture, thumbnail


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the root mean square difference of two uint8 arrays."""
    return float(np.sqrt(np.square(first.astype(np.float32) - second).mean()))


def _grouped(
    pictures: Sequence[Picture], thumbnails: np.ndarray, skipped: list[SkippedFile]
) -> Dataset:
    """Put pictures with their (N, 768) uint8 thumbnails into groups of the same scene.

    That is the same picture, or the same video, site or burst.
    """
    equal = link_equal(thumbnails)
    links = np.array([*equal, *_scene_links(pictures, thumbnails)], int).reshape(-1, 2)
    scenes = groups_of(len(pictures), links)
    pictures = [
        replace(picture, group=int(scene)) for picture, scene in zip(pictures, scenes, strict=True)
    ]
    copies: dict[int, list[Picture]] = {}
    for picture, number in zip(pictures, groups_of(len(pictures), equal), strict=True):
        copies.setdefault(number, []).append(picture)
    return Dataset(
        pictures,
        skipped,
        [same for same in copies.values() if len({picture.source for picture in same}) > 1],
    )


def _scene_links(pictures: Sequence[Picture], thumbnails: np.ndarray) -> Iterator[tuple[int, int]]:
    """Link pictures of the same video or site, and neighbours that look like one burst."""
    first_of: dict[object, int] = {}
    for index, picture in enumerate(pictures):
        for place in (picture.video, picture.site):
            if place is not None:
                yield first_of.setdefault(place, index), index
    files = [index for index, picture in enumerate(pictures) if not picture.video]
    files.sort(key=lambda index: natural_order(str(pictures[index].path)))
    for first, second in itertools.pairwise(files):
        near = pictures[first].path.parent == pictures[second].path.parent
        if near and _difference(thumbnails[first], thumbnails[second]) < SAME_SCENE:
            yield first, second
