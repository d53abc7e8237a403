import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, load, picture, shared, write_clip
from footage import Footage

from activity.errors import UserError
from activity.quiet.opencv import cv2
from activity.training import dataset
from activity.training.annotations import Annotation
from activity.video.sources import OWN_MARK


def test_counts_of_the_tutorials_data() -> None:
    data = load(shared("data/sports3"))
    counts = {label: data.counts()[label][:2] for label in data.labels}
    assert counts == {"football": (799, 798), "tennis": (718, 718), "weight_lifting": (577, 577)}
    assert [file.path.name for file in data.skipped] == ["00000092.aspx"]
    assert {".php", ".5", ".gif", ".webp"} <= {picture.path.suffix for picture in data.pictures}


@pytest.mark.parametrize(
    ("ending", "options", "resize"),
    [(".png", [], 1.0), (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 50], 1.0), (".jpg", [], 0.5),
     (".webp", [cv2.IMWRITE_WEBP_QUALITY, 60], 1.0)],
)  # fmt: skip
def test_a_picture_saved_again_is_the_same_picture(
    folder: Path, ending: str, options: list[int], resize: float
) -> None:
    image = cv2.imread(str(folder / "tennis" / "3.png"))
    assert image is not None
    image = cv2.resize(image, None, fx=resize, fy=resize, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(ending, image, options)
    (folder / "football" / "copy").write_bytes(encoded.tobytes())
    data = load(folder)
    (group,) = data.in_two_classes()
    assert [picture.path.name for picture in group] == ["copy", "3.png"]
    assert data.counts()["football"] == (17, 17, 17)
    assert len({picture.group for picture in data.pictures}) == 48


def test_pictures_of_one_burst_are_one_scene(folder: Path) -> None:
    """The first and the last are far apart, but neighbours are not, in the order of numbers."""
    for number in range(12):
        brighter = np.clip(picture("tennis", 500).astype(int) + 8 * number, 0, 255)
        cv2.imwrite(str(folder / "tennis" / f"shot_{number + 1}.png"), brighter)
    data = load(folder)
    assert data.counts()["tennis"] == (28, 28, 17)
    assert data.near_duplicates == []
    # Names that do not follow each other are no burst.
    for number in range(1, 13, 2):
        (folder / "tennis" / f"shot_{number}.png").unlink()
    shutil.copy(folder / "tennis" / "3.png", folder / "tennis" / "shot_3a.png")
    assert load(folder).counts()["tennis"] == (23, 23, 18)


def test_what_a_camera_sees_that_does_not_move_is_one_scene_and_all_of_it_is_kept(
    tmp_path: Path,
) -> None:
    for seed, label in enumerate(("left", "right")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(38):
            image = picture("tennis", seed)
            cv2.circle(image, (3 * number, 40), 5, (255, 255, 255), -1)
            cv2.imwrite(str(tmp_path / "data" / label / f"{number}.png"), image)
    data = load(tmp_path / "data", ["all"])
    assert [data.counts()[label] for label in data.labels] == [(38, 38, 1)] * 2


def test_frames_of_a_video_are_one_scene(folder: Path) -> None:
    write_clip(folder / "tennis" / "clip.avi", frames=40, fps=5.0)
    data = load(folder)
    assert data.counts()["tennis"] == (17, 24, 17)
    frames = [picture for picture in data.pictures if picture.video]
    # A second apart, in the middle of seconds; frame i has the grey level 40 + 5 i.
    assert [frame.time for frame in frames] == pytest.approx([0.6 + n for n in range(8)], abs=0.001)
    assert {frame.video for frame in frames} == {folder / "tennis" / "clip.avi"}
    levels = [int(dataset.read_picture(frame).mean()) for frame in frames]
    assert levels == pytest.approx([40 + 5 * (3 + 5 * n) for n in range(8)], abs=3)
    assert str(frames[1]).endswith("tennis/clip.avi 1.60 s")


def test_frames_that_are_nearly_the_same_are_left_out(folder: Path) -> None:
    image = picture("tennis", 99)
    path, codec = str(folder / "tennis" / "still.avi"), cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(path, codec, 5, (128, 96))
    for number in range(50):
        writer.write(image if number < 40 else picture("tennis", 98))
    writer.release()
    frames = [picture for picture in load(folder).pictures if picture.video]
    assert [frame.time for frame in frames] == pytest.approx([0.6, 8.6], abs=0.001)


def test_parts_of_a_video_have_labels_of_their_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", frames=40, fps=4.0)
    one_frame = Annotation(clip, "b", start=3.0, end=3.25)
    rows = [Annotation(clip, "a", end=3.0), one_frame, Annotation(clip, "a", start=8.0)]
    data = dataset.load(rows, tmp_path / "frames")
    frames = [(frame.label, frame.time) for frame in data.pictures]
    assert frames == [
        *(("a", time) for time in (0.5, 1.5, 2.5)),
        ("b", 3.0),
        ("a", 8.5),
        ("a", 9.5),
    ]
    assert len({frame.group for frame in data.pictures}) == 1


def test_what_is_from_one_site_is_one_scene(tmp_path: Path, dataset_folder: Path) -> None:
    files = sorted((dataset_folder / "tennis").iterdir())
    rows = [Annotation(path, "a", site="zoo" if n % 2 else None) for n, path in enumerate(files)]
    groups = [picture.group for picture in dataset.load(rows, tmp_path).pictures]
    assert len(set(groups)) == 9
    assert len(set(groups[1::2])) == 1


def write_frames(folder: Path, clips: int, frames: int) -> list[Path]:
    """Write numbered frames of clips, which are alike, though not as those of a burst."""
    random, written = np.random.default_rng(len(folder.name)), []
    folder.mkdir(parents=True, exist_ok=True)
    for clip in range(clips):
        scene = random.uniform(0, 255, (16, 16, 3))
        for number in range(frames):
            small = np.clip(scene + random.normal(0, 30, scene.shape), 0, 255).astype(np.uint8)
            written.append(folder / f"match{clip}_{folder.name}_{number:04d}.png")
            cv2.imwrite(str(written[-1]), np.kron(small, np.ones((8, 8, 1), np.uint8)))
    return written


def test_frames_cut_out_of_clips_are_one_scene_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = [write_frames(tmp_path / "data" / label, 4, 6) for label in ("left", "right")]
    data = load(tmp_path / "data", ["all"])
    assert [data.counts()[label] for label in data.labels] == [(24, 24, 4)] * 2
    assert {each.clip for each in data.pictures if each.label == "left"} == {
        Path(f"match{clip}_left_*") for clip in range(4)
    }
    said = f"48 pictures are frames of 8 clips by their names, as {first[0]}: "
    assert capsys.readouterr().err == f"note: {said}each is in one part\n"
    # A site, which a table names, is not asked twice.
    rows = [Annotation(path, "left", site=f"{n % 3}") for n, path in enumerate(first)]
    assert len({each.group for each in dataset.load(rows, tmp_path).pictures}) == 3
    # Who has split the frames of a clip is told so.
    rows = [Annotation(path, "left", ("train", "test")[n % 8 == 7]) for n, path in enumerate(first)]
    dataset.load(rows, tmp_path)
    assert capsys.readouterr().err == (
        f"warning: 24 pictures are frames of 4 clips by their names, as {first[0]}: of these, 3 in "
        "both parts of your split\n"
    )


def test_a_test_part_of_which_nothing_decodes_is_an_error(folder: Path) -> None:
    files = sorted((folder / "tennis").iterdir())
    rows = [Annotation(path, "a", "train") for path in files[:8]]
    for name, reason in (("gone.png", "cannot be read"), ("bad.png", "is no image")):
        (folder / "bad.png").write_text("no image")
        bad = [*rows, Annotation(folder / name, "a", "test")]
        with pytest.raises(
            UserError, match=rf"^the test part holds nothing that .*{name} {reason}"
        ):
            dataset.load(bad, folder)
    assert len(dataset.load([*rows, Annotation(files[9], "a", "test")], folder).pictures) == 9


def test_videos_that_are_not_used_are_skipped_with_the_reason(folder: Path) -> None:
    (folder / "tennis" / "text.mp4").write_text("no video")
    (folder / "tennis" / "empty.mov").touch()
    os.mkfifo(folder / "tennis" / "pipe.mkv")
    (folder / "tennis" / "gone.avi").symlink_to("nowhere")
    Footage().write(folder / "tennis" / "good.mp4")
    own = (folder / "tennis" / "good.mp4").read_bytes() + OWN_MARK
    (folder / "tennis" / "labelled.mp4").write_bytes(own)
    data = load(folder)
    assert {file.path.name: file.reason for file in data.skipped} == {
        "empty.mov": "is empty",
        "gone.avi": "cannot be read (No such file or directory)",
        "labelled.mp4": "was written by predict_video.py",
        "pipe.mkv": "is not a regular file",
        "text.mp4": "holds no frame that can be decoded; is it a video?",
    }
    assert {picture.source.name for picture in data.pictures} >= {"good.mp4"}


def test_a_class_without_a_picture_is_left_out_or_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "annotations").mkdir()
    (folder / "annotations" / "a.xml").write_text("<xml/>")
    data = load(folder, ["all"])
    assert (data.labels, data.skipped) == (sorted(COLOURS), [])
    (complaint,) = capsys.readouterr().err.splitlines()
    assert complaint.startswith("warning: 'annotations' holds nothing that decodes (")
    assert complaint.endswith("); it is left out")
    rows = [Annotation(folder / "annotations" / "a.xml", "tennis")]
    with pytest.raises(UserError, match=r"^'tennis' holds nothing that decodes .*; add pictures"):
        dataset.load(rows, folder, ["tennis"])
    assert dataset.load(rows, folder).pictures == []


def test_a_full_disk_is_not_the_fault_of_a_video(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the training would go on without its videos."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_clip(folder / "tennis" / "clip.avi")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"jpg could not be written \(No space left on device\)"):
        load(folder)
