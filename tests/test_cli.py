import argparse
import contextlib
import os
import pty
import re
import sys
import termios
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity import cli
from activity.errors import UserError
from activity.text import printable


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0.25", 0.25), ("1e0", 1)])
def test_numbers_within_the_bounds(text: str, value: float) -> None:
    assert cli.real_number(0, 1)(text) == value


@pytest.mark.parametrize("text", ["-0.1", "1.01", "nan", "inf", "-inf", "1e400", "", "x", "1,5"])
def test_numbers_out_of_bounds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a number from 0 to 1"):
        cli.real_number(0, 1)(text)


@pytest.mark.parametrize("text", ["0", "11", "-1", "2.0", "", "x", "9" * 5000])
def test_whole_numbers_out_of_bounds(text: str) -> None:
    assert [cli.whole_number(1, 10)(good) for good in ("1", "10", " 7 ")] == [1, 10, 7]
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a whole number from 1 to 10"):
        cli.whole_number(1, 10)(text)


@given(st.text())
def test_what_is_printed_cannot_move_the_cursor(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_control_characters_stay_visible() -> None:
    assert printable("a\x1b[2J\r\nb\u202e\udcff") == r"a\x1b[2J\r\nb\u202e\udcff"


def advance(total: int | None) -> None:
    with cli.Progress(total, "frames", "clip") as progress:
        for _ in range(10):
            time.sleep(0.02)
            progress.set_postfix_str("tennis", refresh=False)
            progress.update()


def test_progress_is_plain_lines_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "SECONDS_PER_LINE", 0.05)
    advance(10)
    known = capsys.readouterr().err.splitlines()
    advance(None)
    unknown = capsys.readouterr().err.splitlines()
    assert 2 <= len(known) <= 11
    assert "" not in known + unknown
    assert re.match(r"clip: 100%\| 10/10 frames \[00:\d\d<00:00, ", known[-1])
    assert known[-1].endswith(" frames/s, tennis]")
    assert re.match(r"clip: 10 frames \[00:\d\d, ", unknown[-1])
    monkeypatch.setattr(cli, "SECONDS_PER_LINE", 1000)
    advance(10)
    assert capsys.readouterr().err == ""


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        advance(10)
    shown = b""
    with contextlib.suppress(OSError):  # what Linux says behind the last byte
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    statuses = [line for line in shown.decode().split("\r") if line.strip()]
    assert len(statuses) > 1
    assert statuses[-1].startswith("clip: 100%|█")
    assert statuses[-1].endswith(" frames/s, tennis]")


def test_quiet_progress_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "SECONDS_PER_LINE", 0)
    with cli.Progress(3, "frames", quiet=True) as progress:
        progress.update()
    assert capsys.readouterr().err == ""


def test_the_option_stands_in_front_of_what_is_wrong_with_its_value() -> None:
    with pytest.raises(UserError, match=r"^--model m\.xml is not a file$"), cli.option("--model"):
        raise UserError("m.xml is not a file")
    with pytest.raises(OSError, match="disk"), cli.option("--model"):
        raise OSError("disk")
