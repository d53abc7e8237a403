"""The preview window on a virtual screen: what it shows, and the keys that end it."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import Xlib.display
import Xlib.protocol.event
import Xlib.X
from conftest import BUNDLED, frames, start_process, wait_for, write_clip

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")),
    reason="needs a virtual screen: install xvfb and xdotool",
)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    read, write = os.pipe()
    # Without -noreset the server starts anew whenever its last client leaves, such as xdotool,
    # and a script that connects in that moment is turned away.
    command = ["Xvfb", "-displayfd", str(write), "-noreset", "-nolisten", "tcp"]
    server = subprocess.Popen(
        [*command, "-screen", "0", "1600x1000x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


def x(display: str, *command: str) -> str:
    """Run a tool on the virtual screen and return what it prints."""
    done = subprocess.run(
        command, env=os.environ | {"DISPLAY": display}, capture_output=True, text=True, timeout=120
    )
    return done.stdout.strip()


def start(folder: Path, clip: Path, display: str, *more: object) -> "subprocess.Popen[str]":
    options = (*BUNDLED, "--realtime", "-i", clip, "-o", "out.avi", *more)
    return start_process("predict_video.py", *options, cwd=folder, DISPLAY=display)


def ended(process: "subprocess.Popen[str]", code: int = 0) -> list[str]:
    """Wait for the end of a run that ends early; return what it prints."""
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == code, stderr
    assert "ended before the end of the clip" in stdout
    return stdout.splitlines()


def window(display: str, title: str) -> int:
    """Wait for the preview window and return its number."""
    command = ("xdotool", "search", "--onlyvisible", "--name", title)
    wait_for(lambda: x(display, *command))
    return int(x(display, *command).splitlines()[0])


def rows(folder: Path) -> int:
    """Return how many rows the growing table has."""
    return sum(path.read_text().count("\n") for path in folder.glob(".frames.*.csv"))


def press(display: str, number: int, key: str) -> None:
    """Press a key in a window and release it.

    Both through the server: with `--window`, xdotool sends the release to the window, which may
    be gone by then, and the key would stay down for the next test.
    """
    x(display, "xdotool", "windowfocus", "--sync", str(number), "key", key)


def screenshot(display: str, number: int) -> np.ndarray:
    """Return what a window shows, (H, W, 3) uint8 BGR."""
    connection = Xlib.display.Display(display)
    target = connection.create_resource_object("window", number)
    place = target.get_geometry()
    content = target.get_image(0, 0, place.width, place.height, Xlib.X.ZPixmap, 0xFFFFFFFF).data
    connection.close()
    return np.frombuffer(content, np.uint8).reshape(place.height, place.width, 4)[..., :3]


def close(display: str, number: int) -> None:
    """Ask a window to close, as a click on its cross does."""
    connection = Xlib.display.Display(display)
    protocols, delete = map(connection.intern_atom, ("WM_PROTOCOLS", "WM_DELETE_WINDOW"))
    target = connection.create_resource_object("window", number)
    data = (32, [delete, Xlib.X.CurrentTime, 0, 0, 0])
    target.send_event(
        Xlib.protocol.event.ClientMessage(window=target, client_type=protocols, data=data)
    )
    connection.sync()  # a busy server drops what it has not read when the connection ends
    connection.close()


@pytest.mark.parametrize("key", ["q", "Q", "Escape"])
def test_shows_the_written_frames_until_a_key_ends_it(
    key: str, tmp_path: Path, display: str
) -> None:
    clip = write_clip(tmp_path / f"clip_{key}.avi", frames=600, size=(240, 320), fps=10.0)
    # Without a window manager Qt leaves one window in six black, whoever opens it; so try again.
    for _ in range(6):
        process = start(tmp_path, clip, display, "--csv", "frames.csv", "--overwrite")
        number = window(display, re.escape(clip.name))
        wait_for(lambda: rows(tmp_path) > 15)
        screen = screenshot(display, number)
        press(display, number, key)
        ended(process)
        if screen.any():
            break
    written = frames(tmp_path / "out.avi")
    assert 10 <= len(written) < 600
    assert screen.shape == written[0].shape
    # The screen shows one of the written frames: same grey, same label in the same place.
    assert min(np.abs(screen.astype(int) - picture).mean() for picture in written) < 3
    assert np.ptp(screen[14:44, 7:90].astype(int)) > 100


def test_space_pauses_and_goes_on(tmp_path: Path, display: str) -> None:
    """Frames are written as they are shown, so the growing table tells whether it is paused."""
    clip = write_clip(tmp_path / "paused.avi", frames=600, fps=20.0)
    process = start(tmp_path, clip, display, "--csv", "frames.csv")
    number = window(display, r"paused\.avi - space: pause, q: quit")
    press(display, number, "space")
    paused = -1
    while paused != rows(tmp_path):  # until the key has been read
        paused = rows(tmp_path)
        time.sleep(2)
    began = time.monotonic()
    press(display, number, "space")
    wait_for(lambda: rows(tmp_path) >= paused + 10)
    # At the pace of the clip: the pause is not made up for.
    assert rows(tmp_path) <= paused + 20 * (time.monotonic() - began) + 2
    press(display, number, "space")
    process.send_signal(signal.SIGINT)  # is heard in a pause, too
    ended(process, 130)


def test_one_window_for_all_clips_until_q(tmp_path: Path, display: str) -> None:
    # The second one lasts long enough for the key, however slow the machine is.
    clips = [
        write_clip(tmp_path / f"{name}.avi", frames=count, fps=10.0)
        for name, count in (("a", 40), ("b", 600), ("c", 40))
    ]
    process = start(tmp_path, clips[0], display, "-i", *clips, "-o", "out")
    number = window(display, r"a\.avi")
    assert window(display, r"b\.avi") == number
    press(display, number, "q")
    _, first, second = ended(process)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["a.mp4", "b.mp4"]
    assert "ended" not in first
    assert "ended before the end of the clip" in second


def test_closing_the_window_ends_the_run(tmp_path: Path, display: str) -> None:
    clip = write_clip(tmp_path / "closed.avi", frames=600, fps=10.0)
    process = start(tmp_path, clip, display)
    close(display, window(display, "closed.avi"))
    ended(process)
    assert 1 <= len(frames(tmp_path / "out.avi")) < 600


def test_realtime_is_no_faster_than_the_clip(tmp_path: Path, display: str) -> None:
    """The last of 20 frames at 4 frames/s is due after 4.75 s; else they take a fraction."""
    clip = write_clip(tmp_path / "slow.avi", frames=20, fps=4.0)
    stdout, stderr = start(tmp_path, clip, display).communicate(timeout=120)
    shown = re.search(r"20 frames, ([\d.]+) frames/s", stdout)
    assert shown, stderr
    assert float(shown[1]) <= round(20 / 4.75, 1)
