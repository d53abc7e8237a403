"""What a file is known to hold: a video, a picture or neither, whatever it is called."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from footage import Footage
from PIL import Image

from activity.video.content import kind_of
from activity.video.sources import find_sources

ENDINGS = ("", ".bin", ".dav", ".insv", ".LRV", ".dat", ".h264")
VIDEOS = {
    "mp4": "libx264", "mov": "mjpeg", "mkv": "libx264", "webm": "libvpx", "avi": "mpeg4",
    "ts": "libx264", "mpg": "mpeg2video", "flv": "libx264", "h264": "libx264", "hevc": "libx265",
    "m2v": "mpeg2video",
}  # fmt: skip


def picture(kind: str, frames: int = 1) -> bytes:
    """Return a picture, or an animation."""
    noise = np.random.default_rng(0).integers(0, 256, (frames, 24, 32, 3), np.uint8)
    images = [Image.fromarray(each) for each in noise]
    file = BytesIO()
    moving = {"save_all": True, "append_images": images[1:], "duration": 40} if frames > 1 else {}
    images[0].save(file, kind, **moving)
    return file.getvalue()


@pytest.mark.parametrize("container", VIDEOS)
def test_a_video_is_known_under_any_name(container: str, tmp_path: Path) -> None:
    clip = tmp_path / f"clip.{container}"
    codec = VIDEOS[container]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = "x265-params=log-level=none" if codec == "libx265" else ""
    Footage(codec, options, pixels, numbers=range(12), b_frames=0).write(clip)
    for ending in ENDINGS:
        clip = clip.rename(tmp_path / f"clip{ending}")
        assert kind_of(clip) == "video", ending


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000"])
def test_a_picture_is_known_under_any_name(kind: str, tmp_path: Path) -> None:
    for ending in (*ENDINGS, ".mp4", ".txt", ".gif", ".ts"):
        file = tmp_path / f"picture{ending}"
        file.write_bytes(picture(kind))
        assert kind_of(file) == "picture", ending


@pytest.mark.parametrize(
    ("kind", "found"), [("GIF", "video"), ("PNG", "video"), ("TIFF", "picture")]
)
def test_what_moves_is_a_video(kind: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(picture(kind, frames=3))
    assert kind_of(tmp_path / "file") == found


def test_all_else_is_neither_unless_it_claims_to_be_one(tmp_path: Path) -> None:
    """What is called a video, and is none, is for the reader to refuse, not to be passed over."""
    noise = np.random.default_rng(1).bytes(100_000)
    contents = {
        "text": b"hello\n" * 100, "utf16": "h\u00e9llo\n".encode("utf-16") * 100, "noise": noise,
        "latin": "caf\u00e9 ".encode("latin-1") * 999, "BMW.txt": b"BMW, 1972", "empty": b"",
        "zip": b"PK\x03\x04" + noise,
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert kind_of(tmp_path / name) is None, name
        for ending, claimed in ((".mp4", "video"), (".JPG", "picture")):
            (tmp_path / f"claim{ending}").write_bytes(content)
            assert kind_of(tmp_path / f"claim{ending}") == claimed
    sidecar = tmp_path / "._clip.mp4"
    sidecar.write_bytes(bytes.fromhex("0005160700020000") + bytes(4000))
    assert kind_of(sidecar) is None
    (tmp_path / "program.ts").write_text("export const x = 1;\n")
    assert kind_of(tmp_path / "program.ts") is None
    assert kind_of(tmp_path / "missing.mp4") == "video"
    assert kind_of(tmp_path / "missing") is kind_of(tmp_path) is None


def test_music_with_a_cover_is_no_video(tmp_path: Path) -> None:
    import av

    with av.open(tmp_path / "song.mp3", "w") as song:
        sound = song.add_stream("mp3", 44_100)
        cover = song.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 32, 24, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        noise = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
        song.mux(cover.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        for place in range(20):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), "fltp", "mono")
            part.sample_rate, part.pts = 44_100, 1152 * place
            song.mux(sound.encode(part))
        song.mux(sound.encode(None))
    assert kind_of(tmp_path / "song.mp3") is None


def test_what_is_passed_over_in_a_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("clips")
    folder.mkdir()
    Footage(numbers=range(6)).write(folder / "a.mp4")
    (folder / "a.mp4").rename(folder / "GL010001.LRV")
    for name in ("1.jpg", "2.jpg"):
        (folder / name).write_bytes(picture("JPEG"))
    for name in ("notes.txt", "labels.csv", "x.json", "y.log", "._GL010001.LRV"):
        (folder / name).write_text("text\n")
    found = {"clips/1.jpg": "1", "clips/2.jpg": "2", "clips/GL010001.LRV": "GL010001"}
    assert find_sources(["clips"]) == found
    told = [
        "note: passed over in clips: files that are no videos or pictures: 4 "
        "(labels.csv, notes.txt, x.json, …)",
        "note: each picture is labelled; 'clips/*.jpg' makes them frames of one clip",
    ]
    assert capsys.readouterr().err.splitlines() == told
    assert find_sources(["clips/*"]) == found
    assert capsys.readouterr().err.splitlines()[0] == told[0].replace("clips:", "clips/*:")
