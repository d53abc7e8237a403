"""What both command lines share: numbers, options in errors, progress and exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import field, fields
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

from activity import __version__
from activity.errors import UserError, print_error
from activity.text import is_utf8, one_line, printable

Number = TypeVar("Number", int, float)

SECONDS_PER_LINE = 10  # of progress, where there is no terminal


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that prints one line for a mistake."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description)
        self.add_argument("--version", action="version", version=__version__)

    def error(self, message: str) -> NoReturn:  # noqa: D102 (inherited)
        self.exit(2, f"{self.prog}: error: {printable(message)} (see --help)\n")


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number within these bounds."""
    return partial(_within, int, f"a whole number from {minimum} to {maximum}", minimum, maximum)


def real_number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Return an argparse type: a number within these bounds."""
    return partial(_within, float, f"a number from {minimum} to {maximum}", minimum, maximum)


def _within(kind: type[Number], what: str, minimum: Number, maximum: Number, text: str) -> Number:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not minimum <= value <= maximum:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def file_path(text: str) -> Path:
    """Return a path as an argparse type; it has to end in the name of a file, in UTF-8."""
    path = Path(text)
    if not path.name or not is_utf8(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    return path


def setting(default: Any, *flags: str, **arguments: Any) -> Any:
    """Return a dataclass field that is an option of the command line, too, as argparse has it."""
    return field(default=default, metadata={"flags": flags, "arguments": arguments})


def add_settings(group: "argparse._ArgumentGroup", kind: type) -> None:
    """Add the fields of a dataclass that are options; what is not given is None."""
    for each in fields(kind):
        if each.metadata:
            group.add_argument(
                *each.metadata["flags"], dest=each.name, **each.metadata["arguments"]
            )


def given_settings(options: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the fields of a dataclass that were given as options."""
    names = (each.name for each in fields(kind) if each.metadata)
    return {name: options[name] for name in names if options[name] is not None}


@contextmanager
def option(name: str) -> Iterator[None]:
    """Put the name of an option in front of a `UserError` about its value."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{name} {error}") from error


tqdm.set_lock(RLock())  # its own would be shared with other processes, which leave it behind


class Progress(tqdm):  # type: ignore[misc]
    """A bar on a terminal; elsewhere, as in a log, a line now and then."""

    LINE = "{l_bar} {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"

    def __init__(
        self, total: int | None, unit: str, name: str | None = None, quiet: bool = False
    ) -> None:
        style: dict[str, Any] = {"dynamic_ncols": True}
        if not sys.stderr.isatty():
            style = {"mininterval": SECONDS_PER_LINE, "delay": SECONDS_PER_LINE, "miniters": 1}
            if total is not None:
                style["bar_format"] = self.LINE
        description = None if name is None else printable(name)
        super().__init__(desc=description, total=total, unit=f" {unit}", disable=quiet, **style)

    @staticmethod
    def print_above(text: str) -> None:
        """Print a text above the bars of a terminal."""
        with tqdm.external_write_mode() if sys.stderr.isatty() else nullcontext():
            print(text)

    def advance(self, postfix: str) -> None:
        """Count one more, with what there is to say about it."""
        self.set_postfix_str(postfix, refresh=False)
        self.update()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Print where it stands; tqdm calls it now and then, and at the end."""
        if self.fp.isatty():
            super().display(msg, pos)
        else:
            end = "" if self.disable else "\n"  # at the end tqdm itself ends the line
            print(msg or self, file=self.fp, end=end, flush=True)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program where the block ends in a `UserError`, with its one line."""
    try:
        yield
    except UserError as error:
        print_error("error", error)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + 13)  # SIGPIPE, which Windows does not have
    except OSError as error:  # a folder that may not be searched, a disk that fails
        place = error.filename or "a file"
        print_error("error", f"{place} cannot be used ({error.strerror or error}); name another")
        sys.exit(1)
    except (ImportError, MemoryError) as error:
        remedy = "install what requirements.txt names, or free some memory"
        print_error("error", f"{one_line(error)}; {remedy}")
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def run(main: Callable[[], int]) -> NoReturn:
    """Run a script's `main` and exit with what it returns, or with the code of its error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has not, and takes any text
            # A file name need not be valid text, and a terminal need not be UTF-8.
            stream.reconfigure(errors="backslashreplace")
    with one_line_errors():
        sys.exit(main())
