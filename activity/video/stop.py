"""The wish to end a run, whoever has it: a key, a closed window, or a signal."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Let a SIGTERM end the block at once, as Ctrl-C does."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class Stop:
    """A wish that the loop over the frames looks at between two of them.

    So a frame is never half-written, and the files are finished.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.signal: int | None = None  # the number of the one that came

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Make the first Ctrl-C or SIGTERM such a wish; a second one ends the program at once."""
        previous = {
            number: signal.signal(number, self._wish) for number in (signal.SIGINT, signal.SIGTERM)
        }
        self._previous = previous
        try:
            yield
        finally:
            self._restore()

    def _wish(self, number: int, _frame: FrameType | None) -> None:
        self.wanted = True
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
