"""Every kind of picture shows what viewers show, in training and as a frame of a clip."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_bad_images import encode, saved

from activity.errors import SourceError
from activity.pictures import eight_bits, on_white, read_image
from activity.video.reader import VideoReader

HEIGHT, WIDTH = 32, 48
# A corner of each colour: (32, 48, 3) uint8 RGB.
CORNERS = np.array([[(250, 30, 20), (20, 240, 40)], [(30, 20, 230), (90, 90, 90)]], np.uint8)
SCENE = CORNERS.repeat(16, 0).repeat(24, 1)
GREY = np.asarray(Image.fromarray(SCENE).convert("L"))
ALPHA = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).round().astype(np.uint8)
RGBA = Image.fromarray(np.dstack([SCENE, ALPHA]))
LA = Image.fromarray(np.dstack([GREY, ALPHA]))
PALETTE = Image.fromarray(SCENE).quantize(8)
SHADE, GREYS = SCENE.astype(np.uint16), GREY.astype(np.uint16)  # to be shifted


def over_white(image: np.ndarray) -> np.ndarray:
    share = ALPHA[..., None] / 255
    image = image if image.ndim == 3 else image[..., None]
    blended = np.rint(image * share + 255 * (1 - share)).astype(np.uint8)
    return np.broadcast_to(blended, SCENE.shape)


def grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=2)


def by_opencv(ending: str, image: np.ndarray) -> bytes:
    """Return grey, RGB or RGBA values as a file."""
    order = [0] if image.ndim == 2 else [2, 1, 0, 3][: image.shape[2]]
    return encode(ending, np.ascontiguousarray(np.atleast_3d(image)[..., order]))


def with_chunk(png: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def tiff(image: np.ndarray, *tags: tuple[int, int]) -> bytes:
    """Return uint16 grey values as a TIFF with more tags, or other values of them."""
    usual = {256: WIDTH, 257: HEIGHT, 258: 16, 259: 1, 262: 1, 273: 0, 277: 1, 278: HEIGHT}
    entries = sorted((usual | {279: 2 * image.size} | dict(tags)).items())
    entries = [(tag, 14 + 12 * len(entries) if tag == 273 else value) for tag, value in entries]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + b"\0" * 4 + image.astype("<u2").tobytes()


WITH_ALPHA, GREY_ALPHA = over_white(SCENE), over_white(GREY)
OPAQUE_16 = np.dstack([SHADE << 4, np.full((HEIGHT, WIDTH), 65_535, np.uint16)])
CLEAR_FIRST = np.asarray(PALETTE.convert("RGB")).copy()
CLEAR_FIRST[np.asarray(PALETTE) == 0] = 255
WHITE_RED = SCENE.copy()
WHITE_RED[:16, :24] = 255
BITS = (8, 10, 12, 14, 16)
SCENE_RGB, SCENE_L = Image.fromarray(SCENE), Image.fromarray(GREY)

# Kind: the file, what it shows, and by how many levels a decoder may differ.
KINDS: dict[str, tuple[bytes, np.ndarray, int]] = {
    **{
        f"{kind} {mode}": (saved(image, kind, **options), shown, tolerance)
        for kind, options, tolerance in (
            ("PNG", {}, 0), ("TIFF", {}, 0), ("WEBP", {"lossless": True, "exact": True}, 1),
            ("JPEG2000", {}, 0), ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 4),
            ("HEIF", {"quality": -1, "chroma": 444}, 4),
        )
        for mode, image, shown in (
            ("RGB", SCENE_RGB, SCENE), ("L", SCENE_L, grey(GREY)),
            ("RGBA", RGBA, WITH_ALPHA), ("LA", LA, GREY_ALPHA),
        )
    },
    **{
        f"{ending[1:]} with {bits} bits, {name}": (
            by_opencv(ending, values << (bits - 8)), shown, 0
        )
        for ending in (".png", ".tiff", ".jp2", ".ppm") for bits in BITS
        for name, values, shown in (("RGB", SHADE, SCENE), ("grey", GREYS, grey(GREY)))
        if (ending, name) != (".ppm", "grey")
    },
    "png with 12 bits, RGB and alpha": (by_opencv(".png", OPAQUE_16), SCENE, 0),
    "tiff with 12 bits, RGB and alpha": (by_opencv(".tiff", OPAQUE_16), SCENE, 0),
    "png with 16 bits, RGB and alpha": (
        by_opencv(".png", np.dstack([SHADE, ALPHA.astype(np.uint16)]) * 257), WITH_ALPHA, 0
    ),
    "tiff with 16 bits, RGB and alpha": (
        by_opencv(".tiff", np.dstack([SHADE, ALPHA.astype(np.uint16)]) * 257), WITH_ALPHA, 0
    ),
    "dark png that says 12 bits": (
        with_chunk(by_opencv(".png", SHADE), b"sBIT\14\14\14"), SCENE >> 4, 0
    ),
    "dark png that says 16 bits": (
        with_chunk(by_opencv(".png", SHADE << 4), b"sBIT\20\20\20"), SCENE >> 4, 0
    ),
    "dark tiff that says 12 bits": (tiff(GREY, (281, 4095)), grey(GREY >> 4), 0),
    "dark tiff with 16 bits": (tiff(GREYS // 16 * 257), grey(GREY >> 4), 0),
    "tiff with 12 bits": (tiff(GREYS << 4), grey(GREY), 0),
    "negative tiff": (tiff(65_535 - GREYS * 257, (262, 0)), grey(GREY), 0),
    "black png with 16 bits": (by_opencv(".png", SHADE * 0), SCENE * 0, 0),
    "png with a palette": (saved(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB")), 0),
    "palette with a clear colour": (saved(PALETTE, "PNG", transparency=0), CLEAR_FIRST, 0),
    "gif with a clear colour": (saved(PALETTE, "GIF", transparency=0), CLEAR_FIRST, 0),
    "png with a clear colour": (saved(SCENE_RGB, "PNG", transparency=(250, 30, 20)), WHITE_RED, 0),
    "tiff with a palette": (saved(PALETTE, "TIFF"), np.asarray(PALETTE.convert("RGB")), 0),
    **{
        f"{kind} with 1 bit": (saved(Image.fromarray(GREY > 80), kind), grey(255 * (GREY > 80)), 0)
        for kind in ("PNG", "TIFF", "PPM", "BMP")
    },
    **{
        f"{kind} in CMYK": (saved(SCENE_RGB.convert("CMYK"), kind, quality=100), SCENE, 6)
        for kind in ("JPEG", "TIFF")
    },
    "tiff in YCbCr": (saved(SCENE_RGB.convert("YCbCr"), "TIFF"), SCENE, 3),
    "tiff in JPEG": (saved(SCENE_RGB, "TIFF", compression="jpeg", quality=100), SCENE, 4),
    "grey jpeg": (saved(SCENE_L, "JPEG", quality=100), grey(GREY), 1),
    "jpeg": (saved(SCENE_RGB, "JPEG", quality=100, subsampling=0), SCENE, 4),
    "bmp": (saved(SCENE_RGB, "BMP"), SCENE, 0),
    "bmp with alpha": (by_opencv(".bmp", np.asarray(RGBA)), WITH_ALPHA, 0),
}  # fmt: skip


def both(path: Path) -> np.ndarray:
    """Return the pixels that training sees; assert that prediction sees the same."""
    image = read_image(path)[1]
    with VideoReader(path.with_name("%d.png")) as reader:
        (frame,) = reader
    assert np.array_equal(frame.picture[..., ::-1], image)
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_both_scripts_see_what_a_viewer_shows(kind: str, tmp_path: Path) -> None:
    encoded, shown, tolerance = KINDS[kind]
    (tmp_path / "1.png").write_bytes(encoded)
    image = both(tmp_path / "1.png")
    assert (image.dtype.name, image.shape) == ("uint8", SCENE.shape)
    assert np.abs(image.astype(int) - shown).max() <= tolerance


TURNED: dict[str, Callable[[int, bytes], bytes]] = {
    kind: lambda _, exif, kind=kind, options=options: saved(SCENE_RGB, kind, exif=exif, **options)
    for kind, options in (
        ("JPEG", {"quality": 100, "subsampling": 0}), ("PNG", {}), ("TIFF", {}),
        ("WEBP", {"lossless": True}), ("HEIF", {"quality": -1, "chroma": 444}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    )
} | {
    "TIFF with alpha": lambda _, exif: saved(SCENE_RGB.convert("RGBA"), "TIFF", exif=exif),
    "PNG with alpha": lambda _, exif: saved(SCENE_RGB.convert("RGBA"), "PNG", exif=exif),
    "PNG with 12 bits": lambda _, exif: with_chunk(
        by_opencv(".png", SHADE << 4), b"eXIf" + exif.removeprefix(b"Exif\0\0")
    ),
    "TIFF with 12 bits": lambda turn, _: tiff(GREYS << 4, (274, turn)),
}  # fmt: skip


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", TURNED)
def test_both_turn_it_in_all_eight_ways(kind: str, turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    (tmp_path / "1.png").write_bytes(TURNED[kind](turn, exif.tobytes()))
    scene = grey(GREY) if kind == "TIFF with 12 bits" else SCENE
    # By the words of the standard: where the stored row 0 and column 0 are seen.
    rows_first = turn < 5
    upright = scene if rows_first else scene.swapaxes(0, 1)
    upright = upright[::-1] if turn in (3, 4, 7, 8) else upright
    upright = upright[:, ::-1] if turn in (2, 3, 6, 7) else upright
    image = both(tmp_path / "1.png")
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).max() <= 4


@pytest.mark.parametrize("values", [np.float32, np.int32, np.float64])
def test_values_without_a_known_white_are_refused_by_name(values: type, tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    path.write_bytes(encode(".tiff", GREY.astype(values)))
    line = (
        rf"1\.png has values of type {np.dtype(values)}, of which none is known to be white; save"
    )
    for read in (read_image, VideoReader):
        with pytest.raises(SourceError, match=line):
            read(path if read is read_image else path.with_name("%d.png"))


@given(st.integers(8, 16), st.integers(0, 2**31))
def test_no_value_is_clipped_or_brightened_beyond_its_range(bits: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 2**bits, (9, 7, 3)).astype(np.uint16)
    shown = eight_bits(values)
    largest = int(values.max())
    depth = next(each for each in BITS if largest < 2**each)
    assert np.array_equal(shown, values // 2 ** (depth - 8))
    assert np.array_equal(eight_bits(values[..., ::-1]), shown[..., ::-1])
    assert np.array_equal(eight_bits(values[..., :1])[..., 0], eight_bits(values[..., 0]))


@pytest.mark.parametrize("channels", [2, 4])
def test_white_shows_through_whatever_the_order_of_the_channels(channels: int) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (64, 64, channels)).astype(np.uint8)
    share = image[..., -1:] / 255
    expected = np.rint(image[..., :-1] * share + 255 * (1 - share))
    assert np.array_equal(on_white(image), np.broadcast_to(expected, (64, 64, 3)))


def test_pictures_of_a_clip_that_cannot_be_decoded_are_told_of(tmp_path: Path) -> None:
    stream = io.BytesIO()
    SCENE_RGB.save(stream, "PNG")
    for number in range(4):
        damaged = stream.getvalue()[: 60 if number in (1, 2) else None]
        (tmp_path / f"{number}.png").write_bytes(damaged)
    with VideoReader(tmp_path / "%d.png", end=3.5 / 30) as reader:
        assert [round(frame.time * 30) for frame in reader] == [0, 3]
        assert reader.loss.startswith(": 2 of 4 pictures cannot be decoded; ")
        assert "1.png is no image of at most" in reader.loss
    for number in (0, 3):
        (tmp_path / f"{number}.png").write_bytes(b"none")
    with pytest.raises(SourceError, match=r"0\.png is no image of at most"):
        VideoReader(tmp_path / "%d.png")
