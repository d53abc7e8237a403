"""Pictures of phones, read by a package that need not be there."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from test_bad_images import BLUE, ENCODED, PICTURE, RED, UNDECODABLE, decode, reason, saved

from activity import pictures

WHOLE, TILED = ENCODED[".heic"], ENCODED[".heif"]


@pytest.mark.parametrize("encoded", [WHOLE, TILED], ids=["whole", "tiled"])
def test_the_picture_is_decoded(encoded: bytes) -> None:
    assert np.abs(decode(encoded).astype(int) - np.asarray(PICTURE)).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(orientation: int) -> None:
    """Its own marks of turning and mirroring say the same as EXIF, as in files of phones."""
    halves = Image.new("RGB", (64, 32), BLUE)
    halves.paste(RED, (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(saved(halves, "HEIF", exif=exif.tobytes()))
    assert image.shape == ((32, 64, 3) if orientation < 5 else (64, 32, 3))
    colours = (RED, BLUE) if orientation in (1, 4, 5, 6) else (BLUE, RED)  # left or top first
    for place, colour in zip(((4, 4), (-4, -4)), colours, strict=True):
        assert image[place].tolist() == pytest.approx(colour, abs=5)


def test_a_picture_with_too_many_pixels_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its header, and if it is whole."""
    decoded: list[object] = []
    monkeypatch.setattr(pillow_heif.HeifImage, "load", lambda image: decoded.append(image))
    place = WHOLE.index(b"ispe") + 8
    huge = WHOLE[:place] + (30_000).to_bytes(4, "big") * 2 + WHOLE[place + 8 :]
    assert pillow_heif.open_heif(huge).size == (30_000, 30_000)
    (tmp_path / "x").write_bytes(huge)
    assert reason(tmp_path / "x") == UNDECODABLE
    monkeypatch.setattr(pictures, "MAX_IMAGE_PIXELS", 96 * 128 - 1)
    (tmp_path / "x").write_bytes(TILED)
    assert reason(tmp_path / "x") == UNDECODABLE.replace("65,000,000", "12,287")
    assert decoded == []


@pytest.mark.parametrize("mode", ["RGBA", "RGBa"])
def test_white_shows_through(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (100, 0, 200, 128))
    stream = io.BytesIO()
    pillow_heif.from_pillow(image.convert(mode)).save(stream, quality=-1, chroma=444)
    assert pillow_heif.open_heif(stream.getvalue()).mode == mode
    pixel = decode(stream.getvalue())[32, 32]
    assert pixel.tolist() == pytest.approx([177, 127, 227], abs=3)


@pytest.mark.parametrize(("mode", "values"), [("RGB;16", 3), ("L;16", 1)])
def test_more_bits_become_eight(mode: str, values: int) -> None:
    stream = io.BytesIO()
    pixels = np.full((64, 64, values), 40_000, np.uint16)
    pillow_heif.encode(mode, (64, 64), pixels.tobytes(), stream)
    assert decode(stream.getvalue())[32, 32].tolist() == pytest.approx([156] * 3, abs=2)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_without_the_package_the_reason_says_how(
    brand: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For HEIC; what else cannot be decoded has nothing to do with it."""
    monkeypatch.setattr(
        pictures, "BY_PILLOW", [each for each in pictures.BY_PILLOW if each != "HEIF"]
    )
    path = tmp_path / "x.jpg"
    path.write_bytes(WHOLE.replace(b"ftypheic", b"ftyp" + brand, 1))
    assert reason(path) == "is a HEIC picture; pip install pillow-heif to have them read"
    path.write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41")
    assert reason(path) == UNDECODABLE
