"""A JSON report of a clip."""

from dataclasses import asdict
from typing import Any, ClassVar

from activity.files import save_json
from activity.prediction.output import Clip, Output
from activity.prediction.result import Result


class Report(Output):
    """All that is known about a clip, as JSON."""

    name = "json"
    help = "report: clip, model, settings, segments of equal labels, shares, label changes"
    endings: ClassVar = (".json",)

    def finish(self, result: Result) -> None:
        """Write the report."""
        save_json(report(self.clip, result), self.path)


def report(clip: Clip, result: Result) -> dict[str, Any]:
    """Return the record of a clip, with the model and the settings."""
    model = {"file": str(clip.model)} | asdict(clip.metadata)
    return result.record() | {"model": model, "settings": clip.settings.record()}
