"""What a run is to do: which clips, what is made of them, and where they are labelled.

What can go wrong is found out here, before anything slow.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity.cli import option
from activity.errors import UserError
from activity.files import check_distinct
from activity.model_file import digest
from activity.prediction.batch import Job, Task
from activity.prediction.output import Gatherer
from activity.prediction.outputs import FOLDER, OUTPUTS, files_of
from activity.prediction.outputs.page import INDEX, Page
from activity.prediction.outputs.video import Video
from activity.prediction.result import Result
from activity.prediction.settings import Settings
from activity.video.sources import find_sources, is_picture, is_read_once, names_several, redacted

if TYPE_CHECKING:  # as it takes time to import
    from activity.prediction.table import Table


@dataclass(frozen=True)
class Plan:
    """What a run is to do."""

    task: Task
    labels: Sequence[str]
    jobs: Sequence[Job]
    gatherers: Mapping[str, Gatherer]  # by the kind of output
    table: "Table | None"
    in_processes: bool  # whether other processes label the clips

    def gather(self, job: Job, result: Result) -> None:
        """Hand a result to what is made of all clips."""
        for kind, gatherer in self.gatherers.items():
            gatherer.add(job.name, result, job.outputs[kind])


def make_plan(
    inputs: Sequence[str],
    wanted: Mapping[str, Any],
    model: Path,
    labels: Sequence[str],
    settings: Settings,
    table: Path | None,
    on_cluster: bool,
    overwrite: bool,
) -> Plan:
    """Return the plan for inputs and the outputs that are wanted of them, by kind.

    Where no output is asked for, it is the annotated video. With a `table` or `on_cluster` the
    clips are labelled by other processes. Raises `UserError`.
    """
    several, wanted = names_several(inputs), dict(wanted)
    with option("--input"):
        sources = find_sources(inputs, {INDEX} if several and Page.name in wanted else ())
    for_videos = [name for name in ("start", "end", "fps", "track") if getattr(settings, name)]
    for_videos += [kind for kind in wanted if OUTPUTS[kind].needs_time]
    if for_videos and all(map(is_picture, sources)):
        fault = f"--{for_videos[0]} is for videos, and {next(iter(sources))} is a photo"
        raise UserError(f"{fault}; leave one of them out")
    once = next(filter(is_read_once, sources), None)
    if on_cluster and once:
        raise UserError(f"{redacted(once)} gives each frame only once; leave out --ray")
    if not table and all(OUTPUTS[kind].local for kind in wanted):
        source, name = next(iter(sources.items()))
        file = f"{name}{Video.endings_of(source)[0]}"
        wanted[Video.name] = FOLDER if several else FOLDER / file
    # What crashes or hangs while it is read is to take nothing else with it.
    in_processes = on_cluster or bool(table and not once)
    if in_processes:
        for kind in [kind for kind in wanted if OUTPUTS[kind].local]:
            print(f"{kind} off: {OUTPUTS[kind].local}")
            del wanted[kind]
        # On machines in other folders, perhaps.
        sources = {str(Path(source).absolute()): name for source, name in sources.items()}
        wanted = {kind: given.absolute() for kind, given in wanted.items()}
        model = model.absolute()
    jobs = [Job(source, name) for source, name in sources.items()]
    gatherers: dict[str, Gatherer] = {}
    for kind, given in wanted.items():
        with option(f"--{kind}"):
            made = [it for it in jobs if not (OUTPUTS[kind].needs_time and is_picture(it.source))]
            for job in made:
                job.outputs[kind] = OUTPUTS[kind].place(given, job.source, job.name, several)
            if gatherer := OUTPUTS[kind].gatherer(given, labels, several, list(sources.values())):
                gatherers[kind] = gatherer
            OUTPUTS[kind].check(made[0].outputs[kind], made[0].source)
    common = {kind: gatherer.path for kind, gatherer in gatherers.items()}
    parts = common.keys() - files_of(jobs[0].outputs).keys()
    rows = None
    if table:
        from activity.prediction.table import Table

        with option("--table"):
            shared = {kind: common[kind] for kind in parts}
            rows = Table(table.absolute(), digest(model), settings.record(), shared)
    # What an earlier run with the same table has written may be replaced.
    if not overwrite and not (rows and not rows.is_new):
        refuse_to_replace(common)
        for job in jobs if rows else ():
            refuse_to_replace(job.outputs)
    outputs = [common, *(files_of(job.outputs) for job in jobs)]
    named = [("--input", Path(job.source)) for job in jobs] + [("--model", model)]
    named += [(f"--{kind}", path) for each in outputs for kind, path in each.items()]
    check_distinct([*named, *([("--table", rows.path)] if rows else [])])
    return Plan(Task(model, settings, several), labels, jobs, gatherers, rows, in_processes)


def refuse_to_replace(outputs: Mapping[str, Any]) -> None:
    """Raise `UserError` if a file exists: an --output may be somebody's video."""
    for kind, path in files_of(outputs).items():
        # A folder has an error of its own, and so has what may not be looked at.
        if os.path.lexists(path) and not path.is_dir():
            raise UserError(f"--{kind} {path} exists; add --overwrite, or choose another name")
