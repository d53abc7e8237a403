"""The least certain frames: which they are, and that they are saved as filmed."""

import math
import os
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED, frames, rows, run_script, write_clip
from footage import Footage, number_of
from hypothesis import example, given
from hypothesis import strategies as st
from labelled import clip_of

from activity.errors import UserError
from activity.prediction.observation import Observation
from activity.prediction.outputs.uncertain import Choice, Request, UncertainFrames
from activity.prediction.result import Result, Segment
from activity.quiet.opencv import cv2
from activity.video.reader import Frame

Samples = Sequence[tuple[float, float]]  # of a clip: probabilities and times
# Eighths of a second have no rounding errors, and few probabilities many ties.
TIMES = st.lists(st.integers(0, 400), min_size=1, max_size=40, unique=True).map(sorted)
CLIPS = st.lists(
    TIMES.flatmap(
        lambda eighths: st.tuples(
            *(st.tuples(st.integers(3, 9).map(lambda p: p / 10), st.just(e / 8)) for e in eighths)
        )
    ),
    min_size=1, max_size=5,
)  # fmt: skip


def least_of_each_slot(samples: Samples, number: int) -> list[tuple[float, float]]:
    """Return what a clip keeps: slots of a second, or twice or four times as long, and so on."""
    begin, seconds = math.floor(samples[0][1]), 1
    while samples[-1][1] - begin >= 2 * number * seconds:
        seconds *= 2
    slots = [int((time - begin) / seconds) for _, time in samples]
    return [
        min(sample for sample, other in zip(samples, slots, strict=True) if other == slot)
        for slot in sorted(set(slots))
    ]


def expected(
    clips: Sequence[Samples], ends: Sequence[float], number: int, failed: int = 0
) -> set[tuple[int, float]]:
    """Choose as the manual says, round after round; return the clips and times."""
    count = -(-2 * number // (len(clips) + failed))
    left: dict[tuple[int, int], list[tuple[float, float, int]]] = {}  # by clip and stretch
    for place, (samples, last) in enumerate(zip(clips, ends, strict=True)):
        begin, end = Fraction(samples[0][1]), Fraction(last)
        edges = [begin + (end - begin) * k / count for k in range(1, count)]
        for probability, time in least_of_each_slot(samples, number):
            stretch = sum(time >= edge for edge in edges)
            left.setdefault((place, stretch), []).append((probability, time, place))
    chosen: list[tuple[float, float, int]] = []
    while left and len(chosen) < number:
        candidates = sorted(map(min, left.values()))
        chosen += candidates[: number - len(chosen)]
        for group in left.values():
            group.remove(min(group))
        left = {key: group for key, group in left.items() if group}
    return {(place, time) for _, time, place in chosen}


def keep(folder: Path, clips: Sequence[Samples], number: int) -> str | None:
    """Let clips keep frames, and choose among them; every one of the first clip is read twice."""
    request = Request(number, folder)
    choice = Choice(request, len(clips))
    for place, samples in enumerate(clips):
        part = UncertainFrames.place(request, "", str(place), several=True)
        UncertainFrames.check(part, "")
        for _ in range(2 if place == 0 else 1):
            output = UncertainFrames(part, clip_of("ab"))
            with output.opened():
                for number_in_clip, (probability, time) in enumerate(samples):
                    frame = Frame(number_in_clip, time, np.zeros((1, 1, 3), np.uint8))
                    output.observe(Observation(frame, np.array([probability, 0.0])))
        segment = Segment("a", samples[0][1], samples[-1][1] + 0.125, len(samples), 0.5)
        choice.add(str(place), Result("", segments=[segment]), part)
    return choice.finish()


@given(CLIPS, st.integers(1, 60))
@example([[((3 + second * second % 7) / 10, float(second)) for second in range(50)]], 5)
def test_the_least_certain_frames_of_all_stretches_are_chosen(
    tmp_path_factory: pytest.TempPathFactory, clips: list[Samples], number: int
) -> None:
    """In clips shorter than twice as many seconds one frame a second may be, in others fewer."""
    folder = tmp_path_factory.mktemp("ask")
    line = keep(folder, clips, number)
    found = [path.stem.split("_") for path in folder.iterdir()]
    chosen = {(int(place), float(time)) for place, time in found}
    assert chosen == expected(clips, [samples[-1][1] + 0.125 for samples in clips], number)
    kept = sum(len(least_of_each_slot(samples, number)) for samples in clips)
    assert len(chosen) == len(found) == min(number, kept)
    assert ("there are no more" in (line or "")) == (kept <= number)


def test_uncertain_frames_side_by_side_are_not_all_chosen(tmp_path: Path) -> None:
    """Where one minute of four is hard, half of the pictures at most are of it."""
    hard = [(0.4 if 60 <= second < 120 else 0.9, float(second)) for second in range(240)]
    keep(tmp_path, [hard], 8)
    times = sorted(float(path.stem.split("_")[1]) for path in tmp_path.iterdir())
    assert len(times) == 8
    assert sum(60 <= time < 120 for time in times) <= 5
    assert min(np.diff(times)) > 1


def test_a_folder_with_files_is_refused_but_not_what_a_killed_run_left(tmp_path: Path) -> None:
    (tmp_path / ".parts/0").mkdir(parents=True)
    (tmp_path / ".parts/0/000001.000_0.5.jpg").touch()
    keep(tmp_path, [[(0.5, 7.0)]], 3)
    assert [path.name for path in tmp_path.iterdir()] == ["0_000007.000.jpg"]
    with pytest.raises(UserError, match=f"^{tmp_path} holds files already; name another folder"):
        Choice(Request(3, tmp_path), 1)
    assert Choice(Request(3, tmp_path / "new"), 1).finish() is None
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of two clips of different rates, 6 and 3 s long; a frame shows its number."""
    folder = tmp_path_factory.mktemp("run") / "clips"
    (folder / "day").mkdir(parents=True)
    Footage(numbers=range(150), size=(120, 160)).write(folder / "day/long.mp4")
    Footage(numbers=range(45), size=(96, 128), fps=Fraction(15)).write(folder / "short.mkv")
    return folder


RATES = {"day/long": 25, "short": 15}


def check(folder: Path, clips: Path, tables: Path, number: int, stride: int = 1) -> None:
    """Assert that pictures are the right ones, by another way, and nothing is drawn on them."""
    samples = []
    for name in RATES:
        table = [row for row in rows(tables / f"{name}.csv") if int(row["frame"]) % stride == 0]
        samples.append([(float(row["raw_probability"]), float(row["time_s"])) for row in table])
    names = {}
    for place, time in expected(samples, [6.0, 3.0], number, failed=1):
        name = list(RATES)[place]
        names[f"{name}_{time:010.3f}.jpg"] = name, round(time * RATES[name])
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == set(names)
    originals = {path[:-4]: frames(clips / path) for path in ("day/long.mp4", "short.mkv")}
    for file, (name, frame) in names.items():
        original = originals[name][frame]
        assert number_of(original) == frame
        jpeg = cv2.imencode(".jpg", original, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        assert (folder / file).read_bytes() == jpeg.tobytes()


@pytest.mark.parametrize(
    ("options", "stride"),
    [("", 1), ("--stride 7 -o videos", 7), ("--smoothing hmm --stride 7 --page pages", 7),
     ("--smoothing hmm -o videos", 1), ("--table t.csv", 1)],
)  # fmt: skip
def test_pictures_are_the_frames_as_filmed(
    options: str, stride: int, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    done = run_script(
        "predict_video.py", *BUNDLED, "-i", clips, "bad.mp4", "--no-preview", "--csv", "tables",
        "--ask", 4, "new/ask", *options.split(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "bad.mp4 holds no frame" in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "confidence" in line]
    assert "new/ask: 4 frames of 2 clips, labelled with a confidence of " in line
    assert line.endswith("%; sort them into class folders")
    check(tmp_path / "new/ask", clips, tmp_path / "tables", 4, stride)
    assert not (tmp_path / "new/ask/.parts").exists()


def test_a_pipe_gives_the_frames_of_the_file(clips: Path, tmp_path: Path) -> None:
    clip = clips / "day/long.mp4"
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(clip.read_bytes()))
    writing.start()
    for source, folder in ((clip, "file"), ("pipe", "piped")):
        done = run_script(
            "predict_video.py", *BUNDLED, "-i", source, "--no-preview", "--ask", 3, folder,
            "-o", f"{folder}.mp4", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    writing.join()
    folders = [tmp_path / "file", tmp_path / "piped"]
    file, piped = ({f.name.split("_")[1]: f.read_bytes() for f in d.iterdir()} for d in folders)
    assert file == piped
    assert len(file) == 3


def test_where_there_are_too_few_all_are_saved_and_quiet_says_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", frames=40)
    (tmp_path / "ask").mkdir()
    options = ("predict_video.py", *BUNDLED, "-i", "clip.avi", "--no-preview", "--ask", 9)
    done = run_script(*options, "ask", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ask: 2 frames (there are no more, at one per second) of 1 clip, " in done.stdout
    done = run_script(*options, "other", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list((tmp_path / "other").iterdir())) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ask", "clip.avi", "other"]
