"""A table with a row for each clip, .csv or .parquet, saved as soon as there is one.

Rows are appended to a journal beside the table, a line of JSON each, and merged into the table,
which is written whole, now and then and at the end. So nothing that is killed takes a row with it,
and the same command goes on with the clips that have none.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from activity.errors import UserError
from activity.files import atomic_write, check_output
from activity.prediction.batch import Job
from activity.prediction.result import Result, Segment
from activity.text import TABLE_ENCODING, cell_text, one_line, spreadsheet_cell, valid_text
from activity.video.sources import is_read_once, pictures_of, redacted

ENDINGS = (".csv", ".parquet")
BATCH = 1000  # rows that are made objects at a time
MERGING = 0.05  # the share of the time that may be spent on merging

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
SEGMENT = {"label": TEXT, "start": REAL, "end": REAL, "frames": WHOLE, "mean_probability": REAL}
MEANS = "mean_probabilities"  # in .csv a column for each class, with this prefix:
PREFIX = "p_"
# docs/archives.md says what the columns are. Of the last four a row depends: if one of them
# changes, the clip is labelled again.
SCHEMA = pa.schema({
    "clip": TEXT, "label": TEXT, "probability": REAL, "frames": WHOLE, "start_s": REAL,
    "end_s": REAL, "raw_changes": WHOLE, "smoothed_changes": WHOLE, "raw_changes_per_minute": REAL,
    "changes_per_minute": REAL, "smoothing": TEXT, MEANS: pa.map_(TEXT, REAL), "remarks": TEXT,
    "error": TEXT, "segments": pa.list_(pa.struct(SEGMENT)), "frames_decoded": WHOLE,
    "frames_claimed": WHOLE, "seconds": REAL, "outputs": pa.map_(TEXT, TEXT),
    "size": WHOLE, "modified": WHOLE, "model": TEXT, "settings": TEXT,
})  # fmt: skip
TEXTS = {column.name for column in SCHEMA if column.type == TEXT}
ATTRIBUTES = {"start_s": "start", "end_s": "end", "smoothed_changes": "changes"}  # of a result


class Table:
    """The rows of clips that are labelled by a model of this digest with these settings.

    `shared` are the outputs of a run that are made of all clips, by kind. Raises `UserError` for a
    file that cannot be written, or is the table of something else.
    """

    def __init__(
        self, path: Path, model: str, settings: Mapping[str, Any], shared: Mapping[str, Path]
    ) -> None:
        check_output(path, ENDINGS)
        self.path, self.is_new = path, not path.exists()
        self._journal = path.with_name(f".{path.name}.journal")
        self._common = {"model": model, "settings": json.dumps(settings)}
        self._shared = dict(shared)
        self._due = 0.0  # when to merge next
        self._load()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from this table. Raises `UserError` if one is at work."""
        try:
            with FileLock(self.path.with_name(f".{self.path.name}.lock")).acquire(blocking=False):
                self._merge()
                try:
                    yield
                finally:
                    self._merge()
        except Timeout as error:
            fault = f"{self.path} is in use by another run"
            raise UserError(f"{fault}; wait for it, or name another table") from error

    def save(self, job: Job, result: Result) -> None:
        """Save the row of a clip."""
        row: dict[str, Any] = {"error": valid_text(result.error or "")}
        if not result.error:
            row = {n: getattr(result, ATTRIBUTES.get(n, n), None) for n in SCHEMA.names}
            row["segments"] = [asdict(segment) for segment in result.segments]
            row["outputs"] = self._outputs(job)
        row |= {"clip": _identity(job)} | self._causes(job)
        try:
            with self._journal.open("a") as journal:
                journal.write(json.dumps(row) + "\n")
        except OSError as error:
            fault = f"{self.path} could not be written ({error.strerror})"
            raise UserError(f"{fault}; free some space, and the same command goes on") from error
        if monotonic() >= self._due:
            self._merge()

    def done(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield the clips that need not be labelled again, with their results."""
        wanted = {_identity(job): job for job in jobs}
        for row in _objects(self._load()):
            job = wanted.get(row["clip"])
            if job and self._is_done(job, row):
                segments = [Segment(**segment) for segment in row["segments"]]
                yield job, Result(
                    row["clip"], None, row["label"], row[MEANS], segments,
                    notes=[row["remarks"]] if row["remarks"] else [], outputs=row["outputs"],
                )  # fmt: skip

    def _merge(self) -> None:
        """Put the rows of the journal into the table."""
        begun = monotonic()
        rows: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError), self._journal.open() as journal:
            for line in journal:
                with suppress(ValueError):  # the last one, of a run that was killed
                    row = json.loads(line)
                    rows[row["clip"]] = row
        if rows or not self.path.exists():
            table, new = self._load(), pa.Table.from_pylist(list(rows.values()), SCHEMA)
            others = table.filter(pc.invert(pc.is_in(table["clip"], new["clip"])))
            table = pa.concat_tables([others, new]).sort_by("clip")
            with atomic_write(self.path) as partial:
                _write_csv(table, partial) if self._is_csv else pq.write_table(table, partial)
        self._journal.unlink(missing_ok=True)  # or a row would follow half a line
        self._due = monotonic() + (monotonic() - begun) / MERGING

    def _load(self) -> pa.Table:
        if not self.path.exists():
            return SCHEMA.empty_table()
        try:
            table = _read_csv(self.path) if self._is_csv else pq.read_table(self.path)
            if table.schema != SCHEMA:
                raise ValueError("it has other columns")
        except (OSError, ValueError, pa.ArrowException) as error:
            fault = f"{self.path} is not a table that this version wrote ({one_line(error)})"
            raise UserError(f"{fault}; name another file") from error
        return table

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix.lower() == ".csv"

    def _outputs(self, job: Job) -> dict[str, str]:
        paths = {kind: path for kind, path in job.outputs.items() if isinstance(path, os.PathLike)}
        return {kind: os.fspath(path) for kind, path in (paths | self._shared).items()}

    def _causes(self, job: Job) -> dict[str, Any]:
        """Return what a row depends on; that of a source that is read once is not known."""
        if is_read_once(job.source):
            return {"size": None, "modified": None, **self._common}
        size = modified = 0
        with suppress(OSError):  # that a file is gone is for its reader to tell
            files = pictures_of(job.source) or [Path(job.source)]
            states = [file.stat() for file in files]
            size = sum(state.st_size for state in states)
            modified = max(state.st_mtime_ns for state in states)
        return {"size": size, "modified": modified, **self._common}

    def _is_done(self, job: Job, row: Mapping[str, Any]) -> bool:
        causes = self._causes(job)
        if row["error"] or causes["size"] is None or any(row[k] != v for k, v in causes.items()):
            return False
        # What is a part of something made of all clips may wait for that.
        return all(
            row["outputs"].get(kind) == path and any(map(os.path.exists, (path, job.outputs[kind])))
            for kind, path in self._outputs(job).items()
        )


def _identity(job: Job) -> str:
    """Return a source as it stands in a table."""
    return valid_text(redacted(job.source))


def _objects(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(BATCH):
        yield from batch.to_pylist(maps_as_pydicts="strict")


def _write_csv(table: pa.Table, path: Path) -> None:
    """Write a table as spreadsheets open it, with lists and the like as JSON."""
    labels = list(dict.fromkeys(label for row in _objects(table) for label in row[MEANS] or ()))
    with path.open("w", newline="", encoding=TABLE_ENCODING) as file:
        rows = csv.writer(file)
        rows.writerow(_columns(labels))
        for row in _objects(table):
            means = {f"{PREFIX}{label}": mean for label, mean in (row.pop(MEANS) or {}).items()}
            rows.writerow([_cell((row | means).get(name)) for name in _columns(labels)])


def _read_csv(path: Path) -> pa.Table:
    """Read what `_write_csv` has written; raise `ValueError` for anything else."""
    csv.field_size_limit(2**31 - 1)  # the segments of a long clip are more than the usual one
    with path.open(newline="", encoding=TABLE_ENCODING) as file:
        rows = csv.reader(file)
        head = next(rows, [])
        labels = [name.removeprefix(PREFIX) for name in head if name.startswith(PREFIX)]
        if head != _columns(labels):
            raise ValueError("it has other columns")
        batches, batch = [SCHEMA.empty_table()], []
        for cells in rows:
            row: dict[str, Any] = {
                name: _value(cell, name) for name, cell in zip(head, cells, strict=True) if cell
            }
            row[MEANS] = {each: row[PREFIX + each] for each in labels if PREFIX + each in row}
            batch.append(row)
            if len(batch) == BATCH:
                batches.append(pa.Table.from_pylist(batch, SCHEMA))
                batch = []
        return pa.concat_tables([*batches, pa.Table.from_pylist(batch, SCHEMA)])


def _columns(labels: Iterable[str]) -> list[str]:
    place = SCHEMA.get_field_index(MEANS)
    means = [f"{PREFIX}{label}" for label in labels]
    return [*SCHEMA.names[:place], *means, *SCHEMA.names[place + 1 :]]


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, float):
        return round(value, 6)
    return spreadsheet_cell(value) if isinstance(value, str) else value


def _value(cell: str, column: str) -> Any:
    return cell_text(cell) if column in TEXTS else json.loads(cell)  # numbers, too
