"""What both command lines share: one-line errors, bounded numbers, signals and exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn


class UserError(Exception):
    """Something the user can put right; the message names the value and the remedy."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that answers a mistake with one line."""

    def error(self, message: str) -> NoReturn:  # noqa: D102 (inherited)
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number not below `minimum`."""

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {minimum} up")
        return number

    return whole_number


def file_path(text: str) -> Path:
    """Return a path as an argparse type; it has to end in the name of a file."""
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    return path


class StopSignal:
    """Turns the first Ctrl-C or SIGTERM into a wish that a loop can look at between two steps.

    So a frame is never half-written. A second signal ends the program at once.
    """

    def __init__(self) -> None:
        self.number = 0
        self._previous = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
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
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13  # SIGPIPE, which Windows does not have
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 128 + signal.SIGINT
    sys.exit(code)
