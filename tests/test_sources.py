import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.video.sources import (
    camera_number,
    find_sources,
    holds_no_video_itself,
    is_address,
    is_read_once,
    names_several,
    numbered_pictures,
    shown,
    source_names,
    source_title,
)


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make folders with clips and pictures, all empty, and go there."""
    for name in (
        "clips/b.mp4", "clips/a.AVI", "clips/notes.txt", "clips/[1].mp4", "clips/deep/c.mkv",
        "clips/10:30.mts", "shots/9.png", "shots/10.png", "shots/0011.png", "shots/b1.png",
        "shots/shot_2.JPG", "shots/shot_11.JPG", "shots/shot_x.JPG", "shots/[1].png",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("inputs", "found", "several"),
    [
        (["clips/b.mp4"], ["clips/b.mp4"], False),
        (["missing.mp4"], ["missing.mp4"], False),  # the reader says what is wrong with it
        (["clips/notes.txt"], ["clips/notes.txt"], False),
        (["clips/[1].mp4"], ["clips/[1].mp4"], False),
        (["0"], ["0"], False),
        (["/dev/video0"], ["/dev/video0"], False),
        (["rtsp://host/stream?x=[1]*"], ["rtsp://host/stream?x=[1]*"], False),
        (["http://host/%04d.png"], ["http://host/%04d.png"], False),
        (["clips/10:30.mts"], ["clips/10:30.mts"], False),
        (["shots/*.png"], ["shots/*.png"], False),
        (["shots/shot_%d.JPG"], ["shots/shot_%d.JPG"], False),
        (["shots/9.png"], ["shots/9.png"], False),
        (["shots/*.png", "0"], ["shots/*.png", "0"], True),
        (["clips"], ["clips/10:30.mts", "clips/[1].mp4", "clips/a.AVI", "clips/b.mp4"], True),
        (["clips/*.mp4"], ["clips/[1].mp4", "clips/b.mp4"], True),
        (["clips/**/*.mkv"], ["clips/deep/c.mkv"], True),
        (["clips/b.mp4", "0"], ["clips/b.mp4", "0"], True),
        (["clips/b.mp4", "clips/?.*"], ["clips/b.mp4", "clips/a.AVI"], True),
    ],
)
def test_what_the_command_line_names(inputs: list[str], found: list[str], several: bool) -> None:
    assert find_sources(inputs) == found
    assert names_several(inputs) == several


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clips/*.webm", "matches no file"),
        ("clips/*.png", "matches no file"),
        ("empty", "is a folder without a video"),
        ("shots", r"is a folder of pictures; name them as 'shots/\*\."),
    ],
)
def test_what_finds_nothing_is_an_error(name: str, message: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError, match=message):
        find_sources([name])


@pytest.fixture
def sports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of class folders with clips, all empty, with links and a loop, and go there."""
    for name in (
        "sports/notes.txt", "sports/tennis/b.mp4", "sports/tennis/a.MOV", "sports/tennis/1.png",
        "sports/golf/2024/may/b.mp4", "sports/.cache/c.mp4", "sports/golf/.trash/d.mp4",
        "elsewhere/e.mp4", "elsewhere/deep/f.mkv",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for link, target in (
        ("sports/linked", "../elsewhere"),
        ("sports/golf/up", "../.."),
        ("sports/golf/self", "."),
        ("elsewhere/other", "deep"),
        ("sports/gone", "nowhere"),
    ):
        (tmp_path / link).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("sports")
def test_a_folder_without_a_video_stands_for_those_below_it() -> None:
    """Hidden folders are left out, links are followed, and each folder is entered once."""
    found = find_sources(["sports"])
    assert found == sorted(found)
    # What is reached in several ways has the name of the first of them.
    assert {name for name in found if "/up/" not in name} == {
        "sports/golf/2024/may/b.mp4", "sports/tennis/a.MOV", "sports/tennis/b.mp4",
    }  # fmt: skip
    real = [str(Path(name).resolve().relative_to(Path.cwd())) for name in found]
    assert sorted(real) == [
        "elsewhere/deep/f.mkv", "elsewhere/e.mp4", "sports/golf/2024/may/b.mp4",
        "sports/tennis/a.MOV", "sports/tennis/b.mp4",
    ]  # fmt: skip
    assert holds_no_video_itself("sports")
    assert names_several(["sports"])
    # One with a video of its own stands for its own.
    assert find_sources(["elsewhere"]) == ["elsewhere/e.mp4"]
    for name in ("elsewhere", "elsewhere/e.mp4", "0", "http://host/sports", "missing"):
        assert not holds_no_video_itself(name)
    assert find_sources(["sports/.cache"]) == ["sports/.cache/c.mp4"]  # it was named


@pytest.mark.usefixtures("sports")
def test_a_folder_without_a_video_at_any_depth_is_an_error() -> None:
    Path("pictures/deep").mkdir(parents=True)
    Path("pictures/1.png").touch()
    with pytest.raises(UserError, match="is a folder of pictures; name them as 'pictures/"):
        find_sources(["pictures"])
    Path("pictures/1.png").rename("pictures/deep/1.png")
    with pytest.raises(UserError, match="pictures is a folder without a video") as caught:
        find_sources(["pictures"])
    assert caught.value.about == "pictures"
    Path("pictures/deep/loop").symlink_to("..")
    with pytest.raises(UserError, match="pictures is a folder without a video"):
        find_sources(["pictures"])


def test_what_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "clip.mp4").touch()
    once = ["0", "/dev/video3", "http://host/x.mp4", str(tmp_path / "pipe")]
    assert all(map(is_read_once, once))
    again = [str(tmp_path / "clip.mp4"), "missing.mp4", "shots/%d.png", "x" * 300]
    assert not any(map(is_read_once, again))


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("shots/*.png", ["9.png", "10.png", "0011.png", "[1].png", "b1.png"]),
        ("shots/%04d.png", ["9.png", "10.png", "0011.png"]),
        ("shots/%d.png", ["9.png", "10.png", "0011.png"]),
        ("shots/shot_%d.JPG", ["shot_2.JPG", "shot_11.JPG"]),
        ("shots/shot_*.JPG", ["shot_2.JPG", "shot_11.JPG", "shot_x.JPG"]),
        ("*/shot_?.JPG", ["shot_2.JPG", "shot_x.JPG"]),
        ("shots/9.png", []),  # a picture
        ("shots/[1].png", []),
        ("shots/*", []),  # of anything
        ("clips/*.mp4", []),
        ("nothing/*.png", []),
        ("nothing/%d.png", []),
        ("http://host/%d.png", []),
    ],
)
def test_numbered_pictures_are_one_clip_in_the_order_of_their_numbers(
    source: str, names: list[str]
) -> None:
    assert [path.name for path in numbered_pictures(source)] == names


@pytest.mark.usefixtures("clips")
def test_outputs_of_pictures_are_named_after_what_they_share() -> None:
    sources = [
        "shots/*.png",
        "shots/%04d.png",
        "shots/shot_%d.JPG",
        str(Path("shots/*.png").absolute()),
    ]
    assert source_names(sources) == ["shots", "shots-2", "shot", "shots-3"]
    assert source_title("shots/%04d.png") == "%04d.png"


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("0", 0),
        ("12", 12),
        ("/dev/video0", 0),
        ("/dev/../dev/video10", 10),
        ("by-id/usb-Court_Camera-index0", 3),
        ("/dev/video", None),
        ("/dev/video0.mp4", None),
        ("dev/video0", None),
        ("0.mp4", None),
        ("-1", None),
        ("rtsp://host/dev/video0", None),
    ],
)
def test_a_camera_is_a_number_or_a_device(
    source: str, number: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("by-id").mkdir()
    Path("by-id/usb-Court_Camera-index0").symlink_to("/dev/video3")
    assert camera_number(source) == number
    if number is not None:
        assert source_names([source]) == [source_title(source)] == [f"camera{number}"]


def test_outputs_are_named_after_the_file_the_camera_or_the_host() -> None:
    sources = [
        "a/clip.mp4",
        "2",
        "rtsp://me:secret@camera.local:554/",
        "http://host/live/court.m3u8",
    ]
    assert source_names(sources) == ["clip", "camera2", "camera.local", "court"]
    assert [source_title(source) for source in sources] == [
        "clip.mp4", "camera2", "camera.local", "court",
    ]  # fmt: skip
    assert source_names(["a/x.mp4", "x-2.avi", "b/X.mp4"]) == ["x", "x-2", "X-3"]


@given(st.lists(st.text("aA-2/", min_size=1).map(lambda stem: f"{stem}x.mp4")))
def test_names_differ_on_any_file_system(sources: list[str]) -> None:
    names = source_names(sources)
    assert len({name.lower() for name in names}) == len(sources)
    assert not any("/" in name for name in names)
    assert not any(map(is_address, sources))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://me:secret@camera.local:554/", "rtsp://me@camera.local:554/"),
        ("rtsp://:secret@host/", "rtsp://@host/"),
        ("http://me:12345@host/a@b.mjpg", "http://me@host/a@b.mjpg"),
        ("http://me:se/cr?e#t@host/x", "http://me@host/x"),
        ("http://me:se:cr@et@host/x", "http://me@host/x"),
        ("http://host:8080/@court/x.mjpg", "http://host:8080/@court/x.mjpg"),
        ("http://host/@court:x", "http://host/@court:x"),
        ("http://me@host/x", "http://me@host/x"),
        ("a:b@c.mp4", "a:b@c.mp4"),
    ],
)
def test_an_address_is_shown_without_its_password(source: str, expected: str) -> None:
    assert shown(source) == expected
