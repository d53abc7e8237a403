"""The split: what is trained on, and what it is tested on, which shows other scenes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from activity.errors import UserError
from activity.text import natural_order
from activity.training.annotations import TEST
from activity.training.dataset import Dataset, Picture
from activity.training.settings import Settings

# Below four, a quarter of a class can be no picture at all, and a quarter of its videos no video.
MIN_PICTURES = MIN_VIDEOS = 4


@dataclass(frozen=True)
class Parts:
    """Both parts of a split, and what there is to say about what the test part is worth."""

    train: list[Picture]
    test: list[Picture]
    remarks: list[str]

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the record of a run."""
        videos = {str(picture.video) for picture in self.test if picture.video}
        counts = {"training_images": len(self.train), "test_images": len(self.test)}
        return counts | {"test_videos": sorted(videos), "remarks": self.remarks}


def split(data: Dataset, settings: Settings) -> Parts:
    """Split into training and test part, always with the same seed, unless the user has split it.

    Single pictures are split as the tutorial does, stratified; of the videos of each class a
    quarter is taken. A group goes as a whole, so that no scene stands in both parts, but for a
    class that shows one scene only. Raises `UserError` if a class has too few different pictures.
    """
    if len(data.labels) < 2:
        raise UserError("fewer than two classes have pictures; add some of others", "labels")
    for label, pictures in _by_label(data.pictures).items():
        different = len({picture.digest for picture in pictures})
        if different < MIN_PICTURES:
            raise UserError(
                f"class {label!r} has too few different pictures, {different}; add some until "
                f"there are at least {MIN_PICTURES}, so that a quarter can be kept for testing"
            )
    pictures, cut = data.pictures, set[str]()
    test = [picture for picture in pictures if picture.part == TEST]
    train = [picture for picture in pictures if picture.part != TEST]
    if not test:
        pictures, cut = _with_scenes_cut(data)
        told = {picture.group for picture in pictures if picture.part}
        free = [picture for picture in pictures if picture.group not in told]
        drawn = _drawn_pictures(free, cut, settings) | _drawn_videos(free, cut, settings)
        held_out = _balanced(drawn, free, settings)
        test = [picture for picture in pictures if picture.group in held_out]
        train = [picture for picture in pictures if picture.group not in held_out]
    for label in sorted(set(data.labels) - _by_label(train).keys()):
        raise UserError(
            f"class {label!r} has nothing to train on that is not tested; add other pictures"
        )
    return Parts(train, test, _remarks(train, test, cut))


def _with_scenes_cut(data: Dataset) -> tuple[list[Picture], set[str]]:
    """Cut the scene of each class that has only one into four that follow each other.

    Return the pictures with their groups then, and the labels of such classes.
    """
    groups = max(picture.group for picture in data.pictures) + 1
    changed: dict[Picture, int] = {}
    cut = set()
    for label, pictures in _by_label(data.pictures).items():
        if len({picture.group for picture in pictures}) > 1 or any(p.part for p in pictures):
            continue
        cut.add(label)
        pictures.sort(key=lambda picture: natural_order(str(picture.path)))
        order = {digest: n for n, digest in enumerate(dict.fromkeys(p.digest for p in pictures))}
        for picture in pictures:
            changed[picture] = groups + order[picture.digest] * MIN_PICTURES // len(order)
        groups += MIN_PICTURES
    return [replace(p, group=changed.get(p, p.group)) for p in data.pictures], cut


def _drawn_pictures(pictures: Sequence[Picture], cut: set[str], settings: Settings) -> set[int]:
    """Draw a quarter of the single pictures, as the tutorial does.

    All copies of a picture go where the first one goes. Return the groups.
    """
    of_videos = {picture.group for picture in pictures if picture.video}
    singles = [p for p in pictures if p.group not in of_videos and p.label not in cut]
    counts = Counter(picture.label for picture in singles)
    singles = [picture for picture in singles if counts[picture.label] >= MIN_PICTURES]
    if not singles:
        return set()
    first_of = {picture.group: picture for picture in reversed(singles)}
    _, drawn = train_test_split(
        singles,
        test_size=settings.test_share,
        stratify=[picture.label for picture in singles],
        random_state=settings.split_seed,
    )
    return {picture.group for picture in drawn if picture is first_of[picture.group]}


def _drawn_videos(pictures: Sequence[Picture], cut: set[str], settings: Settings) -> set[int]:
    """Draw a quarter of the groups with videos of each class, rounded down; return them."""
    labels: dict[int, Counter[str]] = {}
    for picture in pictures:
        if picture.video and picture.label not in cut:
            labels.setdefault(picture.group, Counter())[picture.label] += 1
    groups_of: dict[str, list[int]] = {}
    for group, its in labels.items():
        groups_of.setdefault(its.most_common(1)[0][0], []).append(group)
    drawn: set[int] = set()
    for groups in groups_of.values():
        random = np.random.default_rng(settings.split_seed)
        count = int(settings.test_share * len(groups))
        drawn |= {groups[index] for index in random.permutation(len(groups))[:count]}
    return drawn


def _balanced(drawn: set[int], pictures: Sequence[Picture], settings: Settings) -> set[int]:
    """Change the drawn groups so that each class is trained on and, where that can be, tested."""
    drawn = set(drawn)
    sizes = [Counter(each.group for each in its) for its in _by_label(pictures).values()]
    for its in sizes:
        if not its.keys() - drawn:
            drawn.discard(max(its, key=lambda group: its[group]))
    for its in sizes:
        if its.keys() & drawn:
            continue
        # What shows several classes may be all that there is to train on of another one.
        possible = [
            group
            for group in its
            if all(other.keys() - drawn - {group} for other in sizes if group in other)
        ]
        if possible:
            wanted = settings.test_share * its.total()
            # Of several that are equally good, the last one.
            drawn.add(min(reversed(possible), key=lambda group: abs(its[group] - wanted)))
    return drawn


def _remarks(train: Sequence[Picture], test: Sequence[Picture], cut: set[str]) -> list[str]:
    """Say of which classes the test part tells little."""
    remarks = []
    tested = _by_label(test)
    for label, trained in _by_label(train).items():
        taught, asked = (
            {picture.video for picture in pictures if picture.video}
            for pictures in (trained, tested.get(label, []))
        )
        few = len(taught | asked) < MIN_VIDEOS
        if label in cut:
            remarks.append(
                f"{label}: all pictures show one scene; its last quarter is tested, which says "
                "little about other scenes: the accuracy is optimistic"
            )
        elif few and asked:
            remarks.append(
                f"{label}: of {len(taught | asked)} videos {len(asked)} is tested, so what is said "
                f"about videos is a guess; add some until there are {MIN_VIDEOS}"
            )
        elif few and taught:
            remarks.append(
                f"{label}: nothing is said about videos, as none is tested; add some until there "
                f"are {MIN_VIDEOS}"
            )
        if label not in tested:
            remarks.append(f"{label}: nothing of it is in the test part")
    return remarks


def _by_label(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Return the pictures of each class, in alphabetical order of the classes."""
    found: dict[str, list[Picture]] = {label: [] for label in sorted({p.label for p in pictures})}
    for picture in pictures:
        found[picture.label].append(picture)
    return found
