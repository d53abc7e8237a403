"""Files in the training folder that are no image, or an unusual one."""

import io
import itertools
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, load, picture, run_process
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from activity.errors import UserError
from activity.pictures import decode_image
from activity.quiet.opencv import MAX_IMAGE_PIXELS, cv2
from activity.training import augmentation, dataset
from activity.training.annotations import Annotation

UNDECODABLE = "is no image of at most 65,000,000 pixels that can be decoded"
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
FORMATS = (".jpg", ".png", ".gif", ".webp", ".bmp", ".tiff", ".avif", ".jp2", ".ppm")
# The smallest square of whole hundreds that is too large.
TOO_LARGE = 8100


def encode(ending: str, image: np.ndarray, *parameters: int) -> bytes:
    encoded: np.ndarray = cv2.imencode(ending, image, parameters)[1]
    return encoded.tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as Pillow writes it, which knows kinds that OpenCV cannot write."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decode(encoded: bytes) -> np.ndarray:
    image = decode_image(encoded)
    assert image is not None
    assert image.dtype == np.uint8
    assert image.ndim == 3 == image.shape[2]
    return image


PICTURE = Image.fromarray(picture("tennis", 0)[..., ::-1])
ENCODED = {ending: encode(ending, picture("tennis", 0)) for ending in FORMATS}
# As phones do it, the picture in tiles.
ENCODED |= {".heic": saved(PICTURE, "HEIF"), ".heif": saved(PICTURE, "HEIF", tile_size=64)}


def reason(path: Path) -> str:
    """Return why a file of the class 'tennis' is skipped."""
    found = dataset._scan([Annotation(path, "tennis")], path.parent)
    assert isinstance(found, str)
    return found


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_sparse(path: Path) -> None:
    """Make a file that claims a terabyte and takes no space."""
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Path.touch, "is empty"),
        (lambda path: path.write_text("no image"), UNDECODABLE),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), UNDECODABLE),
        (make_sparse, "has 1,099,511,627,776 bytes, more than 268,435,456"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read (No such file or directory)"),
        (lambda path: path.symlink_to(path.name), "cannot be read (Too many levels"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (make_socket, "is not a regular file"),
        (Path.mkdir, "is not a regular file"),
    ],
    ids=["empty", "text", "signature", "huge", "broken link", "link to itself", "link to a device",
         "pipe", "socket", "folder"],
)  # fmt: skip
def test_a_file_that_is_no_image_is_skipped_with_the_reason(
    make: Callable[[Path], object], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.jpg"
    make(path)
    assert reason(path).startswith(expected)


@pytest.mark.parametrize("change", [Path.unlink, Path.touch, lambda path: path.write_text("no")])
def test_a_picture_that_changes_during_the_run_is_an_error_in_one_line(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode(".png", picture("tennis", 0)))
    (found,) = dataset.load([Annotation(path, "tennis")], tmp_path).pictures
    path.write_bytes(b"")
    change(path)
    with pytest.raises(UserError, match=r"x\.png .+; it changed during the run, start again"):
        dataset.read_picture(found)


def test_odd_names_and_wrong_endings_do_no_harm(folder: Path) -> None:
    names = ["with space.jpg", "with\nnewline.jpg", "not UTF-8 \udcff.jpg"]
    for number, name in enumerate(names):
        (folder / "tennis" / name).write_bytes(encode(".webp", picture("tennis", 100 + number)))
    os.mkfifo(folder / "tennis/pipe.jpg")
    data = load(folder)
    [skipped] = data.record()["skipped"]
    assert skipped == {"file": folder / "tennis/pipe.jpg", "reason": "is not a regular file"}
    assert set(names) <= {found.path.name for found in data.pictures}


@pytest.mark.parametrize("ending", ENCODED)
def test_a_truncated_image_is_no_image(ending: str) -> None:
    """A part of it never passes for the whole, wherever it is cut."""
    encoded = ENCODED[ending]
    assert decode(encoded).shape == (96, 128, 3)
    for share in (0.02, 0.1, 0.3, 0.6, 0.9, 0.99):
        assert decode_image(encoded[: int(len(encoded) * share)]) is None
    # What follows the end does no harm.
    assert np.array_equal(decode(encoded + b"more of something else"), decode(encoded))


def test_the_script_names_each_bad_image_in_a_line_and_says_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    for ending, encoded in ENCODED.items():
        (folder / "tennis" / f"cut{ending}").write_bytes(encoded[: len(encoded) // 2])
    (folder / "tennis" / "huge.gif").write_bytes(gif_that_claims(10_000))
    done = run_process("train.py", "-d", "data", "--strict", "--weights", __file__, cwd=tmp_path)
    assert [line for line in done.stdout.splitlines() if line.startswith("skipped ")] == [
        f"skipped 'data/tennis/{name}': {UNDECODABLE}"
        for name in [*(f"cut{ending}" for ending in sorted(ENCODED)), "huge.gif"]
    ]
    assert done.stderr.splitlines() == [
        "error: 12 files cannot be decoded (--strict); remove what is named above"
    ]


@pytest.mark.parametrize("ending", [each for each in FORMATS if each not in (".avif", ".ppm")])
def test_an_image_with_too_many_pixels_is_not_decoded(ending: str, tmp_path: Path) -> None:
    """It is whole, so nothing but the limit stops it, and most are small files."""
    image = np.zeros((TOO_LARGE, TOO_LARGE, 3 if ending == ".gif" else 1), np.uint8)
    path = tmp_path / "x"
    path.write_bytes(encode(ending, image, *([205, 101] if ending == ".webp" else [])))
    assert reason(path) == UNDECODABLE


def megabytes_to_decode(path: Path) -> int:
    """Decode a file in a process of its own, and return by how much its peak memory grew."""
    # The usual ru_maxrss would begin with that of the process that starts this one.
    program = (
        "import re, sys; from pathlib import Path\n"
        "from activity.pictures import decode_image\n"
        "def peak():\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "encoded, before = Path(sys.argv[1]).read_bytes(), peak()\n"
        "decode_image(encoded)\n"
        "print((peak() - before) // 1024)"
    )
    return int(subprocess.check_output([sys.executable, "-c", program, path], cwd=ROOT))


def gif_that_claims(side: int) -> bytes:
    """Write another size into the header of a square image."""
    encoded = encode(".gif", np.zeros((251, 251, 3), np.uint8))
    return encoded.replace(struct.pack("<HH", 251, 251), struct.pack("<HH", side, side))


def png_with_a_flipped_bit() -> bytes:
    """Claim gigabytes for a chunk."""
    encoded = bytearray(encode(".png", picture("tennis", 0)))
    encoded[encoded.index(b"IDAT") - 4] ^= 0x40
    return bytes(encoded)


@pytest.mark.parametrize(
    ("encoded", "least", "most"),
    [(gif_that_claims(TOO_LARGE), 0, 30), (png_with_a_flipped_bit(), 0, 30),
     (encode(".png", np.zeros((8000, 8000, 3), np.uint8)), 300, 750)],
    ids=["a huge header", "a huge chunk", "the largest that is accepted"],
)  # fmt: skip
def test_decoding_takes_bounded_memory(
    encoded: bytes, least: int, most: int, tmp_path: Path
) -> None:
    assert 8000**2 < MAX_IMAGE_PIXELS < TOO_LARGE**2
    (tmp_path / "x").write_bytes(encoded)
    assert least <= megabytes_to_decode(tmp_path / "x") < most


@pytest.mark.parametrize(
    ("mode", "kind", "colour"),
    [("CMYK", "JPEG", RED), ("P", "PNG", RED), ("L", "PNG", [76] * 3), ("1", "PNG", [0] * 3)],
)
def test_unusual_kinds_of_pixels_become_rgb(mode: str, kind: str, colour: Sequence[int]) -> None:
    image = decode(saved(Image.new("RGB", (7, 5), RED).convert(mode), kind))
    assert image.shape == (5, 7, 3)
    assert image[2, 3].tolist() == pytest.approx(colour, abs=2)


@pytest.mark.parametrize(
    ("ending", "shape"), [(".png", (5, 7, 3)), (".png", (5, 7)), (".tiff", (5, 7, 3))]
)
def test_16_bits_become_8(ending: str, shape: tuple[int, ...]) -> None:
    image = decode(encode(ending, np.full(shape, 40_000, np.uint16)))
    assert np.array_equal(image, np.full((5, 7, 3), 156))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_white_shows_through(kind: str, options: dict[str, object]) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (100, 0, 200, 128))
    image.putpixel((2, 0), (10, 20, 30, 255))
    pixels = decode(saved(image, kind, **options))[0]
    assert pixels.tolist() == [[255, 255, 255], [177, 127, 227], [10, 20, 30]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_white_shows_through_a_colour_of_the_palette(kind: str) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((1, 0), 1)
    assert decode(saved(image, kind, transparency=0))[0].tolist() == [[255] * 3, list(RED)]


@pytest.mark.parametrize("ending", FORMATS)
def test_opaque_images_are_what_opencv_decodes(ending: str) -> None:
    grey = [] if ending in (".gif", ".ppm") else [encode(ending, picture("tennis", 0)[..., :1])]
    for encoded in (ENCODED[ending], *grey):
        expected = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert expected is not None
        assert np.array_equal(decode(encoded), expected)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), *itertools.product(("PNG", "WEBP", "TIFF"), ("RGB", "RGBA"))],
)
def test_images_are_turned_as_their_exif_orientation_says(kind: str, mode: str) -> None:
    image = Image.new(mode, (32, 16), BLUE)
    image.paste(Image.new(mode, (16, 16), RED), (0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn to the right
    turned = decode(saved(image, kind, exif=exif))
    assert turned.shape == (32, 16, 3)
    assert turned[4, 8].tolist() == pytest.approx(RED, abs=5)
    assert turned[28, 8].tolist() == pytest.approx(BLUE, abs=5)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    first, *others = (Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE))
    image = decode(saved(first, kind, save_all=True, append_images=others))
    assert image.shape == (16, 16, 3)
    assert image[8, 8].tolist() == pytest.approx(RED, abs=5)


@pytest.mark.parametrize(("kind", "name"), [("WEBP", "WebP"), ("AVIF", "AVIF")])
def test_an_animation_that_is_no_video_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN))
    path = tmp_path / "x.webp"
    path.write_bytes(saved(first, kind, save_all=True, append_images=[second]))
    assert reason(path) == f"is an animated {name}, which is not read; convert it to .mp4"


@pytest.mark.parametrize("shape", [(1, 1), (1, 50_000), (50_000, 1), (2, 3)])
def test_images_a_pixel_wide_are_used_as_they_are(shape: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode(".png", np.full((*shape, 3), 9, np.uint8)))
    (found,) = dataset.load([Annotation(path, "tennis")], tmp_path).pictures
    for rule, index in itertools.product(("crop", "squash"), range(3)):
        view = augmentation.view(dataset.read_picture(found), index, rule, 32, [0])
        assert np.array_equal(view, np.full((32, 32, 3), 9))


DAMAGES = st.tuples(
    st.sampled_from(["replace", "insert", "truncate"]),
    st.floats(0, 1) | st.floats(0, 0.05),
    st.binary(min_size=1, max_size=8),
)


@given(st.sampled_from(list(ENCODED.values())), st.lists(DAMAGES, min_size=1, max_size=8))
def test_a_damaged_image_is_decoded_or_not(
    encoded: bytes, damages: list[tuple[str, float, bytes]]
) -> None:
    for kind, share, data in damages:
        head, tail = encoded[: int(len(encoded) * share)], encoded[int(len(encoded) * share) :]
        after = {"replace": data + tail[len(data) :], "insert": data + tail, "truncate": b""}
        encoded = head + after[kind]
    if decode_image(encoded) is not None:
        decode(encoded)
