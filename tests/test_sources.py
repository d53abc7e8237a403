"""Which clips inputs name, and what they and the files made from them are called."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.folders import files_below
from activity.video.sources import (
    OWN_MARK,
    camera_number,
    find_sources,
    is_address,
    is_own,
    is_read_once,
    local_source,
    names_several,
    pictures_of,
    redacted,
    source_title,
)


def make(folder: Path, *names: str) -> None:
    """Make empty files there."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make folders with clips and pictures, all empty, and go there."""
    make(
        tmp_path, "clips/b.mp4", "clips/a.AVI", "clips/notes.txt", "clips/[1].mp4",
        "clips/deep/c.mkv", "clips/deep/b.mp4", "clips/.trash/d.mp4", "clips/.e.mp4",
        "clips/10:30.mts", "shots/9.png", "shots/10.png", "shots/0011.png", "shots/b1.png",
        "shots/shot_2.JPG", "shots/shot_11.JPG", "shots/shot_x.JPG", "shots/[1].png",
        "twins/a.mp4", "twins/A.avi", "twins/a.mp4.mov", "twins/deep/a.mp4", "no video/1.txt",
        "deep/deep/1.png",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("clips")
def test_an_input_may_name_one_clip() -> None:
    names = {
        "clips/b.mp4": "b", "clips/notes.txt": "notes", "clips/[1].mp4": "[1]", "shots/9.png": "9",
        "clips/10:30.mts": "10:30", "0": "camera0", "/dev/video2": "camera2",
        "missing.mp4": "missing",  # the reader says what is wrong with it
        "rtsp://me:secret@court:554/": "court", "rtsp://host/a?x=[1]*": "a",
        "http://host/live/%04d.png": "%04d", "shots/*.png": "shots", "shots/%04d.png": "shots",
        "shots/shot_%d.JPG": "shot",
    }  # fmt: skip
    for source, name in names.items():
        assert find_sources([source]) == {source: name}
        assert not names_several([source])


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ("shots/*.png 0", {"shots/*.png": "shots", "0": "camera0"}),
        ("clips", {
            "clips/10:30.mts": "10:30", "clips/[1].mp4": "[1]", "clips/a.AVI": "a",
            "clips/b.mp4": "b", "clips/deep/b.mp4": "deep/b", "clips/deep/c.mkv": "deep/c",
        }),
        ("twins", {
            "twins/A.avi": "A.avi", "twins/a.mp4": "a.mp4", "twins/a.mp4.mov": "a.mp4-2",
            "twins/deep/a.mp4": "deep/a",
        }),
        ("clips/.trash", {"clips/.trash/d.mp4": "d"}),
        ("clips/*.mp4", {"clips/[1].mp4": "[1]", "clips/b.mp4": "b"}),
        ("clips/**/*.mkv", {"clips/deep/c.mkv": "c"}),
        ("clips/b.mp4 clips/?.*", {"clips/b.mp4": "b", "clips/a.AVI": "a"}),
        ("x.mp4 x-2.avi X.mp4", {"x.mp4": "x", "x-2.avi": "x-2", "X.mp4": "X-3"}),
        ("index.mp4 Index.mp4", {"index.mp4": "index-2", "Index.mp4": "Index-3"}),
        ("clips/deep twins/../clips/deep ./clips/deep/c.mkv",  # each once
         {"clips/deep/b.mp4": "b", "clips/deep/c.mkv": "c"}),
    ],
)  # fmt: skip
def test_inputs_may_name_several_clips(inputs: str, found: dict[str, str]) -> None:
    assert list(find_sources(inputs.split(), {"index"}).items()) == list(found.items())
    assert names_several(inputs.split())


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clips/*.webm", "matches no file; name another pattern"),
        ("no video", "holds no videos or pictures; name others"),
        ("no video/loop", "holds no videos or pictures; name others"),
        ("no video/*", "holds no videos or pictures; name others"),
        ("own", "has only what predict_video.py wrote; name other files"),
        ("own/*", "has only what predict_video.py wrote; name other files"),
    ],
)
def test_an_input_that_names_nothing_is_an_error(name: str, message: str) -> None:
    Path("no video/loop").symlink_to(".")
    Path("own").mkdir()
    Path("own/clip.mp4").write_bytes(OWN_MARK)
    with pytest.raises(UserError, match=f"^{re.escape(name)} {message}"):
        find_sources([name])


@pytest.mark.usefixtures("clips")
def test_own_videos_are_passed_over_unless_they_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("clips/b.avi", "clips/deep/own.mp4"):
        Path(name).write_bytes(b"frames" + OWN_MARK)
    Path("clips/deep/c.mkv").write_bytes(OWN_MARK + b"frames")
    # A name is what it would be without them.
    assert list(find_sources(["clips/deep", "clips/b.*"]).values()) == ["b", "c", "b-2"]
    assert capsys.readouterr().err.splitlines() == [
        f"note: passed over in {name}: files that predict_video.py wrote: 1"
        for name in ("clips/deep", "clips/b.*")
    ]
    assert find_sources(["clips/b.avi"]) == {"clips/b.avi": "b"}
    assert capsys.readouterr().err == ""
    os.mkfifo("pipe")  # which would be waited for
    for name in ("clips/b.mp4", "clips/deep/c.mkv", "missing.mp4", "clips", "pipe", "x" * 300):
        assert not is_own(Path(name))


def test_links_to_folders_are_followed_and_hidden_files_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(
        tmp_path, "sports/notes.txt", "sports/tennis/b.mp4", "sports/tennis/1.png",
        "sports/golf-1/b.mp4", "sports/golf/b.mp4", "sports/.cache/c.mp4",
        "sports/golf/.trash/d.mp4", "elsewhere/e.mp4", "elsewhere/deep/f.mkv",
    )  # fmt: skip
    links = {
        "sports/linked": "../elsewhere", "elsewhere/other": "deep", "elsewhere/back": "../sports",
        "sports/golf/up": "../..", "sports/golf/self": ".", "sports/.hidden": "../elsewhere",
        "sports/gone": "nowhere",
    }  # fmt: skip
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    assert list(map(str, files_below(Path("sports")))) == [
        "sports/golf-1/b.mp4", "sports/golf/b.mp4", "sports/gone", "sports/linked/deep/f.mkv",
        "sports/linked/e.mp4", "sports/linked/other/f.mkv", "sports/notes.txt",
        "sports/tennis/1.png", "sports/tennis/b.mp4",
    ]  # fmt: skip
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"warning: sports/{link} is left out: it leads back to where it stands"
        for link in ("golf/self", "golf/up", "linked/back")
    ]
    # A clip that is reached in several ways has the name of the first of them.
    assert list(find_sources(["sports"]).values()) == [
        "golf-1/b", "golf/b", "linked/deep/f", "linked/e", "tennis/1", "tennis/b",
    ]  # fmt: skip


@pytest.mark.usefixtures("clips")
def test_a_folder_that_cannot_be_read_is_left_out_or_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The walk is made to fail, as root may read everything."""
    real = os.scandir

    def scandir(place: str) -> object:
        if Path(place).name == "deep":
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr("os.scandir", scandir)
    assert "clips/b.mp4" in find_sources(["clips"])
    told = "warning: clips/deep is left out: Permission denied\n"
    assert capsys.readouterr().err.startswith(told)
    with pytest.raises(UserError, match=r"^clips/deep cannot be read \(Permission denied\); name"):
        find_sources(["clips/deep"])


def test_what_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "clip.mp4").touch()
    once = ["-", "0", "/dev/video3", "http://host/x.mp4", str(tmp_path / "pipe")]
    assert all(is_read_once(local_source(each)) for each in once)
    again = [str(tmp_path / "clip.mp4"), "missing.mp4", "shots/%d.png", "x" * 300]
    assert not any(map(is_read_once, again))


@pytest.mark.usefixtures("clips")
def test_numbered_pictures_are_one_clip_in_the_order_of_their_numbers() -> None:
    names = {
        "shots/*.png": "9.png 10.png 0011.png [1].png b1.png",
        "shots/%04d.png": "9.png 10.png 0011.png",
        "shots/%d.png": "9.png 10.png 0011.png",
        "shots/shot_%d.JPG": "shot_2.JPG shot_11.JPG",
        "shots/shot_*.JPG": "shot_2.JPG shot_11.JPG shot_x.JPG",
        "*/shot_?.JPG": "shot_2.JPG shot_x.JPG",
    }
    found = {source: [path.name for path in pictures_of(source)] for source in names}
    assert found == {source: each.split() for source, each in names.items()}
    for one in ("shots/9.png", "shots/[1].png"):
        assert pictures_of(one) == [Path(one)]
    # Files of any kind, none, and those of a server:
    others = "shots/* clips/*.mp4 nothing/*.png nothing/%d.png"
    assert not any(map(pictures_of, [*others.split(), "http://host/%d.png"]))


def test_a_camera_is_a_number_or_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("court").symlink_to("/dev/video3")
    for source, number in {"0": 0, "12": 12, "/dev/../dev/video10": 10, "court": 3}.items():
        assert camera_number(source) == number
        assert find_sources([source]) == {source: f"camera{number}"}
        assert source_title(source) == f"camera{number}"
    others = "/dev/video /dev/video0.mp4 dev/video0 0.mp4 -1 rtsp://host/dev/video0"
    assert {camera_number(source) for source in others.split()} == {None}


def test_a_title_is_short() -> None:
    titles = {
        "a/clip.mp4": "clip.mp4", "2": "camera2", "rtsp://me:secret@camera.local:554/":
        "camera.local", "http://host/live/court.m3u8": "court", "shots/%04d.png": "%04d.png",
    }  # fmt: skip
    assert {source: source_title(source) for source in titles} == titles


@given(st.lists(st.text("aA-2/", min_size=1).map(lambda stem: f"{stem}x.mp4"), min_size=1))
def test_names_differ_on_any_file_system(sources: list[str]) -> None:
    names = list(find_sources(sources).values())
    assert len({name.lower() for name in names}) == len(set(map(os.path.realpath, sources)))
    assert not any("/" in name for name in names)
    assert not any(map(is_address, sources))


def test_an_address_is_shown_without_its_password() -> None:
    shown = {
        "rtsp://me:secret@camera.local:554/": "rtsp://me@camera.local:554/",
        "rtsp://:secret@host/": "rtsp://@host/",
        "http://me:12345@host/a@b.mjpg": "http://me@host/a@b.mjpg",
        "http://me:se/cr?e#t@host/x": "http://me@host/x",
        "http://me:se:cr@et@host/x": "http://me@host/x",
    }
    for address in ("http://host:8080/@court/x.mjpg", "http://host/@court:x", "http://me@host/x"):
        shown[address] = address
    shown["a:b@c.mp4"] = "a:b@c.mp4"
    assert {address: redacted(address) for address in shown} == shown


def test_a_local_file_may_be_an_address() -> None:
    paths = {
        "file:///a/b%20c.mp4": "/a/b c.mp4", "file://localhost/a/100%25.mp4": "/a/100%.mp4",
        "FILE:///%E7%BD%91.mp4": "/\u7f51.mp4", "file:/a/b.mp4": "/a/b.mp4",
    }  # fmt: skip
    same = ("a b.mp4", "100%.mp4", "a%20b.mp4", "http://host/a%20b.mp4", "C:/a.mp4", "0")
    assert {name: local_source(name) for name in paths} == paths
    assert all(local_source(name) == name for name in same)
    assert find_sources([local_source("-")]) == {"/dev/stdin": "stdin"}
