"""What a clip's labels, and the pictures made of them, depend on besides the clip and the model."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from activity.cli import given_settings, real_number, setting, whole_number
from activity.errors import UserError
from activity.label_file import UNCERTAIN
from activity.prediction.smoothers import SMOOTHERS, Smoother
from activity.prediction.smoothers.mean import Mean
from activity.video.backends import USUAL_FPS

LONGEST = 10**6  # seconds of a clip


def stride(text: str) -> int | str:
    """Parse a stride."""
    try:
        return text if text == "auto" else whole_number(1, 10**6)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor 'auto'") from error


@dataclass(frozen=True)
class Settings:
    """How clips are labelled; reports hold these."""

    smoother: Smoother = field(default_factory=Mean)
    min_probability: float = setting(
        0.0, "--min-probability", type=real_number(0, 1), metavar="P",
        help=f"label it '{UNCERTAIN}' where the smoothed probability is lower (default: 0)",
    )  # fmt: skip
    start: float = setting(
        0.0, "--start", type=real_number(0, LONGEST), metavar="SECONDS",
        help="where to begin (default: 0)",
    )  # fmt: skip
    end: float | None = setting(
        None, "--end", type=real_number(0, LONGEST), metavar="SECONDS",
        help="where to stop (default: the end of the clip)",
    )  # fmt: skip
    stride: int | Literal["auto"] = setting(
        1, "--stride", type=stride, metavar="N|auto",
        help="classify every Nth frame, or about five per second; those between are written, too "
        "(default: 1)",
    )  # fmt: skip
    fps: float | None = setting(
        None, "--fps", type=real_number(0.01, 1000), metavar="N",
        help="frames per second of what has no times: numbered pictures (default: "
        f"{USUAL_FPS:g}) and raw streams (default: what they say, or 25)",
    )  # fmt: skip
    track: int | None = setting(
        None, "--track", type=whole_number(1, 100), metavar="N",
        help="which of several videos in a file (default: the one that players show)",
    )  # fmt: skip
    top: int = setting(
        1, "--top", type=whole_number(1, 100), metavar="K",
        help="draw the K most probable classes (default: 1)",
    )  # fmt: skip

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return those that options ask for, by name; raise `UserError` if they do not agree."""
        smoother = SMOOTHERS[options["smoothing"]]
        for other in SMOOTHERS.values():
            for name, value in given_settings(options, other).items() if other != smoother else ():
                raise UserError(f"--{name} {value:g} is for --smoothing {other.name}; leave it out")
        settings = cls(
            smoother(**given_settings(options, smoother)), **given_settings(options, cls)
        )
        if settings.end is not None and settings.end <= settings.start:
            raise UserError(f"--end {settings.end:g} is not after --start {settings.start:g}")
        return settings

    def record(self) -> dict[str, Any]:
        """Return them as they stand in reports."""
        others = {each.name: getattr(self, each.name) for each in fields(self)[1:]}
        return {"smoothing": self.smoother.name, **asdict(self.smoother), **others}  # type: ignore[call-overload]
