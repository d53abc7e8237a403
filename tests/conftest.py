"""Fixtures: the shared test material where it is present, and small stand-ins made here."""

import contextlib
import csv
import fcntl
import importlib
import io
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from activity import cli
from activity.prediction.classifier import Classifier
from activity.quiet.opencv import cv2
from activity.training import dataset, layout
from activity.training.bases import BASES, Base
from activity.video.reader import Frame, VideoReader

# A slow machine is no failure. `make test-all` takes the thorough one.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile("quick")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
# The bundled model, where any will do.
BUNDLED = ("-m", ROOT / "model/activity.xml", "-l", ROOT / "model/lb.pickle")
# The tutorial's first command, word for word.
TUTORIAL = (
    "--dataset Sports-Type-Classifier/data --model model/activity.model "
    "--label-bin model/lb.pickle --epochs 50"
)
# What is trained where the network is not the point: seconds instead of half a minute.
TINY = ("--base", "tiny", "--views", "0", "-e", "8", "--precision", "float")
DRIVER = shutil.which("chromedriver")  # of the browser
COLOURS = {"football": (40, 160, 40), "tennis": (60, 90, 200), "weight_lifting": (120, 120, 120)}


def tiny_network(rgb: Any, _weights: str) -> Any:
    """Build two convolutions with random weights, always the same: enough to tell colours apart."""
    from activity.quiet.keras import keras

    maps = keras.layers.Rescaling(1 / 128, -1)(rgb)
    for filters, seed in ((16, 0), (64, 1)):
        start = keras.initializers.HeNormal(seed)
        layer = keras.layers.Conv2D(
            filters, 3, 2, activation="relu", padding="same", kernel_initializer=start
        )
        maps = layer(maps)
    return maps


BASES["tiny"] = Base("Tiny", 32, 24, range(0), tiny_network)


def shared(path: str) -> Path:
    """Return a file or folder of the shared test material, or skip the test and say why."""
    if not (SHARED / path).exists():
        pytest.skip(f"needs {path} of the shared test material")
    return SHARED / path


def run_script(
    script: str, *arguments: object, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run one of the two scripts inside this process, which has its libraries already."""
    said, complained = io.StringIO(), io.StringIO()
    main = importlib.import_module(Path(script).stem).main
    with (
        patch.object(sys, "argv", [script, *map(str, arguments)]),
        patch.dict(os.environ),
        patch.object(cli, "SECONDS_PER_LINE", math.inf),  # or a slow machine would say more
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
        pytest.raises(SystemExit) as end,
    ):
        os.environ.pop("DISPLAY", None)
        cli.run(main)
    code = end.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess([script], code, said.getvalue(), complained.getvalue())


def start_process(
    script: str, *arguments: object, cwd: Path = ROOT, first: str = "", **environment: str
) -> subprocess.Popen[str]:
    """Start one of the two scripts as a user does, in a process that does something else first."""
    inherited = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    begin = f"import runpy, sys; del sys.argv[0]; sys.path.insert(0, {str(ROOT)!r})"
    program = f"{begin}\n{first}\nrunpy.run_path(sys.argv[0], {{}}, '__main__')"
    python = [sys.executable, "-c", program] if first else [sys.executable]
    return subprocess.Popen(
        [*python, str(ROOT / script), *map(str, arguments)], cwd=cwd, env=inherited | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def run_process(script: str, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run one of the two scripts as `start_process` does, to its end."""
    with start_process(script, *arguments, **how) as process:
        said, complained = process.communicate()
    complained = without_progress(complained)
    return subprocess.CompletedProcess([script], process.returncode, said, complained)


def without_progress(stderr: str) -> str:
    """Return what a script said without its progress, of which a slow machine makes more lines."""
    return re.sub(r"^.*\[\d\d:\d\d.*\]\n", "", stderr, flags=re.M)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, however slow the machine is; fail after two minutes."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def picture(label: str, seed: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """Draw an (H, W, 3) uint8 BGR picture of a class: its colour, noise, and random blobs."""
    random = np.random.default_rng([seed, *label.encode()])
    image = np.full((*size, 3), COLOURS[label], np.uint8)
    for _ in range(12):
        centre = (int(random.integers(size[1])), int(random.integers(size[0])))
        colour = [int(value) for value in random.integers(0, 256, 3)]
        cv2.circle(image, centre, int(random.integers(4, 12)), colour, -1)
    noise = random.integers(-20, 20, image.shape)
    return np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small data set of the three default classes, 16 pictures each."""
    folder = tmp_path_factory.mktemp("dataset")
    for label in COLOURS:
        (folder / label).mkdir()
        for seed in range(16):
            cv2.imwrite(str(folder / label / f"{seed}.png"), picture(label, seed))
    return folder


@pytest.fixture
def folder(tmp_path: Path, dataset_folder: Path) -> Path:
    """Copy the small data set, to be changed by a test."""
    return Path(shutil.copytree(dataset_folder, tmp_path / "data"))


def load(
    folder: Path, labels: Sequence[str] = tuple(COLOURS), tables: Sequence[Path] = ()
) -> dataset.Dataset:
    """Load the data set in a folder; frames of videos go beside it."""
    annotations = layout.find_annotations(folder, labels, tables=tables)
    return dataset.load(annotations, folder.with_name("frames"))


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file of untrained ResNet50 weights: enough to tell colours apart."""
    from activity.quiet.keras import keras

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.weights.h5"
    keras.applications.ResNet50(weights=None, include_top=False).save_weights(path)
    return path


def write_video(path: Path, pictures: Iterable[np.ndarray], fps: float = 25.0) -> Path:
    """Write (H, W, 3) uint8 BGR pictures as MPEG-4 in an .mp4, or else as Motion JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(pictures)
    codec = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, fps, (width, height))
    assert writer.isOpened()
    for each in pictures:
        writer.write(each)
    writer.release()
    return path


def write_clip(
    path: Path, frames: int = 40, size: tuple[int, int] = (120, 160), fps: float = 25.0
) -> Path:
    """Write a clip of constant grey frames; frame i has the grey level 40 + 5 (i mod 40)."""
    levels = (40 + 5 * (index % 40) for index in range(frames))
    return write_video(path, (np.full((*size, 3), level, np.uint8) for level in levels), fps)


@pytest.fixture
def alone_with_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have no other cluster on the machine: Ray finds them all, and workers are killed by name."""
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-ray.txt")
    with FileLock(tmp_path_factory.getbasetemp().parent / "ray.lock"):
        yield


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder in which the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def chromium(downloads: Path) -> Iterator[Chrome]:
    """Start a browser, or skip the test and say why."""
    if not DRIVER:
        pytest.skip("needs a browser: install chromium and chromium-driver")
    options = ChromeOptions()
    # With the second and the third it starts for root and in containers, too.
    flags = "--headless=new --no-sandbox --disable-dev-shm-usage --window-size=1280,1000"
    for flag in flags.split():
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=ChromeService(DRIVER))
    browser.set_page_load_timeout(60)
    browser.set_script_timeout(60)
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """Return the bundled model, loaded once."""
    return Classifier(ROOT / "model/activity.xml")


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path, random_weights: Path
) -> Path:
    """Run the tutorial's first command on the small data set; return the folder with what it wrote.

    One of pytest-xdist's workers does it for all, and the others wait.
    """
    common = tmp_path_factory.getbasetemp()
    common = common.parent if "PYTEST_XDIST_WORKER" in os.environ else common
    folder = common / "trained"
    with (common / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "stdout").exists():
            data = folder / "Sports-Type-Classifier/data"
            data.parent.mkdir(parents=True, exist_ok=True)
            data.symlink_to(dataset_folder)
            options = (*TUTORIAL.split(), "--weights", random_weights, "--views", 0)
            done = run_script("train.py", *options, cwd=folder)
            assert done.returncode == 0, done.stderr
            (folder / "stderr").write_text(done.stderr)
            (folder / "stdout").write_text(done.stdout)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV table."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def frames(path: Path) -> list[np.ndarray]:
    """Return the pictures of all frames of a video."""
    with VideoReader(path) as reader:
        return [frame.picture.copy() for frame in reader]


def frame(number: int, fps: float = 25.0) -> Frame:
    """Make a frame of which only the number and the time count."""
    return Frame(number, number / fps, np.zeros((1, 1, 3), np.uint8))
