"""Live sources, from a network camera on this machine: followed, lost, and taken up again."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED, ROOT, frames, picture, rows, run_script, wait_for, without_progress

from activity.prediction import reader
from activity.prediction.reader import VideoReader
from activity.quiet.opencv import cv2

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

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/court.mjpg"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def court(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    return [picture("tennis", index, size) for index in range(count)]


def test_a_live_source_is_followed_and_stale_frames_are_dropped(tmp_path: Path) -> None:
    """Ten times as many frames a second as the model manages: the run ends with the stream."""
    with camera(court(20) * 100, fps=400.0) as address:
        done = run_script(
            "predict_video.py", *BUNDLED, "-i", address, "--csv", "frames.csv",
            "--no-preview", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = [int(row["frame"]) for row in rows(tmp_path / "frames.csv")]
    assert table == sorted(set(table))
    assert 0 < table[-1] < 2000
    skipped = table[-1] + 1 - table[0] - len(table)
    assert skipped > 0
    assert f"skipped {skipped} frames to keep up with the source" in done.stdout
    # The video lasts as long as the stream: frames are repeated instead of the dropped ones.
    assert len(frames(tmp_path / "output" / "court.avi")) == table[-1] + 1


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
    assert int(rows(tmp_path / "frames.csv")[-1]["frame"]) == 34
    written = frames(tmp_path / "output" / "court.avi")
    assert {frame.shape for frame in written} == {(*SIZE, 3)}
    assert len(written) == 35


def test_a_stream_that_stalls_ends_after_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    options = list(reader.TIMEOUTS)
    options[3] = 3000
    monkeypatch.setattr(reader, "TIMEOUTS", tuple(options))
    with camera(court(10), court(5), stalls=True) as address, VideoReader(address) as stream:
        assert stream.live
        assert sum(1 for _ in stream) == 15
        assert stream.reconnections == 1


def test_ctrl_c_ends_a_stalled_stream_with_a_finished_video(tmp_path: Path) -> None:
    with camera(court(60), fps=20.0, stalls=True) as address:
        process = subprocess.Popen(
            [
                sys.executable, ROOT / "predict_video.py", *BUNDLED, "-i", address, "--no-preview",
                "-o", "cut.avi", "--csv", "cut.csv",
            ],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # The last one before the stall:
        wait_for(lambda: any("\n59," in path.read_text() for path in tmp_path.glob(".cut.*.csv")))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, without_progress(stderr)) == (130, "")
    assert "ended before the end of the clip" in stdout
    assert len(frames(tmp_path / "cut.avi")) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.avi", "cut.csv"]


def test_a_password_is_in_no_error_and_no_table(tmp_path: Path) -> None:
    """Of an address that answers, and of one that does not."""
    with camera(court(20)) as address:
        addresses = [address.replace("//", "//me:sesame@"), "http://me:sesame@127.0.0.1:9/none"]
        done = run_script(
            "predict_video.py", *BUNDLED, "-i", *addresses, "-o", "out", "--json", "reports",
            "--timeline", "timelines", "--no-preview", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1
    assert "error: --input http://me@127.0.0.1:9/none gives no frame" in done.stderr
    assert "http://me@127.0.0.1" in done.stdout
    assert "sesame" not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3
    for path in written:
        assert "sesame" not in path.name
        assert b"sesame" not in path.read_bytes()
