"""Clips in, results out: in this process, or (`workers`, `cluster`) in many, on many machines.

All yield each job with its result as it comes. What is wrong with one clip is its result.
"""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from activity.errors import UserError
from activity.prediction.classifier import Classifier
from activity.prediction.label import label_video
from activity.prediction.result import Result
from activity.prediction.settings import Settings
from activity.video.sources import redacted
from activity.video.stop import Stop


@dataclass(frozen=True)
class Job:
    """A clip to be labelled."""

    source: str
    name: str  # of its outputs
    outputs: dict[str, Any] = field(default_factory=dict)  # where they are written, by kind

    @cached_property
    def size(self) -> int:
        """The bytes of a file, 0 for what is none."""
        return os.path.getsize(self.source) if os.path.isfile(self.source) else 0  # noqa: PTH113, PTH202


@dataclass(frozen=True)
class Task:
    """How the clips of a run are labelled, wherever that is."""

    model: Path
    settings: Settings
    several: bool

    def label(self, classifier: Classifier, job: Job, **options: Any) -> Result | None:
        """Call `label_video`; an error is a result, too."""
        try:
            return label_video(
                job.source, classifier, job.outputs, self.settings, several=self.several, **options
            )
        except UserError as error:
            return Result(redacted(job.source), error=str(error))


Results = Generator[tuple[Job, Result], None, None]


def in_this_process(
    task: Task,
    jobs: Sequence[Job],
    stop: Stop,
    quiet: bool,
    check: Callable[[Mapping[str, Any]], None],
) -> Results:
    """Label one clip after the other; once `stop` is wanted the one at work is finished.

    `check` raises `UserError` for outputs that are not to be made.
    """
    classifier = Classifier(task.model)
    for job in jobs:
        if stop.wanted:
            return
        try:
            check(job.outputs)
            result = task.label(classifier, job, stop=stop, quiet=quiet)
        except UserError as error:
            result = Result(redacted(job.source), error=str(error))
        if result:
            yield job, result
