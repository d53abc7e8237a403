"""Files that outlive a run: checked before it, written beside their place and then renamed."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from activity.errors import UserError, cannot_be_read

PICTURES = (".png", ".pdf", ".svg")  # what Matplotlib is asked to write


def check_input(path: Path, advice: str) -> None:
    """Raise `UserError` if a file cannot be read; `advice` says what to do where there is none."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is not a file; {advice}")
        path.open("rb").close()
    except OSError as error:
        raise cannot_be_read(path, error) from error


def check_output(path: Path, endings: Sequence[str] = ()) -> None:
    """Make the folder of `path`; raise `UserError` if a file could not be written there.

    `endings` are those its name may have, any if there are none.
    """
    if endings and path.suffix.lower() not in endings:
        choice = " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))
        ending = path.suffix or "nothing"
        raise UserError(f"{path} ends in {ending!r}; choose a name ending in {choice}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UserError(f"{path} is a folder; name a file in it")
        with suppress(FileNotFoundError):
            _partial(path, path.suffix).lstat()  # its longer name has to be possible, too
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        file = next(filter(os.path.lexists, path.parents))
        raise UserError(f"{path} cannot be written: {file} is a file") from error
    except OSError as error:
        fault = f"{path} cannot be written ({error.strerror})"
        raise UserError(f"{fault}; choose another place") from error


def check_distinct(files: Iterable[tuple[str, Path]]) -> None:
    """Raise `UserError` if two files, given with what each is called, are the same one.

    Files that are called the same may be.
    """
    names: dict[Path, str] = {}
    for name, path in files:
        first = names.setdefault(path.resolve(), name)
        if first != name:
            raise UserError(f"{first} and {name} are the same file, {path}; name different ones")


@contextmanager
def atomic_write(path: Path, suffix: str | None = None) -> Iterator[Path]:
    """Give a path beside `path` to write to, renamed to `path` when the block ends well.

    If the block raises, nothing is left and what stood at `path` before is untouched. `suffix`
    replaces that of `path` for libraries that insist on their own. Raises `UserError` where the
    file system refuses.
    """
    partial = _partial(path, path.suffix if suffix is None else suffix)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); free some space or choose "
            "another place"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{ending}")


def save_json(record: dict[str, Any], path: Path) -> None:
    """Write a record as readable JSON, with what JSON does not know as text."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(record, indent=2, default=str) + "\n")
