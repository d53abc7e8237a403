"""What both command lines share: numbers, one-line errors, progress, signals and exit codes."""

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

SECONDS_A_LINE = 10  # of progress, where there is no terminal


class UserError(Exception):
    """Something the user can put right; the message names the value and the remedy."""


def printable(text: object) -> str:
    """Return a text with its control characters escaped.

    A file's or a class's name could otherwise move the cursor, clear the screen or fake a line.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def is_utf8(name: str) -> bool:
    """Tell whether a file's name is valid text; libraries in C++ crash where it is not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def print_error(kind: str, message: object) -> None:
    """Print a message in one line on stderr; `kind` is 'error' or 'warning'."""
    print(f"{kind}: {printable(message)}", file=sys.stderr)


def one_line(error: Exception) -> str:
    """Return the gist of a library's error, safe for a terminal: it may quote a hostile file."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # OpenVINO ends with what happened, after the places in its source; the others begin with it.
    line = lines[-1] if lines[0].startswith("Exception from ") else lines[0]
    return printable(line[:300])


def cannot_be_read(option: str, path: object, error: OSError) -> UserError:
    """Make the error for a file that an option names and the file system does not give."""
    return UserError(f"{option} {path} cannot be read ({error.strerror}); name one that can be")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that answers a mistake with one line."""

    def error(self, message: str) -> NoReturn:  # noqa: D102 (inherited)
        self.exit(2, f"{self.prog}: error: {printable(message)} (see --help)\n")


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number within these bounds."""

    def within(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {minimum} to {maximum}"
            )
        return value

    return within


def real_number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Return an argparse type: a number within these bounds."""

    def within(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number from {minimum:g} to {maximum:g}"
            )
        return value

    return within


def file_path(text: str) -> Path:
    """Return a path as an argparse type; it has to end in the name of a file, in UTF-8."""
    path = Path(text)
    if not path.name or not is_utf8(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    return path


class Progress(tqdm):  # type: ignore[misc]
    """A bar on a terminal; elsewhere, as in a log, a line now and then."""

    LINE = "{l_bar} {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"

    def __init__(
        self, total: int | None, unit: str, name: str | None = None, quiet: bool = False
    ) -> None:
        style: dict[str, Any] = {"dynamic_ncols": True}
        if not sys.stderr.isatty():
            style = {"mininterval": SECONDS_A_LINE, "delay": SECONDS_A_LINE, "miniters": 1}
            if total is not None:
                style["bar_format"] = self.LINE
        description = None if name is None else printable(name)
        super().__init__(desc=description, total=total, unit=f" {unit}", disable=quiet, **style)

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], object]:
        """Return what prints a status; tqdm asks for it."""
        if file.isatty():
            printer: Callable[[str], object] = tqdm.status_printer(file)
            return printer
        return lambda status: print(status, file=file, flush=True)


class Stop:
    """The wish to end the run, which a loop can look at between two steps.

    The first Ctrl-C or SIGTERM becomes such a wish, so that a frame is never half-written. A second
    one ends the program at once.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.signal: int | None = None  # the number of the one that came
        self._previous = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.wanted = True
        self.signal = number
        for other, handler in self._previous.items():
            signal.signal(other, handler)


def run(main: Callable[[], int]) -> NoReturn:
    """Run a script's `main` and exit with what it returns, 1 for a `UserError`, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        # A file name need not be valid text, and a terminal need not be UTF-8.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = main()
    except UserError as error:
        print_error("error", error)
        code = 1
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13  # SIGPIPE, which Windows does not have
    except OSError as error:  # a folder that may not be searched, a disk that fails
        place = error.filename or "a file"
        print_error("error", f"{place} cannot be used ({error.strerror or error}); name another")
        code = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 128 + signal.SIGINT
    sys.exit(code)
