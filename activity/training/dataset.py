"""What is there to learn from: pictures and frames of videos, and which of them belong together."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from activity.cli import Progress
from activity.errors import SourceError, UserError, print_error
from activity.preprocessing import resize, shrink_or_grow
from activity.streams import parallel_map
from activity.text import natural_order
from activity.training.annotations import TEST, TRAIN, Annotation
from activity.training.footage import extract_frames, time_of
from activity.training.images import check_file, read_image
from activity.training.near_duplicates import THUMBNAIL_SIDE, groups_of, link_near_duplicates
from activity.video.sources import is_own_video, is_video

# Root mean square differences of two thumbnails, in grey levels of 255. A frame of a video that is
# nearer to another one would teach nothing new; nearer pictures whose names follow each other are
# of one burst or clip. Neighbours in the tutorial's sports images, which come from everywhere, are
# at least 29 apart; frames of eleven clips, a second apart, between 2 and 27 (medians).
SAME_FRAME, SAME_SCENE = 2.0, 20.0


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

    def __str__(self) -> str:
        return f"{self.source} {self.time:.2f} s" if self.video else str(self.source)


class SkippedFile(NamedTuple):
    """One file that cannot be used, and why."""

    path: Path
    label: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """What was found: pictures, those that are the same, and files that cannot be used."""

    pictures: list[Picture]
    skipped: list[SkippedFile]
    near_duplicates: list[list[Picture]]  # groups of files that show the same picture

    @property
    def labels(self) -> list[str]:
        """The class names in alphabetical order, which is that of the model's outputs."""
        return sorted({picture.label for picture in self.pictures})

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return the numbers of files, of pictures and frames, and of scenes in each class."""
        files = {(each.label, each.source) for each in self.pictures}
        files |= {(each.label, each.path) for each in self.skipped}
        scenes = {(each.label, each.group) for each in self.pictures}
        of_files, of_scenes = (Counter(label for label, _ in each) for each in (files, scenes))
        pictures = Counter(each.label for each in self.pictures)
        return {each: (of_files[each], pictures[each], of_scenes[each]) for each in self.labels}

    def in_two_classes(self) -> list[list[Picture]]:
        """Return the groups of equal pictures whose members do not agree on the class."""
        return [same for same in self.near_duplicates if len({each.label for each in same}) > 1]

    def in_two_parts(self) -> list[list[Picture]]:
        """Return the groups of equal pictures that the user has put into both parts of a split."""
        return [same for same in self.near_duplicates if {TRAIN, TEST} <= {p.part for p in same}]

    def record(self) -> dict[str, Any]:
        """Return the counts of each class and the files that deserve a look, for the run record."""
        names = ("files", "pictures", "scenes")
        counts = self.counts().items()
        return {
            "classes": {label: dict(zip(names, each, strict=True)) for label, each in counts},
            "skipped": [{"file": file.path, "reason": file.reason} for file in self.skipped],
            "in_two_classes": [[str(each) for each in same] for same in self.in_two_classes()],
            "in_two_parts": [[str(each) for each in same] for same in self.in_two_parts()],
        }


def read_picture(picture: Picture) -> np.ndarray:
    """Decode a picture that decoded before, (H, W, 3) uint8 RGB; else raise `UserError`."""
    try:
        return read_image(picture.path)[1]
    except SourceError as error:
        raise UserError(f"{error}; it changed during the run, start again") from error


def plain_images(pictures: Sequence[Picture], rule: str, size: int) -> Iterator[np.ndarray]:
    """Yield each picture as the model sees it without augmentation, (size, size, 3) uint8 RGB."""
    return parallel_map(lambda picture: resize(read_picture(picture), rule, size), pictures)


def load(annotations: Sequence[Annotation], frames: Path, required: Sequence[str] = ()) -> Dataset:
    """Decode every file once, in parallel, and find out which pictures belong together.

    That is the same picture, or the same video, site or burst. Frames of videos are kept in the
    folder `frames`. One file a thread is in memory at a time, then only thumbnails. A class without
    a picture is left out with a warning; if it is `required`, `UserError` is raised.
    """
    rows_of: dict[Path, list[Annotation]] = {}
    for annotation in annotations:
        rows_of.setdefault(annotation.path, []).append(annotation)
    samples: list[tuple[Picture, np.ndarray]] = []
    skipped: list[SkippedFile] = []
    with Progress(len(rows_of), "files") as progress:
        scanned = parallel_map(partial(_scan, frames=frames), rows_of.values())
        for (path, rows), found in zip(rows_of.items(), scanned, strict=True):
            progress.update()
            if isinstance(found, str):
                labels = dict.fromkeys(row.label for row in rows)
                skipped += [SkippedFile(path, label, found) for label in labels]
            else:
                samples += found
    usable = {picture.label for picture, _ in samples}
    for label in sorted({annotation.label for annotation in annotations} - usable):
        path, _, reason = next(file for file in skipped if file.label == label)
        message = f"{label!r} holds nothing that decodes ({path} {reason})"
        if label in required:
            raise UserError(f"{message}; add pictures or videos")
        print_error("warning", f"{message}; it is left out")

    pictures = [picture for picture, _ in samples]
    thumbnails = np.array([thumbnail for _, thumbnail in samples], np.uint8)
    equal = link_near_duplicates(thumbnails)
    links = np.array([*equal, *_scene_links(pictures, thumbnails)], int).reshape(-1, 2)
    scenes = groups_of(len(pictures), links).tolist()
    pictures = [replace(each, group=scene) for each, scene in zip(pictures, scenes, strict=True)]
    same: dict[int, list[Picture]] = {}
    for picture, number in zip(pictures, groups_of(len(pictures), equal), strict=True):
        same.setdefault(number, []).append(picture)
    several = [group for group in same.values() if len({each.source for each in group}) > 1]
    return Dataset(pictures, [file for file in skipped if file.label in usable], several)


def _scan(rows: Sequence[Annotation], frames: Path) -> list[tuple[Picture, np.ndarray]] | str:
    """Return the pictures of a file with their thumbnails; or the reason why it has none.

    Of frames that are nearly the same and have the same label there is the first one.
    """
    path = rows[0].path
    found: list[tuple[Picture, np.ndarray]] = []
    try:
        if not is_video(path) or path.suffix.lower() == ".gif":
            return [_sampled(row) for row in rows]
        check_file(path)
        if is_own_video(path):
            return "was written by predict_video.py"
        for row, stills in zip(rows, extract_frames(path, rows, frames), strict=True):
            for still in stills:
                picture, thumbnail = _sampled(row, still)
                kept = (other for each, other in found if each.label == row.label)
                if all(_difference(thumbnail, other) >= SAME_FRAME for other in kept):
                    found.append((picture, thumbnail))
    except SourceError as error:
        return str(error).removeprefix(f"{path} ")
    return found or "has no frame at the times that are asked for"


def _sampled(row: Annotation, still: Path | None = None) -> tuple[Picture, np.ndarray]:
    """Return the picture of a file, or a frame of it, not yet in a group, and its thumbnail."""
    try:
        encoded, image = read_image(still or row.path)
    except SourceError as error:
        if not still:
            raise
        still.unlink()  # damaged by a power cut, say
        raise UserError(f"{still} was damaged, and is removed; start again") from error
    digest = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    path, video, time = (still, row.path, time_of(still)) if still else (row.path, None, 0.0)
    picture = Picture(path, row.label, digest, 0, video, time, row.part, row.site)
    return picture, shrink_or_grow(image, THUMBNAIL_SIDE, THUMBNAIL_SIDE).ravel()


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the root mean square difference of two uint8 arrays."""
    return float(np.sqrt(np.square(first.astype(np.float32) - second).mean()))


def _scene_links(pictures: Sequence[Picture], thumbnails: np.ndarray) -> Iterator[tuple[int, int]]:
    """Link pictures of the same video or site, and neighbours that look like one burst."""
    first_of: dict[object, int] = {}
    for index, picture in enumerate(pictures):
        for place in filter(None, (picture.video, picture.site)):
            yield first_of.setdefault(place, index), index
    files = [index for index, picture in enumerate(pictures) if not picture.video]
    files.sort(key=lambda index: natural_order(str(pictures[index].path)))
    for first, second in itertools.pairwise(files):
        near = pictures[first].path.parent == pictures[second].path.parent
        if near and _difference(thumbnails[first], thumbnails[second]) < SAME_SCENE:
            yield first, second
