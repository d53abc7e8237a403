import os
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, load, picture, shared, write_clip
from footage import Footage

from activity.errors import UserError
from activity.quiet.opencv import cv2
from activity.training import dataset
from activity.training.annotations import Annotation
from activity.training.images import decode_image


def test_counts_of_the_tutorials_data() -> None:
    data = load(shared("data/sports3"))
    counts = {label: data.counts()[label][:2] for label in data.labels}
    assert counts == {"football": (799, 798), "tennis": (718, 718), "weight_lifting": (577, 577)}
    assert [file.path.name for file in data.skipped] == ["00000092.aspx"]
    assert {".php", ".5", ".gif", ".webp"} <= {picture.path.suffix for picture in data.pictures}


def test_images_are_known_by_content(folder: Path) -> None:
    names = {"a.php": ".jpg", "b": ".webp", "c.5": ".gif", "d.img": ".png"}
    for seed, (name, ending) in enumerate(names.items(), 100):
        _, encoded = cv2.imencode(ending, picture("tennis", seed))
        (folder / "tennis" / name).write_bytes(encoded.tobytes())
    assert load(folder).counts()["tennis"] == (20, 20, 20)


def test_what_does_not_decode_is_skipped_and_named(folder: Path) -> None:
    (folder / "tennis" / "empty.jpg").touch()
    (folder / "tennis" / "text.jpg").write_text("not an image")
    (folder / "tennis" / "broken link").symlink_to("nowhere")
    (folder / "tennis" / ".hidden").write_text("not looked at")
    (folder / ".checkpoints" / "tennis").mkdir(parents=True)
    (folder / ".checkpoints" / "tennis" / "hidden.jpg").write_text("not looked at")
    (folder / "stray.txt").write_text("in no class")
    data = load(folder)
    assert [file.path.name for file in data.skipped] == ["broken link", "empty.jpg", "text.jpg"]
    assert data.counts()["tennis"] == (19, 16, 16)
    assert data.record()["classes"]["tennis"] == {"files": 19, "pictures": 16, "scenes": 16}


@pytest.mark.parametrize(
    ("encode", "resize"),
    [((".png",), 1.0), ((".jpg", 50), 1.0), ((".webp", 60), 1.0), ((".jpg", 90), 0.5)],
)
def test_a_picture_saved_again_is_the_same_picture(
    folder: Path, encode: tuple[str, int], resize: float
) -> None:
    image = cv2.imread(str(folder / "tennis" / "3.png"))
    assert image is not None
    image = cv2.resize(image, None, fx=resize, fy=resize, interpolation=cv2.INTER_AREA)
    flag = cv2.IMWRITE_JPEG_QUALITY if encode[0] == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
    _, encoded = cv2.imencode(encode[0], image, [flag, *encode[1:]] if encode[1:] else [])
    (folder / "football" / "copy").write_bytes(encoded.tobytes())
    data = load(folder)
    (group,) = data.in_two_classes()
    assert [picture.path.name for picture in group] == ["copy", "3.png"]
    assert data.counts()["football"] == (17, 17, 17)


def test_different_pictures_are_not_grouped(folder: Path) -> None:
    data = load(folder)
    assert len({picture.group for picture in data.pictures}) == 48
    assert data.in_two_classes() == []


def test_transparent_grey_and_deep_images_become_rgb() -> None:
    for shape, kind in (((5, 7), np.uint8), ((5, 7, 4), np.uint8), ((5, 7, 3), np.uint16)):
        _, encoded = cv2.imencode(".png", np.full(shape, 9, kind))
        image = decode_image(encoded.tobytes())
        assert image is not None
        assert image.shape == (5, 7, 3)
        assert image.dtype == np.uint8


def test_decoding_gives_red_first() -> None:
    _, encoded = cv2.imencode(".png", np.full((4, 4, 3), (0, 0, 255), np.uint8))
    image = decode_image(encoded.tobytes())
    assert image is not None
    assert image[0, 0].tolist() == [255, 0, 0]


def write_burst(folder: Path, count: int, first: int = 1, seed: int = 500) -> None:
    """Write pictures of one scene that changes: numbered, each a little brighter than the last."""
    folder.mkdir(parents=True, exist_ok=True)
    image = picture("tennis", seed).astype(int)
    for number in range(count):
        brighter = np.clip(image + 8 * number, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"shot_{first + number}.png"), brighter)


def test_pictures_of_one_burst_are_one_scene(folder: Path) -> None:
    """The first and the last are far apart, but neighbours are not, in the order of numbers."""
    write_burst(folder / "tennis" / "burst", 12)
    data = load(folder)
    assert data.counts()["tennis"] == (28, 28, 17)
    assert data.copies == []
    # Names that do not follow each other are no burst.
    for number in range(1, 13, 2):
        (folder / "tennis" / "burst" / f"shot_{number}.png").unlink()
    (folder / "tennis" / "burst" / "shot_3a.png").write_bytes(
        (folder / "tennis" / "3.png").read_bytes()
    )
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
    write_clip(folder / "tennis" / "film.avi", frames=40, fps=5.0)
    data = load(folder)
    assert data.counts()["tennis"] == (17, 24, 17)
    frames = [picture for picture in data.pictures if picture.video]
    # A second apart, in the middle of seconds; frame i has the grey level 40 + 5 i.
    assert [frame.time for frame in frames] == pytest.approx([0.6 + n for n in range(8)], abs=0.001)
    assert {frame.video for frame in frames} == {folder / "tennis" / "film.avi"}
    levels = [int(dataset.read_picture(frame).mean()) for frame in frames]
    assert levels == pytest.approx([40 + 5 * (3 + 5 * n) for n in range(8)], abs=3)
    assert str(frames[1]).endswith("tennis/film.avi 1.60 s")


def test_frames_that_are_nearly_the_same_are_left_out(folder: Path) -> None:
    image = picture("tennis", 99)
    writer = cv2.VideoWriter(
        str(folder / "tennis" / "still.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (128, 96)
    )
    for number in range(50):
        writer.write(image if number < 40 else picture("tennis", 98))
    writer.release()
    frames = [picture for picture in load(folder).pictures if picture.video]
    assert [frame.time for frame in frames] == pytest.approx([0.6, 8.6], abs=0.001)


def test_parts_of_a_video_have_labels_of_their_own(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.avi", frames=40, fps=4.0)
    rows = [
        Annotation(film, "a", end=3.0),
        Annotation(film, "b", start=3.0, end=3.25),  # one frame
        Annotation(film, "a", start=8.0),
    ]
    data = dataset.load(rows, tmp_path / "frames")
    frames = [(frame.label, frame.time) for frame in data.pictures]
    assert frames == [
        ("a", 0.5), ("a", 1.5), ("a", 2.5), ("b", 3.0), ("a", 8.5), ("a", 9.5),
    ]  # fmt: skip
    assert len({frame.group for frame in data.pictures}) == 1


def test_what_is_from_one_site_is_one_scene(tmp_path: Path, dataset_folder: Path) -> None:
    files = sorted((dataset_folder / "tennis").iterdir())
    rows = [Annotation(path, "a", site="zoo" if n % 2 else None) for n, path in enumerate(files)]
    groups = [picture.group for picture in dataset.load(rows, tmp_path).pictures]
    assert len(set(groups)) == 9
    assert len(set(groups[1::2])) == 1


def test_videos_that_cannot_be_used_are_skipped_with_the_reason(folder: Path) -> None:
    (folder / "tennis" / "text.mp4").write_text("no video")
    (folder / "tennis" / "empty.mov").touch()
    os.mkfifo(folder / "tennis" / "pipe.mkv")
    (folder / "tennis" / "gone.avi").symlink_to("nowhere")
    Footage().write(folder / "tennis" / "good.mp4")
    data = load(folder)
    assert {file.path.name: file.reason for file in data.skipped} == {
        "empty.mov": "holds no frame that can be decoded; is it a video?",
        "gone.avi": "No such file or directory",
        "pipe.mkv": "is not a regular file",
        "text.mp4": "holds no frame that can be decoded; is it a video?",
    }
    assert {picture.source.name for picture in data.pictures} >= {"good.mp4"}


def test_a_class_without_a_picture_is_left_out_or_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "annotations").mkdir()
    for name in ("a.xml", "b.xml"):
        (folder / "annotations" / name).write_text("<xml/>")
    data = load(folder, ["all"])
    assert data.labels == sorted(COLOURS)
    assert data.skipped == []
    complaint = capsys.readouterr().err
    assert complaint.startswith("warning: 'annotations' holds nothing that decodes (")
    assert complaint.endswith("); it is left out\n")
    assert complaint.count("\n") == 1
    rows = [Annotation(folder / "annotations" / "a.xml", "tennis")]
    with pytest.raises(UserError, match=r"^'tennis' holds nothing that decodes .*; add pictures"):
        dataset.load(rows, folder, ["tennis"])


def test_a_full_disk_is_not_the_fault_of_a_video(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the training would go on without its videos."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_clip(folder / "tennis" / "film.avi")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"jpg could not be written \(No space left on device\)"):
        load(folder)
