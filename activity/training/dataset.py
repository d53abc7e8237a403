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
from activity.pictures import check_file, read_image
from activity.preprocessing import resize, shrink_or_grow
from activity.streams import parallel_map
from activity.text import natural_order
from activity.training.annotations import TEST, TRAIN, Annotation
from activity.training.footage import extract_frames, time_of
from activity.training.frame_names import clips_by_name
from activity.training.near_duplicates import (
    THUMBNAIL_SIDE,
    difference,
    groups_of,
    link_near_duplicates,
)
from activity.video.content import kind_of
from activity.video.sources import is_own

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
    time: float = 0.0  # seconds, as a player shows it
    part: str | None = None  # annotations.TRAIN or TEST, where somebody says so
    site: str | None = None  # pictures of one site are of one group
    cut_from: Path | None = None  # names of the frames of one clip, match_*, if it is one of them

    @property
    def clip(self) -> Path | None:
        """What stands for the clip that it is a frame of."""
        return self.video or self.cut_from

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

    That is the same picture, or the same clip, site or burst. Frames of videos are kept in the
    folder `frames`. One file a thread is in memory at a time, then only thumbnails. A class without
    a picture is left out with a warning; if it is `required`, `UserError` is raised, as it is for a
    test part without one.
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
    tested = [each.path for each in annotations if each.part == TEST]
    if tested and not any(picture.part == TEST for picture, _ in samples):
        reasons = {path: reason for path, _, reason in skipped}
        reason = reasons.get(tested[0], "has no frame at the times that are asked for")
        raise UserError(
            f"the test part holds nothing that decodes ({tested[0]} {reason}); add some that does"
        )
    usable = {picture.label for picture, _ in samples}
    for label in sorted({annotation.label for annotation in annotations} - usable):
        path, _, reason = next(file for file in skipped if file.label == label)
        message = f"{label!r} holds nothing that decodes ({path} {reason})"
        if label in required:
            raise UserError(f"{message}; add pictures or videos")
        print_error("warning", f"{message}; it is left out")

    pictures = [picture for picture, _ in samples]
    thumbnails = np.array([thumbnail for _, thumbnail in samples], np.uint8)
    files = [n for n in _in_order(pictures) if not pictures[n].site]
    labelled = [(pictures[n].path, pictures[n].label) for n in files]
    for n, clip in zip(files, clips_by_name(labelled, thumbnails[files]), strict=True):
        pictures[n] = replace(pictures[n], cut_from=clip)
    equal = link_near_duplicates(thumbnails)
    links = np.array([*equal, *_scene_links(pictures, thumbnails)], int).reshape(-1, 2)
    scenes = groups_of(len(pictures), links).tolist()
    pictures = [replace(each, group=scene) for each, scene in zip(pictures, scenes, strict=True)]
    same: dict[int, list[Picture]] = {}
    for picture, number in zip(pictures, groups_of(len(pictures), equal), strict=True):
        same.setdefault(number, []).append(picture)
    several = [group for group in same.values() if len({each.source for each in group}) > 1]
    _say_clips_named(pictures)
    return Dataset(pictures, [file for file in skipped if file.label in usable], several)


def _say_clips_named(pictures: Sequence[Picture]) -> None:
    """Say which pictures are frames of clips by their names, and whether the user's split cuts."""
    parts_of: dict[Path, set[str | None]] = {}
    named = [(picture, picture.cut_from) for picture in pictures if picture.cut_from]
    for picture, clip in named:
        parts_of.setdefault(clip, set()).add(picture.part)
    if named:
        count = "1 clip" if len(parts_of) == 1 else f"{len(parts_of)} clips"
        cut = sum({TRAIN, TEST} <= parts for parts in parts_of.values())
        tested = any(picture.part == TEST for picture in pictures)
        where = f"of these, {cut} in both parts of your split" if tested else "each is in one part"
        said = f"{len(named)} pictures are frames of {count} by their names, as {named[0][0]}"
        print_error("warning" if cut else "note", f"{said}: {where}")


def _scan(rows: Sequence[Annotation], frames: Path) -> list[tuple[Picture, np.ndarray]] | str:
    """Return the pictures of a file with their thumbnails; or the reason why it has none.

    Of frames that are nearly the same and have the same label there is the first one.
    """
    path = rows[0].path
    found: list[tuple[Picture, np.ndarray]] = []
    try:
        check_file(path)
        if is_own(path):
            return "was written by predict_video.py"
        if kind_of(path) != "video":
            return [_sampled(row) for row in rows]
        for row, stills in zip(rows, extract_frames(path, rows, frames), strict=True):
            for still in stills:
                picture, thumbnail = _sampled(row, still)
                kept = (other for each, other in found if each.label == row.label)
                if all(difference(thumbnail, other) >= SAME_FRAME for other in kept):
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


def _scene_links(pictures: Sequence[Picture], thumbnails: np.ndarray) -> Iterator[tuple[int, int]]:
    """Link pictures of the same clip or site, and neighbours that look like one burst."""
    first_of: dict[object, int] = {}
    for index, picture in enumerate(pictures):
        for place in filter(None, (picture.clip, picture.site)):
            yield first_of.setdefault(place, index), index
    for first, second in itertools.pairwise(_in_order(pictures)):
        near = pictures[first].path.parent == pictures[second].path.parent
        if near and difference(thumbnails[first], thumbnails[second]) < SAME_SCENE:
            yield first, second


def _in_order(pictures: Sequence[Picture]) -> list[int]:
    """Return the indices of the pictures that are files, in the order of their names."""
    files = [index for index, picture in enumerate(pictures) if not picture.video]
    return sorted(files, key=lambda index: natural_order(str(pictures[index].path)))
