"""The wish to end a run, whoever has it: a key, a closed window, or a signal."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class Stop:
    """A wish to end, which the loop over the frames looks at between two of them.

    So a frame is never half-written, and the files are finished.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.signal: int | None = None  # the number of the one that came

    @contextmanager
    def on_signals(self, at_once: bool = False) -> Iterator[None]:
        """Make the first Ctrl-C or SIGTERM such a wish; a second one ends the program at once.

        If `at_once`, the first one does so, with `SystemExit` and 128 plus its number.
        """

        def wish(number: int, _frame: object) -> None:
            self.wanted, self.signal = True, number
            handlers.close()
            if at_once:
                sys.exit(128 + number)

        with ExitStack() as handlers:  # which gives back the former ones
            for number in (signal.SIGINT, signal.SIGTERM):
                handlers.callback(signal.signal, number, signal.signal(number, wish))
            yield
