"""Which pictures are frames that somebody cut out of clips: names propose it, looks confirm it."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from activity.training.near_duplicates import difference

# Names such as match_0001.jpg are those of frames if neighbours are nearer to each other than to
# others of the class, by this share of the difference. In medians it is 0.04 to 0.67 for frames of
# clips, one to ten seconds apart, and 0.84 where the clips are of one place and last two seconds;
# 0.9 to 1.1 for pictures from everywhere.
SAME_CLIP = 0.8

# What a frame is numbered by: a date with a time, a time, seconds, or a plain number. What stands
# within a word (mp4) or before one (540p, 60fps) is part of a name.
_NUMBER = re.compile(
    r"""(?<!\d)(?<!mp)(?:
        (?:19|20)\d\d[-_.]?\d\d[-_.]?\d\d [-_.\ T]*(?:at[\ _])?
            \d\d[-_.:h]?\d\d[-_.:m]?\d\d(?:[s.]?\d{3})?
        | (?<![^\W_])0\d([-_.:])[0-5]\d\1[0-5]\d(?:[-_.,]\d{3})?
        | (?:\d+h)?\d+m\d+(?:[.,]\d+)?
        | \d+[.,]\d{1,3} | \d+
    )(?!\d)(?=(?:s|sec|ms|f)?(?![^\W\d_]))""",
    re.VERBOSE | re.IGNORECASE,
)
_FRAME = re.compile(r"(?<![^\W\d_])(?:frame|frm|snapshot|time|sec|t|f)[\W_]*$", re.IGNORECASE)
_EXPORTED = re.compile(r"_(?:jpe?g|png)\.rf\.\w+$")  # by Roboflow, with a hash of each picture
_DATE = re.compile(r"(?<!\d)(?:19|20)\d{6}(?!\d)")
# Words of cameras, programs and people for any picture.
_ANY_PICTURE = {
    "img", "image", "images", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos",
    "frame", "frames", "frm", "still", "snapshot", "snap", "screenshot", "screen", "shot",
    "vlcsnap", "capture", "dsc", "dscn", "dscf", "dcim", "pxl", "mvimg", "wa", "gopr", "gopro",
    "dji", "cimg", "burst", "copy", "file", "download", "unnamed", "untitled", "scan", "sample",
    "s", "sec", "ms", "t", "f", "time", "at",
}  # fmt: skip


def clips_by_name(files: Sequence[tuple[Path, str]], thumbnails: np.ndarray) -> list[Path | None]:
    """Return for each file, which has a label, the pattern of its clip's frames, or None.

    They come in the order of their names, with their `thumbnails`, (N, values) uint8. Looks have to
    agree, in the clip or in most of the class, as names may number anything. A class of which all
    would be of one clip is left as it is.
    """
    clips = [clip_of(path, label) for path, label in files]
    # Where frames of a clip have the same name, each folder numbers clips of its own.
    frames = Counter((clip, path.name) for clip, (path, _) in zip(clips, files, strict=True))
    several = {clip for (clip, _), count in frames.items() if count > 1}
    for n, (path, _) in enumerate(files):
        if (clip := clips[n]) and clip in several:
            clips[n] = path.parent / clip.name
    members: dict[str, list[int]] = {}
    for n in sorted(range(len(files)), key=lambda n: str(clips[n])):
        members.setdefault(files[n][1], []).append(n)
    found: list[Path | None] = [None] * len(files)
    for same_class in members.values():
        within: dict[Path, list[float]] = {}
        for first, second in itertools.pairwise(same_class):
            if (clip := clips[first]) and clip == clips[second]:
                apart = difference(thumbnails[first], thumbnails[second])
                within.setdefault(clip, []).append(apart)
        halves = zip(same_class, same_class[len(same_class) // 2 :], strict=False)
        others = [pair for pair in halves if clips[pair[0]] != clips[pair[1]]]
        if not (within and others):
            continue
        limit = SAME_CLIP * np.median([difference(*thumbnails[[*pair]]) for pair in others])
        all_alike = np.median([*itertools.chain(*within.values())]) < limit
        for n in same_class:
            if (clip := clips[n]) in within and (all_alike or np.median(within[clip]) < limit):
                found[n] = clip
    return found


def clip_of(path: Path, label: str) -> Path | None:
    """Return the pattern of the names of a clip's frames, as match_*; None without a number in it.

    It stands for what is below the class folder, so frames in two classes may be of one clip. What
    numbers any picture, as IMG_1234 or the class's own name, tells no more than its folder does.
    """
    name = _EXPORTED.sub("", path.stem)
    numbers = list(_NUMBER.finditer(name))
    if not numbers:
        return None
    counters = [each for each in numbers if _FRAME.search(name[: each.start()])]
    if not counters:
        first, last = numbers[0], numbers[-1]
        # 0001_match_7 and 12_match7 are numbered in front; 01_match_0001, 0001_0012 and match7_12
        # behind.
        zeros = re.match(r"(0\d+)[\W_]+[^\W\d_]", name)
        in_front = first.start() == 0 and name[last.start() - 1].isalpha()
        in_front |= bool(zeros and len(zeros[1]) > min(3, len(last[0])))
        counters = [first if in_front else last]
    rest = name
    for each in reversed(counters):
        rest = f"{rest[: each.start()]}*{rest[each.end() :]}"
    folders = path.parent.parts
    if label in folders:
        folders = folders[len(folders) - folders[::-1].index(label) :]
    known = _ANY_PICTURE | _words(label) | _words(path.parent.name)
    if re.search(r"\d", _DATE.sub("", rest)) or _words(rest) - known:
        return Path(*folders, rest)
    return Path(*folders, "*") if folders else None


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower()))
