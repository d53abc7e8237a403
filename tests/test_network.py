"""Neither script opens a network connection that the user did not ask for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BUNDLED, ROOT

# Python runs it at its start. Threads may swallow an exception, so it leaves a note, too.
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["NOTES"], "a") as file:
            file.write(f"{event} {arguments}\\n")
        raise ConnectionError("no network here")

sys.addaudithook(watch)
"""

WAIT = """
import os, time, openvino

end = time.monotonic() + 60
while not os.path.exists(os.environ["NOTES"]) and time.monotonic() < end:
    time.sleep(0.1)
"""


def watched(folder: Path, *command: object) -> str:
    """Run a Python command in `folder`; return what it wanted from the network."""
    (folder / "sitecustomize.py").write_text(WATCH)
    notes = folder / "notes"
    environment = {
        name: value
        for name, value in os.environ.items()
        # With these the packages' reports would be off anyway.
        if name not in ("CI", "NNCF_CI", "NNCF_DEV", "DISPLAY", "PYTEST_CURRENT_TEST")
    }
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, capture_output=True, text=True,
        env=environment | {"PYTHONPATH": str(folder), "NOTES": str(notes), "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return notes.read_text() if notes.exists() else ""


@pytest.mark.slow
def test_training(tmp_path: Path, dataset_folder: Path) -> None:
    wanted = watched(
        tmp_path, ROOT / "train.py", "-d", dataset_folder, "--base", "efficientnet_lite2",
        "--views", 0, "-e", 1,
    )  # fmt: skip
    assert wanted == ""


def test_prediction(tmp_path: Path) -> None:
    wanted = watched(
        tmp_path, ROOT / "predict_video.py", *BUNDLED, "-i", ROOT / "example_clips/tennis.mp4",
        "--timeline", "t.png", "--page", "p.html",
    )  # fmt: skip
    assert wanted == ""


@pytest.mark.slow
def test_prediction_with_keras(tmp_path: Path, trained: Path) -> None:
    wanted = watched(
        tmp_path, ROOT / "predict_video.py", "-m", trained / "model/activity.model",
        "-l", trained / "model/lb.pickle", "-i", ROOT / "example_clips/tennis.mp4",
    )  # fmt: skip
    assert wanted == ""


def test_what_the_packages_would_do_otherwise(tmp_path: Path) -> None:
    """The watch sees it where OpenVINO is imported without this project."""
    wanted = watched(tmp_path, "-c", WAIT)
    assert "socket." in wanted
