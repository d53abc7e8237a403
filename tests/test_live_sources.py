"""Cameras, pipes and streams from a server on this machine: followed, lost, and taken up again."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from conftest import BUNDLED, frames, picture, rows, run_script, start_process, wait_for
from footage import KINDS, Footage, expected, frames_of, number_of

from activity.quiet.opencv import cv2
from activity.video import reader
from activity.video.backends import USUAL_FPS, pyav, usable_fps
from activity.video.reader import VideoReader
from activity.video.stop import Stop

SIZE = (240, 320)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try a lost stream again at once, which takes seconds otherwise."""
    monkeypatch.setattr(reader, "RECONNECT_PAUSES", (0.05, 0.1, 0.2))


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(handler: Callable[..., Files]) -> Iterator[str]:
    """Let a server answer with this; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def broadcast(*programmes: Iterator[bytes], kind: str = "video/mp2t") -> Iterator[str]:
    """Send a programme to each connection, without saying how long it is; give the address."""
    waiting = list(programmes)

    class Sender(Files):
        def do_GET(self) -> None:
            if not waiting:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            for part in waiting.pop(0):
                self.wfile.write(part)

    with serve(Sender) as address:
        yield f"{address}/court"


@contextmanager
def camera(
    *connections: Sequence[np.ndarray], fps: float = 50.0, stalls: bool = False
) -> Iterator[str]:
    """Serve JPEG frames at their own pace, a sequence for each connection; give the address.

    When they are used up the camera is gone; if it `stalls`, it keeps the last connection open and
    sends nothing more.
    """
    over = threading.Event()

    def frames(connection: Sequence[np.ndarray]) -> Iterator[bytes]:
        started = time.monotonic()
        for index, frame in enumerate(connection):
            jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + b"\r\n"
            time.sleep(max(0.0, started + index / fps - time.monotonic()))
        if stalls and connection is connections[-1]:
            over.wait(timeout=120)

    kind = "multipart/x-mixed-replace; boundary=frame"
    with broadcast(*map(frames, connections), kind=kind) as address:
        try:
            yield address
        finally:
            over.set()


def follow(folder: Path, *arguments: object) -> CompletedProcess[str]:
    """Label sources without a preview, with outputs that go to a folder."""
    return run_script("predict_video.py", *BUNDLED, "--no-preview", "-i", *arguments, cwd=folder)


def court(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    return [picture("tennis", index, size) for index in range(count)]


def test_a_live_source_is_followed_and_stale_frames_are_dropped(tmp_path: Path) -> None:
    """More frames a second than the model manages: the run ends with the stream."""
    with camera(court(20) * 40, fps=400.0) as address:
        done = follow(tmp_path, address, "--csv", "frames.csv", "-o", "video.mp4")
    assert done.returncode == 0, done.stderr
    table = [int(row["frame"]) for row in rows(tmp_path / "frames.csv")]
    assert table == sorted(set(table))
    assert 0 < table[-1] < 800
    skipped = table[-1] + 1 - table[0] - len(table)
    assert skipped > 0
    assert f"skipped {skipped} frames to keep up with the source" in done.stdout
    assert len(frames(tmp_path / "video.mp4")) == len(table)


def test_a_stream_that_breaks_off_is_taken_up_again_and_ends_well(tmp_path: Path) -> None:
    """The second connection has frames of another size, which are fitted to those of the first."""
    with camera(court(20), court(15, (120, 160))) as address:
        secret = address.replace("//", "//me:sesame@")
        outputs = ("--csv", "frames.csv", "-o", "video.mp4", "--json", "report.json")
        done = follow(tmp_path, secret, *outputs)
    assert done.returncode == 0
    address = address.replace("//", "//me@")
    assert done.stderr == f"warning: {address} broke off after 35 frames and did not come back\n"
    report = (tmp_path / "report.json").read_text()
    assert json.loads(report)["clip"]["input"] == address
    assert "sesame" not in done.stdout + report
    table = rows(tmp_path / "frames.csv")
    assert int(table[-1]["frame"]) == 34
    written = frames(tmp_path / "video.mp4")
    assert {frame.shape for frame in written} == {(*SIZE, 3)}
    assert len(written) == len(table)


def test_a_stream_that_stalls_ends_after_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav, "TIMEOUTS", (10.0, 1.0))
    with camera(court(10), court(5), stalls=True) as address, VideoReader(address) as stream:
        assert stream.live
        assert sum(1 for _ in stream) == 15
        assert stream.reconnections == 1


def test_frames_have_the_times_of_their_arrival() -> None:
    """Those that FFmpeg makes up for such a stream are 1/25 s apart."""
    with camera(court(8), court(8), fps=8.0) as address, VideoReader(address) as stream:
        began = time.monotonic()
        times = [(frame.time, time.monotonic() - began) for frame in stream]
        assert stream.reconnections == 1
    assert [at for at, _ in times] == pytest.approx([passed for _, passed in times], abs=0.3)
    assert times[-1][0] > 12 / 8


def test_a_broadcast_that_breaks_off_is_taken_up_again(tmp_path: Path) -> None:
    Footage().write(tmp_path / "first.ts")
    Footage(numbers=range(50, 80)).write(tmp_path / "second.ts")
    programmes = [(tmp_path / name).read_bytes() for name in ("first.ts", "second.ts")]
    with broadcast(*(iter([each]) for each in programmes)) as address:
        with VideoReader(address) as stream:
            assert stream.live
            found = frames_of(stream)
        assert stream.reconnections == 1
        assert stream.loss == " broke off after 80 frames and did not come back"
    assert [(number, shown) for number, _, shown in found] == [(n, n) for n in range(80)]
    assert all(before[1] <= after[1] for before, after in pairwise(found))


@pytest.mark.parametrize("name", ["clip.webm", "unknown.webm", "clip.mp4", "clip.ts"])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_recording_on_the_web_is_read_once(name: str, start: float, tmp_path: Path) -> None:
    """Also one that does not say how long it is, as browsers record."""
    clip = KINDS["vp8.webm"] if "webm" in name else Footage()
    options = {"unknown.webm": "live=1", "clip.mp4": "movflags=faststart"}.get(name, "")
    clip.write(tmp_path / name, options)
    files = partial(Files, directory=tmp_path)
    with serve(files) as address, VideoReader(f"{address}/{name}", start) as stream:
        assert not stream.live
        assert frames_of(stream) == expected(50, first=round(start * 25))
        assert (stream.reconnections, stream.loss) == (0, "")


def test_ctrl_c_ends_a_stalled_stream_with_a_finished_video(tmp_path: Path) -> None:
    with camera(court(40), fps=20.0, stalls=True) as address:
        outputs = ("--no-preview", "-o", "cut.mp4", "--csv", "cut.csv")
        command = ("predict_video.py", *BUNDLED, "-i", address, *outputs)
        process = start_process(*command, cwd=tmp_path)
        # The last one before the stall:
        wait_for(lambda: any("\n39," in path.read_text() for path in tmp_path.glob(".cut.*.csv")))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in stderr, "error" in stderr) == (130, False, False)
    assert "ended before the end of the clip" in stdout
    assert len(frames(tmp_path / "cut.mp4")) == len(rows(tmp_path / "cut.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.csv", "cut.mp4"]


def test_a_password_is_in_no_error_and_no_table(tmp_path: Path) -> None:
    """Of an address that answers, and of one that does not."""
    with camera(court(20)) as address:
        addresses = [address.replace("//", "//me:sesame@"), "http://me:sesame@127.0.0.1:9/none"]
        outputs = ["-o", "out", "--json", "reports", "--timeline", "timelines", "--page", "pages"]
        done = follow(tmp_path, *addresses, *outputs)
    assert done.returncode == 1
    assert "error: http://me@127.0.0.1:9/none gives no frame" in done.stderr
    assert "http://me@127.0.0.1" in done.stdout
    assert "sesame" not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 6
    assert not any(b"sesame" in path.name.encode() + path.read_bytes() for path in written)


def fake_camera(monkeypatch: pytest.MonkeyPatch, clip: Path) -> list[int]:
    """Let every camera deliver a clip and be gone, and say nonsense; return those opened."""
    opened: list[int] = []
    real = cv2.VideoCapture

    class Camera:
        def __init__(self, number: int, _api: int) -> None:
            self._clip = real(str(clip) if not opened else "")
            opened.append(number)

        def get(self, name: int) -> float:
            return 90_000.0 if name == cv2.CAP_PROP_FPS else 0.0

        def __getattr__(self, name: str) -> object:
            return getattr(self._clip, name)

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    return opened


def test_a_camera_is_opened_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frames are all new, even where they look the same, and come when they come."""
    numbers = [0, 1, 1, 1, 2, 3]
    Footage(options="qp=0", numbers=numbers).write(tmp_path / "clip.mkv")
    opened = fake_camera(monkeypatch, tmp_path / "clip.mkv")
    with VideoReader("3") as stream:
        assert (stream.live, stream.format.claimed, stream.expected) == (True, None, None)
        assert stream.format.fps == USUAL_FPS
        for number, frame in enumerate(stream):
            assert (frame.number, number_of(frame.picture)) == (number, numbers[number])
            assert frame.time >= number * 0.05
            time.sleep(0.05)
        assert stream.loss == " broke off after 6 frames and did not come back"
    assert opened == [3, 3, 3, 3]  # and three attempts to take it up again


@pytest.mark.parametrize("absurd", [0.0, -1.0, 90_000.0, float("nan"), float("inf")])
def test_an_unlikely_frame_rate_is_replaced(absurd: float) -> None:
    assert usable_fps(absurd) == usable_fps(None) == usable_fps() == USUAL_FPS
    assert usable_fps(absurd, Fraction(24)) == 24.0


@contextmanager
def pipe(path: Path, *parts: bytes, pause: float) -> Iterator[None]:
    """Make a named pipe that gets parts of a clip, with a pause in seconds after each."""
    over = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as writer:  # waits for a reader
            for part in parts:
                writer.write(part)
                over.wait(pause)

    os.mkfifo(path)
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv"])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_named_pipe_is_read_once_and_nothing_is_skipped(
    name: str, start: float, tmp_path: Path
) -> None:
    Footage().write(tmp_path / name)
    clip, path = (tmp_path / name).read_bytes(), tmp_path / "pipe"
    parts = (clip[: len(clip) // 2], clip[len(clip) // 2 :])
    with pipe(path, *parts, pause=0.5), VideoReader(path, start) as stream:
        assert (stream.live, stream.can_be_read_again) == (False, False)
        assert frames_of(stream) == expected(50, first=round(start * 25))
        assert stream.reconnections == 0


def test_a_pipe_that_says_nothing_is_left_when_that_is_wanted(tmp_path: Path) -> None:
    """Before the first frame, which ends the run, and later."""
    stop = Stop()
    stop.wanted = True
    os.mkfifo(tmp_path / "empty")
    with pytest.raises(KeyboardInterrupt):
        VideoReader(tmp_path / "empty", stop=stop)
    stop.wanted = False
    Footage(numbers=range(200)).write(tmp_path / "clip.ts")
    clip, path = (tmp_path / "clip.ts").read_bytes(), tmp_path / "pipe"
    numbers = []
    half = clip[: len(clip) // 2]
    with pipe(path, half, pause=60), VideoReader(path, stop=stop) as stream:
        for frame in stream:
            numbers.append(number_of(frame.picture))
            stop.wanted = frame.number >= 49
    assert numbers[:50] == list(range(50))
    assert len(numbers) < 150
