"""Signals end a run, at the next frame or at once, and are given back."""

import signal

import pytest

from activity.video.stop import Stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_signal_is_a_wish_or_the_end(number: int, at_once: bool) -> None:
    before = signal.getsignal(number)
    stop = Stop()
    code = None
    try:
        with stop.on_signals(at_once):
            assert signal.getsignal(number) != before
            signal.raise_signal(number)
            assert signal.getsignal(number) == before  # a second one ends the program
    except SystemExit as end:
        code = end.code
    assert (stop.wanted, stop.signal, code) == (True, number, 128 + number if at_once else None)
    with Stop().on_signals(at_once):
        pass
    assert signal.getsignal(number) == before  # in a notebook an interrupt works again
