"""The split: what is trained on, and what it is tested on, which shows other scenes."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """Both parts of a split, and remarks on how much the test part says."""

    train: list[Picture]
    test: list[Picture]
    remarks: list[str]


def split(data: Dataset, settings: Settings) -> Parts:
    """Split into training and test part, always with the same seed, unless the user has split it.

    Single pictures are split as the tutorial does, stratified; of the videos of each class a
    quarter is taken. A group goes as a whole, so that no scene stands in both parts, but for a
    class that shows one scene only. Raises `UserError` if a class has too few different pictures.
    """
    if len(data.labels) < 2:
        raise UserError("fewer than two classes have pictures; add some of others")
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
        assigned = {picture.group for picture in pictures if picture.part}
        free = [picture for picture in pictures if picture.group not in assigned]
        uncut = [picture for picture in free if picture.label not in cut]
        drawn = _drawn_pictures(uncut, settings) | _drawn_videos(uncut, settings)
        held_out = _balanced(drawn, free, settings)
        test = [picture for picture in pictures if picture.group in held_out]
        train = [picture for picture in pictures if picture.group not in held_out]
    if not test:
        raise UserError(
            "nothing is left to test on: all is for training, or one scene; add other pictures"
        )
    for label in sorted(set(data.labels) - _by_label(train).keys()):
        raise UserError(
            f"class {label!r} has nothing to train on that is not tested; add other pictures"
        )
    return Parts(train, test, _remarks(train, test, cut))


def _with_scenes_cut(data: Dataset) -> tuple[list[Picture], set[str]]:
    """Cut the scene of each class that has only one into four, in the order of the files' names.

    Return the pictures with their new groups, and the labels of such classes.
    """
    next_group = max(picture.group for picture in data.pictures) + 1
    groups: dict[Picture, int] = {}
    cut = set()
    for label, pictures in _by_label(data.pictures).items():
        if len({picture.group for picture in pictures}) > 1 or any(p.part for p in pictures):
            continue
        cut.add(label)
        pictures.sort(key=lambda picture: natural_order(str(picture.path)))
        order = {digest: n for n, digest in enumerate(dict.fromkeys(p.digest for p in pictures))}
        for picture in pictures:
            groups[picture] = next_group + order[picture.digest] * MIN_PICTURES // len(order)
        next_group += MIN_PICTURES
    return [replace(each, group=groups.get(each, each.group)) for each in data.pictures], cut


def _drawn_pictures(pictures: Sequence[Picture], settings: Settings) -> set[int]:
    """Draw a quarter of the single pictures, as the tutorial does; return their groups.

    A group goes where its first picture goes.
    """
    of_videos = {picture.group for picture in pictures if picture.clip}
    singles = [picture for picture in pictures if picture.group not in of_videos]
    counts = Counter(picture.label for picture in singles)
    singles = [picture for picture in singles if counts[picture.label] >= MIN_PICTURES]
    if not singles:
        return set()
    first_of = {picture.group: picture for picture in reversed(singles)}
    classes = [picture.label for picture in singles]
    share, seed = settings.test_share, settings.split_seed
    _, drawn = train_test_split(singles, test_size=share, stratify=classes, random_state=seed)
    return {picture.group for picture in drawn if picture is first_of[picture.group]}


def _drawn_videos(pictures: Sequence[Picture], settings: Settings) -> set[int]:
    """Draw a quarter of the groups with clips of each class, rounded down; return them.

    A group of several classes counts for the one it shows most of.
    """
    frames = defaultdict[int, Counter[str]](Counter)
    for picture in pictures:
        if picture.clip:
            frames[picture.group][picture.label] += 1
    groups_of = defaultdict[str, list[int]](list)
    for group, counts in frames.items():
        groups_of[counts.most_common(1)[0][0]].append(group)
    drawn = set[int]()
    for groups in groups_of.values():
        shuffled = np.random.default_rng(settings.split_seed).permutation(groups)
        drawn.update(shuffled[: int(settings.test_share * len(groups))].tolist())
    return drawn


def _balanced(drawn: set[int], pictures: Sequence[Picture], settings: Settings) -> set[int]:
    """Change the drawn groups so that each class is trained on and, where that can be, tested."""
    # The groups of each class, with their numbers of its pictures.
    classes = [Counter(p.group for p in members) for members in _by_label(pictures).values()]
    for sizes in classes:
        if not sizes.keys() - drawn:
            drawn.discard(max(sizes, key=lambda group: sizes[group]))
    for sizes in classes:
        if sizes.keys() & drawn:
            continue
        # What shows several classes may be all that there is to train on of another one.
        possible = [
            group
            for group in sizes
            if all(other.keys() - drawn - {group} for other in classes if group in other)
        ]
        if possible:
            quarter = settings.test_share * sizes.total()
            # Of several that are equally good, the last one.
            drawn.add(min(reversed(possible), key=lambda group: abs(sizes[group] - quarter)))
    return drawn


def _remarks(train: Sequence[Picture], test: Sequence[Picture], cut: set[str]) -> list[str]:
    """Say of which classes the test part tells little."""
    remarks = []
    in_test = _by_label(test)
    more = f"add some until there are {MIN_VIDEOS}"
    for label, in_training in _by_label(train).items():
        tested = {picture.clip for picture in in_test.get(label, []) if picture.clip}
        videos = tested | {picture.clip for picture in in_training if picture.clip}
        if label in cut:
            remarks.append(
                f"{label}: all pictures show one scene; its last quarter is tested, which says "
                "little about other scenes: the accuracy is optimistic"
            )
        elif tested and len(videos) < MIN_VIDEOS:
            remarks.append(
                f"{label}: of {len(videos)} videos {len(tested)} is tested, so what is said about "
                f"videos is a guess; {more}"
            )
        elif 0 < len(videos) < MIN_VIDEOS:
            remarks.append(f"{label}: nothing is said about videos, as none is tested; {more}")
        if label not in in_test:
            remarks.append(f"{label}: nothing of it is in the test part")
    return remarks


def _by_label(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Return the pictures of each class, in alphabetical order of the classes."""
    classes: dict[str, list[Picture]] = {}
    for picture in sorted(pictures, key=lambda picture: picture.label):
        classes.setdefault(picture.label, []).append(picture)
    return classes
