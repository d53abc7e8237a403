"""Files in the training folder that are no image, or an unusual one."""

import io
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, ROOT, picture, run_script
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from activity.errors import UserError
from activity.quiet.opencv import MAX_IMAGE_PIXELS, cv2
from activity.training import augmentation, dataset, layout
from activity.training.annotations import Annotation
from activity.training.dataset import _scan
from activity.training.images import decode_image

UNDECODABLE = "is no image of at most 65,000,000 pixels that OpenCV can decode"
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
FORMATS = (".jpg", ".png", ".gif", ".webp")
# The smallest square of whole hundreds that is too large.
TOO_LARGE = 8100


def encode(ending: str, image: np.ndarray, *parameters: int) -> bytes:
    return cv2.imencode(ending, image, parameters)[1].tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as Pillow writes it, which knows kinds that OpenCV cannot write."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decode(encoded: bytes) -> np.ndarray:
    image = decode_image(encoded)
    assert image is not None
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    return image


def reason(path: Path) -> str:
    """Return why a file of the class 'tennis' is skipped."""
    found = _scan([Annotation(path, "tennis")], path.parent)
    assert isinstance(found, str)
    return found


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def leave_alone(_path: Path) -> None:
    """Make nothing: the file was listed, and is gone."""


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
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (make_socket, "is not a regular file"),
        (Path.mkdir, "is not a regular file"),
        (leave_alone, "No such file or directory"),
    ],
    ids=["empty", "text", "signature", "huge", "broken link", "link to itself", "link to a device",
         "pipe", "socket", "folder", "vanished"],
)  # fmt: skip
def test_a_file_that_is_no_image_is_skipped_with_the_reason(
    make: Callable[[Path], object], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.jpg"
    make(path)
    assert reason(path) == expected


@pytest.mark.parametrize("change", [Path.unlink, Path.touch, lambda path: path.write_text("no")])
def test_a_picture_that_changes_during_the_run_is_an_error_in_one_line(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode(".png", picture("tennis", 0)))
    (found,) = dataset.load([Annotation(path, "tennis")], tmp_path).pictures
    path.write_bytes(b"")
    change(path)
    with pytest.raises(UserError, match=r"x\.png' changed during the run \(.+\); start again"):
        dataset.read_picture(found)


def test_a_folder_of_everything_that_can_go_wrong(dataset_folder: Path, tmp_path: Path) -> None:
    for label in COLOURS:
        (tmp_path / label).mkdir()
        for number in range(4):
            (tmp_path / label / f"{number}").symlink_to(dataset_folder / label / f"{number}.png")
    folder = tmp_path / "tennis"
    (folder / "x.jpg").mkdir()
    (folder / "round").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "empty.jpg").touch()
    names = ["with space.jpg", "with\nnewline.jpg", "not UTF-8 \udcff.jpg"]
    for number, name in enumerate(names):
        # A wrong suffix does no harm.
        (folder / name).write_bytes(encode(".webp", picture("tennis", 100 + number)))
    files = layout.find_annotations(tmp_path, sorted(COLOURS))
    (folder / "0").unlink()
    data = dataset.load(files, tmp_path)
    assert {file.path.name: file.reason for file in data.skipped} == {
        "0": "No such file or directory",
        "empty.jpg": "is empty",
        "pipe.jpg": "is not a regular file",
    }
    assert data.counts()["tennis"] == (9, 6, 6)
    assert set(names) <= {found.path.name for found in data.pictures}
    assert data.record()["skipped"][1] == {"file": folder / "empty.jpg", "reason": "is empty"}


@pytest.mark.parametrize("ending", [*FORMATS, ".bmp", ".tiff", ".avif", ".jp2"])
def test_a_truncated_image_is_no_image(ending: str) -> None:
    """A part of it never passes for the whole, wherever it is cut."""
    encoded = encode(ending, picture("tennis", 0))
    assert decode(encoded).shape == (96, 128, 3)
    for share in (0.02, 0.3, 0.6, 0.9, 0.99):
        assert decode_image(encoded[: int(len(encoded) * share)]) is None


def test_the_script_names_each_bad_image_in_a_line_and_says_nothing_else(
    dataset_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    endings = sorted([*FORMATS, ".avif", ".bmp", ".jp2", ".tiff"])
    for ending in endings:
        encoded = encode(ending, picture("tennis", 0))
        (folder / "tennis" / f"cut{ending}").write_bytes(encoded[: len(encoded) // 2])
    done = run_script("train.py", "-d", "data", "--strict", "--weights", __file__, cwd=tmp_path)
    assert [line for line in done.stdout.splitlines() if line.startswith("skipped ")] == [
        f"skipped 'data/tennis/cut{ending}': {UNDECODABLE}" for ending in endings
    ]
    assert done.stderr.splitlines() == [
        "error: 8 files cannot be decoded (--strict); remove what is named above"
    ]


@pytest.mark.parametrize("ending", [*FORMATS, ".bmp", ".tiff", ".jp2"])
def test_an_image_with_too_many_pixels_is_not_decoded(ending: str, tmp_path: Path) -> None:
    """It is whole, so nothing but the limit stops it, and most are small files."""
    image = np.zeros((TOO_LARGE, TOO_LARGE, 3 if ending == ".gif" else 1), np.uint8)
    path = tmp_path / "x"
    path.write_bytes(encode(ending, image, *([205, 101] if ending == ".webp" else [])))
    assert reason(path) == UNDECODABLE


def megabytes_to_decode(path: Path) -> int:
    """Decode a file in a process of its own, and return by how much its peak memory grew."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux' /proc")
    # The usual ru_maxrss would begin with that of the process that starts this one.
    program = (
        "import re, sys; from pathlib import Path\n"
        "from activity.training.images import decode_image\n"
        "def peak():\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "encoded, before = Path(sys.argv[1]).read_bytes(), peak()\n"
        "decode_image(encoded)\n"
        "print((peak() - before) // 1024)"
    )
    command = [sys.executable, "-c", program, str(path)]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def claim(encoded: bytes, layout: str, side: int, claimed: int) -> bytes:
    """Write another size into the header of a square image."""
    height_and_width = struct.pack(layout, side, side)
    assert height_and_width in encoded
    return encoded.replace(height_and_width, struct.pack(layout, claimed, claimed))


def test_a_header_that_claims_a_huge_image_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.gif"
    path.write_bytes(
        claim(encode(".gif", np.zeros((251, 251, 3), np.uint8)), "<HH", 251, TOO_LARGE)
    )
    assert megabytes_to_decode(path) < 30


def test_a_chunk_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    """One flipped bit in a PNG is enough."""
    encoded = bytearray(encode(".png", picture("tennis", 0)))
    encoded[encoded.index(b"IDAT") - 4] ^= 0x40
    path = tmp_path / "x.png"
    path.write_bytes(encoded)
    assert megabytes_to_decode(path) < 30


def test_what_follows_the_end_of_a_png_does_no_harm() -> None:
    encoded = encode(".png", picture("tennis", 0))
    assert np.array_equal(decode(encoded + b"more"), decode(encoded))


def test_the_largest_image_that_is_accepted_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode(".png", np.zeros((8000, 8000, 3), np.uint8)))
    assert 8000**2 < MAX_IMAGE_PIXELS < TOO_LARGE**2
    assert 300 < megabytes_to_decode(path) < 450


def red(mode: str) -> Image.Image:
    return Image.new("RGB", (7, 5), RED).convert(mode)


@pytest.mark.parametrize(
    ("encoded", "colour"),
    [
        (saved(red("CMYK"), "JPEG"), RED),
        (saved(red("P"), "PNG"), RED),
        (saved(red("L"), "PNG"), (76, 76, 76)),
        (saved(red("1"), "PNG"), (0, 0, 0)),
        (encode(".png", np.full((5, 7, 3), 40_000, np.uint16)), (156, 156, 156)),
        (encode(".png", np.full((5, 7), 40_000, np.uint16)), (156, 156, 156)),
        (encode(".tiff", np.full((5, 7, 3), 40_000, np.uint16)), (156, 156, 156)),
    ],
    ids=["CMYK", "palette", "grey", "two colours", "16 bits", "grey, 16 bits", "TIFF, 16 bits"],
)
def test_unusual_kinds_of_pixels_become_rgb(encoded: bytes, colour: tuple[int, ...]) -> None:
    assert decode(encoded).shape == (5, 7, 3)
    assert decode(encoded)[2, 3].tolist() == pytest.approx(colour, abs=2)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_white_shows_through(kind: str) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (100, 0, 200, 128))
    image.putpixel((2, 0), (10, 20, 30, 255))
    pixels = decode(saved(image, kind, **({"lossless": True} if kind == "WEBP" else {})))[0]
    assert pixels.tolist() == [[255, 255, 255], [177, 127, 227], [10, 20, 30]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_white_shows_through_a_colour_of_the_palette(kind: str) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((1, 0), 1)
    assert decode(saved(image, kind, transparency=0))[0].tolist() == [[255] * 3, list(RED)]


@pytest.mark.parametrize("ending", [*FORMATS, ".bmp", ".tiff", ".avif", ".jp2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_opaque_images_are_what_opencv_decodes(ending: str, channels: int) -> None:
    image = picture("tennis", 0)[..., :channels] if ending != ".gif" else picture("tennis", 0)
    encoded = encode(ending, image)
    expected = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert expected is not None
    assert np.array_equal(decode(encoded), expected)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        *((kind, mode) for kind in ("PNG", "WEBP", "TIFF") for mode in ("RGB", "RGBA")),
    ],
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


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    first, *others = (Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE))
    image = decode(saved(first, kind, save_all=True, append_images=others))
    assert image.shape == (16, 16, 3)
    assert image[8, 8].tolist() == pytest.approx(RED, abs=5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50_000), (50_000, 1), (2, 3)])
def test_images_a_pixel_wide_are_used_as_they_are(shape: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode(".png", np.full((*shape, 3), 9, np.uint8)))
    (found,) = dataset.load([Annotation(path, "tennis")], tmp_path).pictures
    image = dataset.read_picture(found)
    for rule in ("crop", "squash"):
        for index in range(3):
            view = augmentation.view(image, index, rule, 32, [0])
            assert view.shape == (32, 32, 3)
            assert (view == 9).all()


@given(
    st.sampled_from([encode(ending, picture("tennis", 0, (24, 32))) for ending in FORMATS]),
    st.lists(
        st.tuples(
            st.sampled_from(["flip", "insert", "truncate"]),
            st.floats(0, 1) | st.floats(0, 0.05),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_a_damaged_image_is_decoded_or_not(
    encoded: bytes, damages: list[tuple[str, float, bytes]]
) -> None:
    for kind, share, data in damages:
        place = int(len(encoded) * share)
        tail = {
            "flip": bytes(a ^ b for a, b in zip(data, encoded[place:], strict=False))
            + encoded[place + len(data) :],
            "insert": data + encoded[place:],
            "truncate": b"",
        }[kind]
        encoded = encoded[:place] + tail
    image = decode_image(encoded)
    assert image is None or (image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8)


def test_a_cycle_of_folders_is_no_endless_search(tmp_path: Path, dataset_folder: Path) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    for label in COLOURS:
        (folder / label / "up").symlink_to(folder)
    assert len(layout.find_annotations(folder, ["all"])) == 48


def test_a_class_cannot_have_a_name_that_moves_the_cursor(
    tmp_path: Path, dataset_folder: Path
) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    (folder / "tennis").rename(folder / "b\x1b[2J")
    with pytest.raises(UserError, match=r"'b\\x1b\[2J', holds a control character; rename"):
        layout.find_annotations(folder, ["all"])
