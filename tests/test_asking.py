"""The frames that the model is least sure of: which they are, and that they are saved as filmed."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED, frames, picture, run_script, shared, write_clip
from footage import Footage, number_of
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.prediction.asking import Doubt, Doubts, LeastSure, choose
from activity.prediction.classifier import Classifier
from activity.prediction.outputs import Outputs
from activity.prediction.settings import Settings
from activity.prediction.smoothing import Prediction
from activity.quiet.opencv import cv2
from activity.video.reader import Frame, VideoReader
from activity.video.stop import Stop
from predict_video import label_video

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
Looks = Sequence[tuple[float, float]]  # at one clip: probabilities and times


def doubts(looks: Looks) -> Doubts:
    clip = Doubts("source", "name")
    for look in looks:
        clip.add(Doubt(*look))
    return clip


def least_of_each_second(looks: Looks) -> list[tuple[float, float]]:
    seconds = sorted({int(time) for _, time in looks})
    return [min(look for look in looks if int(look[1]) == second) for second in seconds]


def expected(clips: Sequence[Looks], number: int) -> list[tuple[int, float]]:
    """Choose as the manual says, round after round; return the clips and times."""
    count = -(-2 * number // len(clips))
    left: dict[tuple[int, int], list[tuple[float, int, float]]] = {}  # by clip and stretch
    for place, looks in enumerate(clips):
        begin, end = Fraction(looks[0][1]), Fraction(looks[-1][1])
        edges = [begin + (end - begin) * k / count for k in range(1, count)]
        for probability, time in least_of_each_second(looks):
            stretch = sum(time >= edge for edge in edges) if end > begin else 0
            left.setdefault((place, stretch), []).append((probability, place, time))
    chosen: list[tuple[float, int, float]] = []
    while left and len(chosen) < number:
        candidates = sorted(map(min, left.values()))
        chosen += candidates[: number - len(chosen)]
        for group in left.values():
            group.remove(min(group))
        left = {key: group for key, group in left.items() if group}
    return sorted((place, time) for _, place, time in chosen)


@given(CLIPS, st.integers(1, 60))
def test_the_least_sure_frames_of_all_stretches_are_chosen(looks: list[Looks], number: int) -> None:
    clips = [doubts(clip) for clip in looks]
    chosen = choose(clips, number)
    found = [
        (next(place for place, other in enumerate(clips) if other is clip), doubt.time)
        for clip, doubt in chosen
    ]
    assert found == expected(looks, number)
    assert choose([*clips, Doubts("broken", "broken")], number) == chosen
    # What follows from that, whatever the manual says.
    kept = sum(len(clip.frames) for clip in clips)
    assert len(set(found)) == len(found) == min(number, kept)
    for place, clip in enumerate(looks):
        times = [time for where, time in found if where == place]
        assert set(times) <= {time for _, time in clip}
        assert len(set(map(int, times))) == len(times)


@given(TIMES, st.data())
def test_a_clip_is_kept_as_one_frame_a_second(eighths: list[int], data: st.DataObject) -> None:
    looks = [(data.draw(st.floats(0, 1)), eighth / 8) for eighth in eighths]
    clip = doubts(looks)
    assert [tuple(frame) for frame in clip.frames] == least_of_each_second(looks)
    assert len(clip.frames) <= int(eighths[-1] / 8) + 1
    assert (clip.begin, clip.end) == (eighths[0] / 8, eighths[-1] / 8)


def test_unsure_frames_side_by_side_are_not_all_chosen() -> None:
    """Where one minute is hard, half of the pictures at most are of it."""
    hard = doubts([(0.4 if 60 <= second < 120 else 0.9, float(second)) for second in range(240)])
    times = [doubt.time for _, doubt in choose([hard], 8)]
    assert len(times) == 8
    assert sum(60 <= time < 120 for time in times) <= 5
    assert min(np.diff(times)) > 1
    assert choose([], 5) == []


def test_frames_a_hair_apart_do_not_share_the_name_of_a_picture() -> None:
    clip = doubts([(0.5, 0.9996), (0.4, 1.0003), (0.3, 1.9994)])
    assert [doubt.time for doubt in clip.frames] == [1.9994]
    clip = doubts([(0.4, 0.5), (0.5, 0.9996)])
    assert [doubt.time for doubt in clip.frames] == [0.5, 0.9996]


class Recorder:
    """Notes what a run says about the frames that the model looked at, every `stride`th."""

    def __init__(self, stride: int = 1) -> None:
        self.clips: dict[str, list[tuple[float, float]]] = {}
        self._stride = stride

    def begin(self, source: str) -> None:
        self._looks = self.clips.setdefault(source, [])

    def add(self, frame: Frame, prediction: Prediction) -> None:
        if frame.number % self._stride == 0:
            self._looks.append((float(prediction.raw.max()), frame.time))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Make two clips of different rates, 6 and 3 s long; each frame shows its number."""
    folder = tmp_path_factory.mktemp("clips")
    for name, clip in {
        "long.mp4": Footage(numbers=range(150), size=(120, 160)),
        "short.mkv": Footage(numbers=range(45), size=(96, 128), fps=Fraction(15)),
    }.items():
        clip.write(folder / name)
    return [str(folder / name) for name in ("long.mp4", "short.mkv")]


def saved(folder: Path) -> dict[str, np.ndarray]:
    """Return the pictures in a folder, in the order of their names."""
    found = {path.name: cv2.imread(str(path)) for path in sorted(folder.iterdir())}
    assert all(image is not None for image in found.values())
    return found  # type: ignore[return-value]


def as_jpeg(image: np.ndarray) -> np.ndarray:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]


@pytest.mark.parametrize("film", [False, True], ids=["no film", "film"])
@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(stride=7), Settings(smoothing="hmm", stride=7), Settings(start=1.5)],
    ids=["every frame", "every 7th", "hmm", "from a start"],
)
def test_pictures_are_the_frames_as_filmed(
    settings: Settings, film: bool, clips: list[str], classifier: Classifier, tmp_path: Path
) -> None:
    """The right ones, by another way to the same choice, and nothing is drawn on them."""
    asked, recorder = LeastSure(4, tmp_path / "ask", clips), Recorder(int(settings.stride))
    for source in clips:
        outputs = Outputs(tmp_path / f"{Path(source).stem}.avi" if film else None)
        label_video(source, classifier, outputs, settings, watchers=[asked, recorder])
    line = asked.save()
    wanted = expected([recorder.clips[source] for source in clips], 4)
    assert line.startswith(f"{tmp_path / 'ask'}: 4 frames of {len({p for p, _ in wanted})} clip")
    found = saved(tmp_path / "ask")
    names = [f"{Path(clips[place]).stem}_{time:010.3f}.jpg" for place, time in wanted]
    assert list(found) == names
    originals = [frames(Path(source)) for source in clips]
    for (place, time), image in zip(wanted, found.values(), strict=True):
        number = round(time * (25, 15)[place])
        original = originals[place][number]
        assert number_of(image) == number_of(original) == number
        assert number % int(settings.stride) == 0
        assert image.shape == original.shape
        assert np.abs(image.astype(int) - original).mean() < 3
        assert (tmp_path / "ask" / names.pop(0)).read_bytes() == as_jpeg(original).tobytes()


def test_a_run_on_real_clips(tmp_path: Path) -> None:
    """Two clips of one name, and one that is no video; each frame is where its name says."""
    for folder, name in (("a", "football/juggling_240p.avi"), ("b", "tennis/tutorial_tennis.mp4")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"1{Path(name).suffix}").symlink_to(shared("clips") / name)
    (tmp_path / "b" / "2.mp4").write_text("no video")
    done = run_script(
        "predict_video.py", *BUNDLED, "-i", "a", "b", "--no-video", "--no-preview",
        "--stride", "auto", "--ask", 12, "new/ask", "--csv", "all.csv", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: --input b/2.mp4 holds no frame")
    assert done.stderr.count("\n") == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("new/ask: 12 frames of 2 clips, of whose labels the model is ")
    assert last.endswith("% sure; sort them into class folders")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "all.csv", "b", "new"]
    found = saved(tmp_path / "new" / "ask")
    assert {name.split("_")[0] for name in found} == {"1", "1-2"}
    for name, image in found.items():
        clip, time = name.removesuffix(".jpg").split("_")
        source = {"1": "a/1.avi", "1-2": "b/1.mp4"}[clip]
        with VideoReader(tmp_path / source) as reader:
            original = next(f.picture for f in reader if abs(f.time - float(time)) < 0.001)
        assert image.shape == original.shape
        assert np.abs(image.astype(int) - original).mean() < 3


def test_where_there_are_too_few_all_are_saved_and_quiet_says_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", frames=40)
    (tmp_path / "ask").mkdir()
    arguments = (
        "predict_video.py", *BUNDLED, "-i", "clip.avi", "--no-preview", "--overwrite", "--ask", 9,
    )  # fmt: skip
    done = run_script(*arguments, "ask", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(saved(tmp_path / "ask")) == 2
    assert "ask: 2 frames (there are no more, at one a second) of 1 clip, " in done.stdout
    done = run_script(*arguments, "other", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(saved(tmp_path / "other")) == list(saved(tmp_path / "ask"))


def test_numbered_pictures_are_found_again_at_their_rate(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(1, 13):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), picture("tennis", number))
    done = run_script(
        "predict_video.py", *BUNDLED, "--no-preview", "-i", "frames/%d.png", "--fps", 4,
        "--no-video", "--ask", 3, "ask", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = saved(tmp_path / "ask")
    assert len(found) == 3
    for name, image in found.items():
        clip, time = name.removesuffix(".jpg").split("_")
        original = picture("tennis", round(float(time) * 4) + 1)
        assert clip == "frames"
        assert (image == cv2.imdecode(as_jpeg(original), cv2.IMREAD_COLOR)).all()


def test_what_is_known_of_a_clip_that_was_stopped_counts(
    clips: list[str], classifier: Classifier, tmp_path: Path
) -> None:
    stop = Stop()

    class Impatient(Recorder):
        def add(self, frame: Frame, _: Prediction) -> None:
            stop.wanted = frame.number == 30

    asked = LeastSure(9, tmp_path / "ask", clips)
    label_video(clips[0], classifier, Outputs(), watchers=[asked, Impatient()], stop=stop)
    assert asked.save().startswith(f"{tmp_path / 'ask'}: 2 frames (there are no more")
    times = [float(name[-14:-4]) for name in saved(tmp_path / "ask")]
    assert max(times) <= 30 / 25
    assert LeastSure(9, tmp_path / "none", clips).save() == ""


def test_a_clip_that_is_gone_by_then_is_a_warning(
    classifier: Classifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [str(write_clip(tmp_path / name)) for name in ("a.avi", "b.avi")]
    asked = LeastSure(2, tmp_path / "ask", sources)
    for source in sources:
        label_video(source, classifier, Outputs(), watchers=[asked])
    (tmp_path / "a.avi").unlink()
    assert "1 frame of 1 clip, " in asked.save()
    assert capsys.readouterr().err == (
        f"warning: {tmp_path / 'a.avi'} does not exist; name a video file\n"
    )
    assert [name[:2] for name in saved(tmp_path / "ask")] == ["b_"]


MISTAKES = [
    (["--ask", "0", "new"], 2, "argument --ask: '0' is not a whole number from 1 to 10000"),
    (["--ask", "10001", "new"], 2, "argument --ask: '10001' is not a whole number from 1 to"),
    (["--ask", "new", "5"], 2, "argument --ask: 'new' is not a whole number from 1 to 10000"),
    (["--ask", "5"], 2, "argument --ask: expected 2 arguments"),
    (["--ask", "5", "full"], 1, "--ask full holds files already; name another folder"),
    (["--ask", "5", "file"], 1, "cannot be written: file is a file"),
    (["--ask", "5", "file/new"], 1, "cannot be written: file/new is a file"),
    (["--ask", "5", "new", "-i", "0"], 1, "--input 0 gives each frame only once"),
    (["--ask", "5", "new", "-i", "clip.avi", "0"], 1, "--input 0 gives each frame only once"),
    (["--ask", "5", "new", "-i", "pipe"], 1, "--input pipe gives each frame only once"),
    (["--ask", "5", "new", "-i", "http://me:secret@host/x.mp4"], 1, "only once, and those chosen"),
    (["--ask", "5", "new", "-i", "missing.avi"], 1, "--input missing.avi does not exist"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES)
def test_a_mistake_is_found_before_the_model_is_loaded(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activity.prediction.classifier.load_engine", None)
    write_clip(tmp_path / "clip.avi", frames=3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "football").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    before = [path for path in tmp_path.rglob("*") if path.is_file()]
    done = run_script(
        "predict_video.py", *BUNDLED, "--no-preview", "-i", "clip.avi", *arguments, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == before
    assert not list(tmp_path.glob("new/*"))


def test_a_name_too_long_for_its_pictures_is_found_before_the_run(tmp_path: Path) -> None:
    clip = "c" * 240
    with pytest.raises(UserError, match="File name too long") as caught:
        LeastSure(5, tmp_path / "ask", ["a.avi", f"{clip}.avi"])
    assert caught.value.about == tmp_path / "ask"
