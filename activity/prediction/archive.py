"""The table of an archive: a row for each clip, in Parquet, and which rows are missing."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from activity.cli import Progress
from activity.errors import UserError
from activity.files import check_output, written_whole
from activity.prediction.outputs import Outputs, plan_outputs
from activity.prediction.report import ClipResult
from activity.prediction.worker import TRIES, LostError, Worker
from activity.text import one_line
from activity.video.sources import find_archived

FILE = "clips.parquet"
NEW = ".new"  # the folder of the rows that are not in the file yet, which readers of it pass over
MANY = 1000  # rows there are put into the file, before there are more than a folder holds well

SCHEMA = pa.schema([
    ("clip", pa.string()),  # its absolute path
    ("label", pa.string()),  # of the largest mean probability; null if it could not be labelled
    ("probability", pa.float64()),
    ("mean_probabilities", pa.map_(pa.string(), pa.float64())),
    ("segments", pa.list_(pa.struct([
        ("label", pa.string()), ("start", pa.float64()), ("end", pa.float64()),
        ("frames", pa.int64()), ("mean_probability", pa.float64()),
    ]))),
    ("flicker", pa.float64()),  # label changes a minute, smoothed
    ("raw_flicker", pa.float64()),  # and frame by frame
    ("frames", pa.int64()),  # labelled
    ("frames_decoded", pa.int64()),
    ("frames_claimed", pa.int64()),  # by the file; null if it does not say
    ("film_s", pa.float64()),  # how long the frames labelled are shown
    ("seconds", pa.float64()),  # that labelling took
    ("remarks", pa.string()),
    ("error", pa.string()),  # null if it could be labelled
    ("outputs", pa.map_(pa.string(), pa.string())),  # files by kind
    # What the row depends on: if one of these changes, the clip is labelled again.
    ("size", pa.int64()),  # bytes
    ("modified", pa.int64()),  # nanoseconds since 1970
    ("model", pa.string()),  # digest
    ("settings", pa.string()),  # JSON
])  # fmt: skip
CAUSES = ("size", "modified", "model", "settings")


@dataclass(frozen=True)
class Clip:
    """A clip of an archive, as it was found, and the files to make from it."""

    path: str  # absolute
    size: int  # bytes
    modified: int  # nanoseconds since 1970
    outputs: Outputs

    @classmethod
    def found(cls, path: str, outputs: Outputs) -> Self:
        """Look at a file; if it is gone, that is for its reader to tell."""
        try:
            status = os.stat(path)  # noqa: PTH116 (a Path is five times slower)
        except OSError:
            return cls(path, 0, 0, outputs)
        return cls(path, status.st_size, status.st_mtime_ns, outputs)

    @property
    def name(self) -> str:
        """The path as it stands in the table."""
        return _text(self.path)


def find_clips(inputs: Sequence[str], outputs: Outputs) -> tuple[list[Clip], Path | None]:
    """Return the clips that inputs name, with the files to make from each, and the page of all.

    `outputs` are folders. Raises `UserError` for inputs that are no files, for outputs of different
    clips with the same name, and for films that would be clips of the next run.
    """
    found = find_archived(inputs)
    common, plans = plan_outputs(outputs, list(found.values()), several=True, video=False)
    if common.csv:
        raise UserError(f"{common.csv} is one file for many clips; name a folder", common.csv)
    films = outputs.output
    for name in inputs:
        if films and films.is_relative_to(Path(name).absolute()):
            what = f"{films} lies in {name}, and its films would be clips of the next run"
            raise UserError(f"{what}; name a folder elsewhere", films)
    owners: dict[str, str] = {}
    for path, name in found.items():
        if outputs.wanted() and (owner := owners.setdefault(name, path)) != path:
            raise UserError(f"{owner} and {path} would share files; name a folder above both")
    return [Clip.found(path, plan) for path, plan in zip(found, plans, strict=True)], common.page


class Archive:
    """A folder with a table of clips, labelled by a model of this digest with these settings.

    Whoever labels a clip saves its row, a file of its own at first; `merge` puts those into the
    table. So many machines may write at the same time, and what dies takes no row with it. The
    folder is made. Raises `UserError` if it cannot be written to, or has the table of another
    version.
    """

    def __init__(self, folder: Path, model: str, settings: Mapping[str, Any]) -> None:
        self._folder, self.file, self._new = folder, folder / FILE, folder / NEW
        self._common = {"model": model, "settings": json.dumps(settings)}
        for file in (self.file, self._new / "row"):
            try:
                check_output(file)
            except UserError as error:
                raise UserError(error, folder) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from this table. Raises `UserError` if one is at work."""
        try:
            with FileLock(self._new / "lock").acquire(blocking=False):
                yield
        except Timeout as error:
            raise UserError(
                f"{self._folder} is another run's at present; wait for it, or name another folder",
                self._folder,
            ) from error

    def save(self, clip: Clip, result: ClipResult) -> dict[str, Any]:
        """Save the row of a clip that was labelled; return it."""
        summary = result.summary
        means = zip(summary.labels, summary.mean_probabilities, strict=True)
        return self._save(clip, {
            "label": summary.label,
            "probability": summary.probability,
            "mean_probabilities": dict(means),
            "segments": [asdict(segment) for segment in summary.segments],
            "flicker": summary.flicker,
            "raw_flicker": summary.raw_flicker,
            "frames": summary.frames,
            "frames_decoded": result.decoded,
            "frames_claimed": result.claimed,
            "film_s": summary.minutes * 60,
            "seconds": result.seconds,
            "remarks": result.remarks,
            "outputs": {kind: str(path) for kind, path in clip.outputs.wanted().items()},
        })  # fmt: skip

    def fail(self, clip: Clip, error: object) -> dict[str, Any]:
        """Save the row of a clip that could not be labelled; return it."""
        return self._save(clip, {"error": _text(str(error))})

    def _save(self, clip: Clip, facts: dict[str, Any]) -> dict[str, Any]:
        row = {"clip": clip.name, **facts, **self._causes(clip)}
        with written_whole(self._place(clip)) as partial:
            partial.write_text(json.dumps(row))
        return row

    def saved(self, clip: Clip) -> dict[str, Any] | None:
        """Return the row of a clip that was labelled since the last `merge`, by whomever."""
        row = _read(self._place(clip))
        return row if self._is_done(clip, row) else None

    def left(self, clips: Iterable[Clip]) -> list[Clip]:
        """Return the clips that are new or have changed, failed or lack a file."""
        columns = ["clip", "error", "outputs", *CAUSES]
        rows = {row["clip"]: row for row in _pylist(self.merge().select(columns))}
        return [clip for clip in clips if not self._is_done(clip, rows.get(clip.name, {}))]

    def merge(self) -> pa.Table:
        """Put the rows that were saved into the table; return it."""
        table, files = self._table(), list(self._new.glob("[!.]*.json"))
        if rows := list(filter(None, map(_read, files))):
            new = pa.Table.from_pylist(rows, SCHEMA)
            others = table.filter(pc.invert(pc.is_in(table["clip"], new["clip"])))
            table = pa.concat_tables([others, new]).sort_by("clip")
            with written_whole(self.file) as partial:
                pq.write_table(table, partial)
        for file in files:
            file.unlink(missing_ok=True)
        return table

    def rows(self, clips: Iterable[Clip]) -> Iterator[dict[str, Any]]:
        """Yield the rows of clips, of those that have one, in the order of their names."""
        names = {clip.name for clip in clips}
        for batch in self.merge().to_batches(MANY):
            yield from (row for row in _pylist(batch) if row["clip"] in names)

    def _table(self) -> pa.Table:
        if not self.file.exists():
            return SCHEMA.empty_table()
        try:
            table = pq.read_table(self.file)
        except (OSError, pa.ArrowException) as error:
            raise self._foreign(one_line(error)) from error
        if table.schema != SCHEMA:
            raise self._foreign("it has other columns")
        return table

    def _foreign(self, reason: str) -> UserError:
        what = f"{self._folder} holds a {FILE} that this version did not write"
        return UserError(f"{what} ({reason}); name another folder", self._folder)

    def _place(self, clip: Clip) -> Path:
        digest = hashlib.blake2b(clip.name.encode(), digest_size=16).hexdigest()
        return self._new / f"{digest}.json"

    def _causes(self, clip: Clip) -> dict[str, Any]:
        return {"size": clip.size, "modified": clip.modified, **self._common}

    def _is_done(self, clip: Clip, row: Mapping[str, Any]) -> bool:
        """Tell whether a row, which may be empty, stands for a clip as it is now."""
        if row.get("error") or any(row.get(k) != v for k, v in self._causes(clip).items()):
            return False
        wanted = clip.outputs.wanted().items()
        return all(row["outputs"].get(kind) == str(file) and file.exists() for kind, file in wanted)


def _text(name: str) -> str:
    """Return a file's name as valid text, which it need not be."""
    return name.encode(errors="backslashreplace").decode()


def _pylist(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def _read(file: Path) -> dict[str, Any]:
    """Return a row that was saved, an empty one if there is none, or a crash left none."""
    try:
        row: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return row


class ClipWorker:
    """Labels clips of an archive, one after the other, in a process that they may take with them.

    `make(archive, *arguments, pulse)` makes what labels a clip, saves its row and returns it; see
    `Worker`.
    """

    def __init__(self, archive: Archive, make: Callable[..., Any], *arguments: Any) -> None:
        self._archive = archive
        self._worker = Worker(make, archive, *arguments)
        self.close = self._worker.close

    def __call__(self, clip: Clip) -> dict[str, Any]:
        """Return the row of a clip; one that was given to a worker who died may be done."""
        if row := self._archive.saved(clip):
            return row
        try:
            row = self._worker(clip)
        except LostError as loss:
            fault = f"{clip.name} ended the process that read it, {TRIES} times ({loss})"
            row = self._archive.fail(clip, f"{fault}; repair it, or leave it out")
        return row


class FilmProgress(Progress):
    """Tells how many clips and hours of film are done and left, and how fast that goes."""

    def __init__(self, clips: Sequence[Clip], quiet: bool) -> None:
        super().__init__(len(clips), "clips", quiet=quiet)
        self.bar_format = "{n_fmt}/{total_fmt}{unit} [{elapsed}{postfix}]"
        self._sizes = {clip.name: clip.size for clip in clips}
        self._bytes = sum(self._sizes.values())
        self._bytes_done, self._film = 0, 0.0

    def count(self, row: Mapping[str, Any]) -> None:
        """Count a clip. How long those to come are is guessed from their sizes."""
        self._bytes_done += self._sizes[row["clip"]]
        self._film += row.get("film_s", 0.0)
        elapsed = self.format_dict["elapsed"]
        share = self._bytes_done / self._bytes if self._bytes_done else 1.0
        left = self.format_interval(elapsed / share - elapsed)
        self.advance(
            f"{self._film / 3600:.2f} of about {self._film / 3600 / share:.2f} hours of film, "
            f"{self._film / max(elapsed, 0.001):.1f} times as fast as it plays, {left} left"
        )
