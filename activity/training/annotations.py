"""The label of a file or of a stretch of a video."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

TRAIN, TEST = "train", "test"
# What the parts of a split are called, as folders and in tables. Nothing here is chosen by looking
# at a validation part, so it tells as much about unseen pictures as a test part does.
_TRAIN_WORDS = r"train[\W_]*val|train(?:ing)?|trn"
_TEST_WORDS = (
    r"val(?:id(?:ation|ate)?)?|dev(?:el(?:opment)?)?|tests?|testing|tst|eval(?:uation|uate)?"
    r"|h[oe]ld[\W_]*out"
)
_OTHER_WORDS = (
    "(?:data|sets?|images?|imgs?|pictures?|pics?|photos?|videos?|clips?|frames?|files?|split|part"
    "|folder|dir)"
)
_PART = re.compile(
    rf"(?<![^\W\d_]){_OTHER_WORDS}*(?:(?P<train>{_TRAIN_WORDS})|(?P<test>{_TEST_WORDS}))"
    rf"{_OTHER_WORDS}*(?![^\W\d_])"
)


def part_of(name: str) -> tuple[str | None, str]:
    """Return the part of a split that a name stands for, or None, and what else its words say.

    TrainingSet is the training part, and nothing else; test_match is the test part of a match.
    """
    name = unicodedata.normalize("NFKC", name)
    name = re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower()
    found = _PART.search(name)
    others = re.findall(r"[^\W\d_]+", _PART.sub(" ", name, count=1))
    rest = " ".join(word for word in others if not re.fullmatch(f"{_OTHER_WORDS}+", word))
    return found and found.lastgroup, rest


@dataclass(frozen=True)
class Annotation:
    """The label of a picture, or of a video from `start` to `end`, in seconds."""

    path: Path
    label: str
    part: str | None = None  # TRAIN or TEST, if the user has split the data
    site: str | None = None  # what comes from one site stands in one part
    start: float = 0.0
    end: float | None = None  # None for the end of the video
