"""Files in a folder of images that are broken, hostile or no images at all."""

import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from activity import MAX_PIXELS, dataset
from activity.cli import UserError


def encoded(ending: str, options: tuple[int, ...] = ()) -> bytes:
    return cv2.imencode(ending, picture("tennis", 0), options)[1].tobytes()


def reason(path: Path) -> str:
    """Return why a file is skipped, '' if it is not."""
    skipped = dataset.load([(path, "tennis")]).skipped
    return skipped[0].reason if skipped else ""


def png(width: int, height: int) -> bytes:
    """Return a black PNG of any size: a thousandth of what it decodes to."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    rows = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    content = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content)
        + chunk(b"IEND", b"")
    )


def resized_header(ending: str, size: int) -> bytes:
    """Return a small image whose header claims `size` x `size` pixels."""
    content = bytearray(encoded(ending))
    if ending == ".jpg":
        frame = content.index(b"\xff\xc0")
        struct.pack_into(">HH", content, frame + 5, size, size)
    elif ending == ".gif":
        struct.pack_into("<HH", content, 6, size, size)
    elif ending == ".bmp":
        struct.pack_into("<ii", content, 18, size, size)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        png(20_000, 20_000),
        resized_header(".jpg", 60_000),
        resized_header(".gif", 60_000),
        resized_header(".bmp", 60_000),
    ],
    ids=["png", "jpeg", "gif", "bmp"],
)
def test_a_decompression_bomb_takes_no_memory(tmp_path: Path, content: bytes) -> None:
    """In a process that may take 1 GB of address space more than it has at its start."""
    assert len(content) < 2_000_000
    (tmp_path / "bomb").write_bytes(content)
    program = """
import re, resource, sys
from pathlib import Path
from activity import dataset

def kilobytes(kind):
    return int(re.search(kind + ":[^0-9]+([0-9]+)", Path("/proc/self/status").read_text())[1])

limit = 1024 * kilobytes("VmSize") + 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
(skipped,) = dataset.load([(Path(sys.argv[1]), "tennis")]).skipped
print(skipped.reason)
print(kilobytes("VmHWM"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "bomb"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    why, peak = done.stdout.splitlines()
    assert why in (f"has more than {MAX_PIXELS:,} pixels", "is no image that OpenCV can decode")
    assert int(peak) < 400_000  # kB


def test_large_pictures_of_today_are_read(tmp_path: Path) -> None:
    """108 million pixels, as phones have them."""
    (tmp_path / "large.png").write_bytes(png(12_000, 9_000))
    assert reason(tmp_path / "large.png") == ""


def cmyk(path: Path) -> None:
    Image.fromarray(picture("tennis", 0)[..., ::-1]).convert("CMYK").save(path, "JPEG")


def sixteen_bit(path: Path) -> None:
    path.write_bytes(
        cv2.imencode(".png", picture("tennis", 0).astype(np.uint16) * 257)[1].tobytes()
    )


def palette(path: Path) -> None:
    Image.fromarray(picture("tennis", 0)[..., ::-1]).convert("P").save(path, "PNG")


def grey(path: Path) -> None:
    path.write_bytes(cv2.imencode(".png", picture("tennis", 0)[..., 1])[1].tobytes())


def opaque(path: Path) -> None:
    image = cv2.cvtColor(picture("tennis", 0), cv2.COLOR_BGR2BGRA)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def animated(kind: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        images = [Image.fromarray(picture("tennis", seed)[..., ::-1]) for seed in range(3)]
        images[0].save(path, kind, save_all=True, append_images=images[1:])

    return write


def test_transparent_images_lie_on_white() -> None:
    """A drawing in black on transparent black would be all black otherwise."""
    drawing = np.zeros((40, 40, 4), np.uint8)
    drawing[10:20, 10:20, 3] = 255
    drawing[20:30, 20:30] = (0, 0, 200, 128)
    image = dataset.decode_image(cv2.imencode(".png", drawing)[1].tobytes())
    assert (image[:10] == 255).all()
    assert (image[10:20, 10:20] == 0).all()
    assert np.abs(image[20:30, 20:30].astype(int) - (227, 127, 127)).max() <= 1


def test_images_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    image = Image.fromarray(picture("tennis", 0)[..., ::-1])
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    for name in ("turned.jpg", "turned.png"):
        image.save(tmp_path / name, exif=exif)
        found = dataset.decode_image((tmp_path / name).read_bytes())
        right = np.rot90(picture("tennis", 0)[..., ::-1], -1)
        assert found.shape == right.shape
        assert np.abs(found.astype(int) - right).mean() < 12


def test_a_film_in_a_folder_of_images_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.mp4").open("wb") as film:
        film.truncate(dataset.MAX_BYTES + 1)
    assert reason(tmp_path / "film.mp4") == f"has more than {dataset.MAX_BYTES:,} bytes"


@pytest.mark.parametrize(
    ("write", "tolerance"),
    [
        (cmyk, 12.0), (sixteen_bit, 0.0), (palette, 30.0), (opaque, 0.0),
        (animated("GIF"), 30.0), (animated("WEBP"), 12.0), (animated("PNG"), 0.0),
    ],
    ids=["cmyk", "16 bit", "palette", "alpha", "gif", "webp", "apng"],
)  # fmt: skip
def test_images_of_every_kind_look_as_they_should(
    tmp_path: Path, write: Callable[[Path], None], tolerance: float
) -> None:
    write(tmp_path / "image.wrong_suffix")
    image = dataset.decode_image((tmp_path / "image.wrong_suffix").read_bytes())
    right = picture("tennis", 0)[..., ::-1].astype(int)
    assert np.abs(image.astype(int) - right).mean() <= tolerance
    assert reason(tmp_path / "image.wrong_suffix") == ""


def test_grey_images_and_images_of_one_pixel(tmp_path: Path) -> None:
    grey(tmp_path / "grey.png")
    image = dataset.decode_image((tmp_path / "grey.png").read_bytes())
    assert (image == picture("tennis", 0)[..., 1:2]).all()
    for size in ((1, 1), (1, 300), (300, 1)):
        path = tmp_path / f"{size}.png"
        path.write_bytes(cv2.imencode(".png", np.full((*size, 3), 90, np.uint8))[1].tobytes())
        (square,) = dataset.plain_images([dataset.load([(path, "a")]).pictures[0]], "crop", 224)
        assert square.shape == (224, 224, 3)
        assert (square == 90).all()


def test_what_is_no_readable_file_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    os.mkfifo("pipe")
    Path("link").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        Path("folder.jpg").mkdir()
        for name in ("pipe", "socket", "folder.jpg"):
            assert reason(Path(name)) == "is no regular file"
    for name in ("link", "loop"):
        assert reason(Path(name)) == "is a broken link"

    Path("secret.png").write_bytes(encoded(".png"))

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert reason(Path("secret.png")) == "cannot be read (Permission denied)"


def test_a_cycle_of_folders_is_no_endless_search(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for seed in range(4):
            (tmp_path / label / f"{seed}.png").write_bytes(
                cv2.imencode(".png", picture("tennis", seed + 4 * (label == "b")))[1].tobytes()
            )
        (tmp_path / label / "up").symlink_to(tmp_path)
    assert len(dataset.find_files(tmp_path, ["all"])) == 8


def test_a_class_cannot_have_a_name_that_moves_the_cursor(tmp_path: Path) -> None:
    for label in ("a", "b\x1b[2J"):
        (tmp_path / label).mkdir()
        for seed in range(4):
            (tmp_path / label / f"{seed}.png").write_bytes(encoded(".png"))
    with pytest.raises(UserError, match=r"'b\\x1b\[2J', holds a control character; rename"):
        dataset.find_files(tmp_path, ["all"])


ORIGINALS = [encoded(ending) for ending in (".jpg", ".png", ".gif", ".webp", ".bmp", ".tiff")]


@given(st.sampled_from(ORIGINALS), st.data())
def test_mutated_images_decode_or_are_refused(original: bytes, data: st.DataObject) -> None:
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(content)))
        match data.draw(st.sampled_from(["change", "insert", "cut"])):
            case "change" if position < len(content):
                content[position] = data.draw(st.integers(0, 255))
            case "insert":
                content[position:position] = data.draw(st.binary(min_size=1, max_size=16))
            case _:
                del content[position:]
    image, refused = None, ""
    try:
        image = dataset.decode_image(bytes(content))
    except ValueError as error:
        refused = str(error)
    if image is None:
        assert refused.startswith(("is ", "has more than ", "cannot be decoded"))
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.size > 0
