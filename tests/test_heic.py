"""Pictures of phones, read by a package that need not be there."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from conftest import ROOT, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_bad_images import BLUE, RED, UNDECODABLE, decode, encode, reason

from activity.quiet.opencv import MAX_IMAGE_PIXELS
from activity.training.heic import is_heic
from activity.training.images import decode_image

UNDECODABLE_HEIC = UNDECODABLE.replace("OpenCV", "pillow-heif")


def heic(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, **options)
    return stream.getvalue()


PICTURE = Image.fromarray(picture("tennis", 0, (192, 256)))
WHOLE = heic(PICTURE)
# As phones do it: the picture in tiles.
TILED = heic(PICTURE, tile_size=64)
ENCODED = pytest.mark.parametrize("encoded", [WHOLE, TILED], ids=["whole", "tiled"])


@ENCODED
def test_the_picture_is_decoded(encoded: bytes) -> None:
    image = decode(encoded)
    assert np.abs(image.astype(int) - np.asarray(PICTURE)).mean() < 12
    assert image.flags.writeable


def two_halves() -> Image.Image:
    image = Image.new("RGB", (64, 32), BLUE)
    image.paste(RED, (0, 0, 32, 32))
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(orientation: int) -> None:
    """Its own marks of turning and mirroring say the same as EXIF, as in files of phones."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(heic(two_halves(), exif=exif.tobytes()))
    assert image.shape == ((32, 64, 3) if orientation < 5 else (64, 32, 3))
    left_or_top_is_red = orientation in (1, 4, 5, 6)
    red, blue = ((4, 4), (-4, -4)) if left_or_top_is_red else ((-4, -4), (4, 4))
    assert image[red].tolist() == pytest.approx(RED, abs=5)
    assert image[blue].tolist() == pytest.approx(BLUE, abs=5)


@ENCODED
def test_a_truncated_picture_is_none(encoded: bytes, tmp_path: Path) -> None:
    """Without the check the tiles that are missing would be black, and nothing said."""
    for share in (0.1, 0.3, 0.6, 0.9, 0.99):
        assert decode_image(encoded[: int(len(encoded) * share)]) is None
    path = tmp_path / "x.heic"
    path.write_bytes(encoded[:-1])
    assert reason(path) == UNDECODABLE_HEIC


def test_what_follows_the_end_does_no_harm() -> None:
    assert np.array_equal(decode(TILED + b"more of something else"), decode(TILED))


def test_a_header_that_claims_a_huge_picture_is_refused_before_decoding(tmp_path: Path) -> None:
    place = WHOLE.index(b"ispe") + 8
    huge = WHOLE[:place] + (30_000).to_bytes(4, "big") * 2 + WHOLE[place + 8 :]
    assert pillow_heif.open_heif(huge).size == (30_000, 30_000)
    path = tmp_path / "x"
    path.write_bytes(huge)
    assert reason(path) == UNDECODABLE_HEIC


def test_a_whole_picture_with_too_many_pixels_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("activity.training.heic.MAX_IMAGE_PIXELS", 192 * 256 - 1)
    monkeypatch.setattr(pillow_heif.HeifImage, "load", fail)
    path = tmp_path / "x"
    path.write_bytes(TILED)
    assert MAX_IMAGE_PIXELS > 192 * 256
    assert reason(path) == UNDECODABLE_HEIC


@pytest.mark.parametrize("mode", ["RGBA", "RGBa"])
def test_white_shows_through(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (100, 0, 200, 128))
    encoded = heic(image.convert(mode), quality=-1, chroma=444)
    assert pillow_heif.open_heif(encoded).mode == mode
    assert decode(encoded)[32, 32].tolist() == pytest.approx([177, 127, 227], abs=3)


@pytest.mark.parametrize(("mode", "values"), [("RGB;16", 3), ("L;16", 1)])
def test_more_bits_become_eight(mode: str, values: int) -> None:
    stream = io.BytesIO()
    pixels = np.full((64, 64, values), 40_000, np.uint16)
    pillow_heif.encode(mode, (64, 64), pixels.tobytes(), stream)
    assert decode(stream.getvalue())[32, 32].tolist() == pytest.approx([156] * 3, abs=2)


def test_grey_becomes_rgb() -> None:
    assert decode(heic(PICTURE.convert("L"))).shape == (192, 256, 3)


def test_without_the_package_the_reason_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(WHOLE)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert reason(path) == "is a HEIC picture; pip install pillow-heif to have them read"


def test_the_package_is_left_alone_until_a_picture_needs_it(tmp_path: Path) -> None:
    (tmp_path / "x.avif").write_bytes(encode(".avif", picture("tennis", 0)))
    program = (
        "import sys; from pathlib import Path\n"
        "from activity.training.images import read_image\n"
        "read_image(Path(sys.argv[1]))\n"
        "print('pillow_heif' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "x.avif")]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_kinds_are_told_by_content() -> None:
    assert is_heic(WHOLE)
    assert is_heic(WHOLE.replace(b"ftypheic", b"ftypmif1", 1))
    assert not is_heic(encode(".avif", picture("tennis", 0)))
    assert not is_heic(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41")
    assert not is_heic(b"")


@given(
    st.sampled_from([WHOLE, TILED]),
    st.lists(st.tuples(st.floats(0, 1) | st.floats(0, 0.05), st.binary(min_size=1, max_size=8)),
             min_size=1, max_size=8),
)  # fmt: skip
def test_a_damaged_picture_is_decoded_or_not(
    encoded: bytes, damages: list[tuple[float, bytes]]
) -> None:
    for share, data in damages:
        place = int(len(encoded) * share)
        encoded = encoded[:place] + data + encoded[place + len(data) :]
    image = decode_image(encoded)
    assert image is None or (image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8)
