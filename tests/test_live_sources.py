"""Streams from a server on this machine: live ones are followed, lost, and taken up again."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    BUNDLED,
    ROOT,
    frames,
    picture,
    rows,
    run_script,
    shared,
    wait_for,
    without_progress,
)
from footage import Footage, number_of

from activity.prediction.report import _loss
from activity.quiet.opencv import cv2
from activity.video import reader
from activity.video.backends import pyav
from activity.video.reader import VideoReader

SIZE = (240, 320)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try a lost stream again at once, which takes seconds otherwise."""
    monkeypatch.setattr(reader, "RECONNECT_PAUSES", (0.05, 0.1, 0.2))


@contextmanager
def camera(
    *connections: Sequence[np.ndarray], fps: float = 50.0, stalls: bool = False
) -> Iterator[str]:
    """Serve JPEG frames at their own pace, a sequence for each connection; give the address.

    When they are used up the camera is gone; if it `stalls`, it keeps the last connection open and
    sends nothing more.
    """
    waiting = list(connections)
    over = threading.Event()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not waiting:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            started = time.monotonic()
            for index, frame in enumerate(waiting.pop(0)):
                jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(max(0.0, started + index / fps - time.monotonic()))
            if stalls and not waiting:
                over.wait(timeout=120)

        def log_message(self, *_: object) -> None:
            pass

    with serve(Camera) as address:
        try:
            yield f"{address}/court.mjpg"
        finally:
            over.set()


@contextmanager
def serve(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
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
def folder_on_the_web(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; give its address."""

    class Files(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with serve(partial(Files, directory=folder)) as address:
        yield address


@contextmanager
def broadcast(*programmes: bytes) -> Iterator[str]:
    """Send a programme to each connection, without saying how long it is; give the address."""
    waiting = list(programmes)

    class Sender(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not waiting:
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(waiting.pop(0))

        def log_message(self, *_: object) -> None:
            pass

    with serve(Sender) as address:
        yield f"{address}/programme.ts"


def court(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    return [picture("tennis", index, size) for index in range(count)]


def test_a_live_source_is_followed_and_stale_frames_are_dropped(tmp_path: Path) -> None:
    """More frames a second than the model manages: the run ends with the stream."""
    with camera(court(20) * 40, fps=400.0) as address:
        done = run_script(
            "predict_video.py", *BUNDLED, "-i", address, "--csv", "frames.csv",
            "--no-preview", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = [int(row["frame"]) for row in rows(tmp_path / "frames.csv")]
    assert table == sorted(set(table))
    assert 0 < table[-1] < 800
    skipped = table[-1] + 1 - table[0] - len(table)
    assert skipped > 0
    assert f"skipped {skipped} frames to keep up with the source" in done.stdout
    assert len(frames(tmp_path / "output" / "court.mp4")) == len(table)


def test_a_stream_that_breaks_off_is_taken_up_again_and_ends_well(tmp_path: Path) -> None:
    """The second connection has frames of another size, which are fitted to those of the first."""
    with camera(court(20), court(15, (120, 160))) as address:
        secret = address.replace("//", "//me:sesame@")
        done = run_script(
            "predict_video.py", *BUNDLED, "-i", secret, "--csv", "frames.csv",
            "--json", "report.json", "--no-preview", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0
    address = address.replace("//", "//me@")
    assert done.stderr == (f"warning: {address} broke off after 35 frames and did not come back\n")
    report = (tmp_path / "report.json").read_text()
    assert json.loads(report)["clip"]["input"] == address
    assert "sesame" not in done.stdout + report
    table = rows(tmp_path / "frames.csv")
    assert int(table[-1]["frame"]) == 34
    written = frames(tmp_path / "output" / "court.mp4")
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
    assert [told for told, _ in times] == pytest.approx([passed for _, passed in times], abs=0.3)
    assert times[-1][0] > 12 / 8


def test_a_broadcast_that_breaks_off_is_taken_up_again(tmp_path: Path) -> None:
    Footage().write(tmp_path / "first.ts")
    Footage(numbers=range(50, 80)).write(tmp_path / "second.ts")
    programmes = [(tmp_path / name).read_bytes() for name in ("first.ts", "second.ts")]
    with broadcast(*programmes) as address, VideoReader(address) as stream:
        assert stream.live
        found = [(frame.number, number_of(frame.picture), frame.time) for frame in stream]
        assert stream.reconnections == 1
        assert _loss(stream) == " broke off after 80 frames and did not come back"
    assert [frame[:2] for frame in found] == [(number, number) for number in range(80)]
    assert all(before[2] < after[2] for before, after in pairwise(found))


@pytest.mark.parametrize("name", ["clip.webm", "unknown.webm", "clip.mp4", "clip.ts"])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_recording_on_the_web_is_read_once(name: str, start: float, tmp_path: Path) -> None:
    """Also one that does not say how long it is, as browsers record."""
    clip = Footage("libvpx", "deadline=realtime", b_frames=0) if "webm" in name else Footage()
    options = {"unknown.webm": "live=1", "clip.mp4": "movflags=faststart"}.get(name, "")
    clip.write(tmp_path / name, options)
    with folder_on_the_web(tmp_path) as address, VideoReader(f"{address}/{name}", start) as stream:
        assert not stream.live
        found = [(frame.number, round(frame.time, 3), number_of(frame.picture)) for frame in stream]
        assert (stream.reconnections, _loss(stream)) == (0, "")
    assert found == [(number, number / 25, number) for number in range(round(start * 25), 50)]


def test_a_recording_of_a_browser_on_the_web_is_read_once() -> None:
    folder = shared("cases/rec.webm").parent
    with folder_on_the_web(folder) as address, VideoReader(f"{address}/rec.webm") as stream:
        assert sum(1 for _ in stream) == 90
        assert (stream.reconnections, _loss(stream)) == (0, "")


def test_ctrl_c_ends_a_stalled_stream_with_a_finished_video(tmp_path: Path) -> None:
    with camera(court(40), fps=20.0, stalls=True) as address:
        process = subprocess.Popen(
            [
                sys.executable, ROOT / "predict_video.py", *BUNDLED, "-i", address, "--no-preview",
                "-o", "cut.mp4", "--csv", "cut.csv",
            ],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # The last one before the stall:
        wait_for(lambda: any("\n39," in path.read_text() for path in tmp_path.glob(".cut.*.csv")))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, without_progress(stderr)) == (130, "")
    assert "ended before the end of the clip" in stdout
    assert len(frames(tmp_path / "cut.mp4")) == len(rows(tmp_path / "cut.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.csv", "cut.mp4"]


def test_a_password_is_in_no_error_and_no_table(tmp_path: Path) -> None:
    """Of an address that answers, and of one that does not."""
    with camera(court(20)) as address:
        addresses = [address.replace("//", "//me:sesame@"), "http://me:sesame@127.0.0.1:9/none"]
        done = run_script(
            "predict_video.py", *BUNDLED, "-i", *addresses, "-o", "out", "--json", "reports",
            "--timeline", "timelines", "--page", "pages", "--no-preview", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1
    assert "error: --input http://me@127.0.0.1:9/none gives no frame" in done.stderr
    assert "http://me@127.0.0.1" in done.stdout
    assert "sesame" not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 6
    for path in written:
        assert "sesame" not in path.name
        assert b"sesame" not in path.read_bytes()
