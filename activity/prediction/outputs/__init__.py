"""What may be made of a clip: one module each, and the registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from activity.prediction.output import PARTS, Output
from activity.prediction.outputs.frames import FrameTable
from activity.prediction.outputs.page import Page
from activity.prediction.outputs.preview import Preview
from activity.prediction.outputs.report import Report
from activity.prediction.outputs.timeline import Timeline
from activity.prediction.outputs.uncertain import UncertainFrames
from activity.prediction.outputs.video import Video

# In this order they take in frames, and are finished.
OUTPUTS: dict[str, type[Output]] = {
    kind.name: kind
    for kind in (Video, FrameTable, Report, Timeline, Page, UncertainFrames, Preview)
}
FOLDER = Path("output")  # of annotated videos, where none is named


def files_of(outputs: Mapping[str, Any]) -> dict[str, Path]:
    """Return those outputs of a clip, by kind, that are files of its own.

    Others are a window, or parts of what is made of all clips.
    """
    files = {kind: path for kind, path in outputs.items() if OUTPUTS[kind].endings}
    return {k: path for k, path in files.items() if not any(p.endswith(PARTS) for p in path.parts)}
