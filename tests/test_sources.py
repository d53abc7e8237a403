from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.prediction.sources import (
    find_sources,
    is_stream,
    names_several,
    shown,
    source_names,
    source_title,
)


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make clips/ with b.mp4, a.AVI, notes.txt and [1].mp4, and clips/deep/c.mkv; go there."""
    (tmp_path / "clips" / "deep").mkdir(parents=True)
    for name in ("b.mp4", "a.AVI", "notes.txt", "[1].mp4", "deep/c.mkv"):
        (tmp_path / "clips" / name).touch()
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
        (["rtsp://host/stream?x=[1]*"], ["rtsp://host/stream?x=[1]*"], False),
        (["clips"], ["clips/[1].mp4", "clips/a.AVI", "clips/b.mp4"], True),
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
    [("clips/*.webm", "matches no file"), ("empty", "is a folder without a video")],
)
def test_what_finds_nothing_is_an_error(name: str, message: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError, match=message):
        find_sources([name])


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
    assert not any(map(is_stream, sources))


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
