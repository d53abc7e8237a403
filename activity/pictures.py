"""The pixels of a picture file, the same in training and prediction, or the reason for none.

What is transparent or has more than eight bits becomes what viewers show, in frames of videos, too.
"""

import stat
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from activity.errors import SourceError
from activity.quiet.opencv import MAX_IMAGE_PIXELS, cv2
from activity.video.content import HEIC, JPEG, PNG, TIFF

MAX_FILE_BYTES = 2**28  # no image is that large, but a video in the wrong folder may be
BY_PILLOW = ["PNG", "GIF", "WEBP", "AVIF", "BMP", "JPEG2000", "PPM", "TIFF"]
ANIMATED = {"WEBP": "WebP", "AVIF": "AVIF"}  # as FFmpeg may not read it; Pillow's names
ORIENTATION, LARGEST_VALUE, PHOTOMETRIC = 0x0112, 0x0119, 0x0106  # tags of EXIF and of TIFF
with suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    BY_PILLOW.append("HEIF")
warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata, of huge sizes


def check_file(path: Path) -> int:
    """Return the size of a regular file in bytes; raise `SourceError` for anything else."""
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):  # a pipe or a socket would be waited for
        raise SourceError(f"{path} is not a regular file")
    if not status.st_size:
        raise SourceError(f"{path} is empty")
    return status.st_size


def read_image(path: Path) -> tuple[bytes, np.ndarray]:
    """Return a file's bytes and its image, (H, W, 3) uint8 RGB; raise `SourceError` without one."""
    if (size := check_file(path)) > MAX_FILE_BYTES:
        raise SourceError(f"{path} has {size:,} bytes, more than {MAX_FILE_BYTES:,}")
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror})") from error
    try:
        image = decode_image(encoded)
    except SourceError as error:
        raise SourceError(f"{path} {error}") from error
    if image is not None:
        return encoded, image
    if encoded[4:12] in HEIC and "HEIF" not in BY_PILLOW:
        raise SourceError(f"{path} is a HEIC picture; pip install pillow-heif to have them read")
    limit = f"{MAX_IMAGE_PIXELS:,} pixels"
    raise SourceError(f"{path} is no image of at most {limit} that can be decoded")


def decode_image(encoded: bytes) -> np.ndarray | None:
    """Decode JPEG, PNG, WebP, GIF, AVIF, HEIC (with pillow-heif), TIFF, BMP, JPEG 2000 or PNM.

    Returns (H, W, 3) uint8 RGB, read-only, turned as EXIF says, white where it is transparent; the
    first frame of a GIF, PNG or TIFF with several. A truncated file gives None: half a picture
    would teach nonsense. Raises `SourceError` with the reason for what is whole and not read.
    """
    try:
        if encoded.startswith(JPEG):  # faster than Pillow does
            return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        is_tiff = encoded.startswith(TIFF)  # damaged, OpenCV refuses it in silence
        stored = _stored(encoded) if is_tiff else None
        if is_tiff and stored is None:
            return None
        with Image.open(BytesIO(encoded), formats=BY_PILLOW) as file:
            too_large = file.width * file.height > MAX_IMAGE_PIXELS
            if too_large or (file.format == "HEIF" and _is_cut_heic(encoded)):
                return None
            if file.format in ANIMATED and getattr(file, "is_animated", False):
                kind = ANIMATED[file.format]
                raise SourceError(f"is an animated {kind}, which is not read; convert it to .mp4")
            if file.format in ("JPEG2000", "PPM") or _depth_of_png(encoded) == 16:
                file.load()  # raises what is wrong if it is cut
                stored = _stored(encoded)
            image: Image.Image = file
            # Pillow drops the lower half of 16 bits. OpenCV darkens by alpha in TIFF, or drops it.
            if stored is not None and stored.dtype == np.uint16:
                shown = eight_bits(stored, _least_depth(file, encoded))
                is_negative = isinstance(file, TiffImageFile) and file.tag_v2[PHOTOMETRIC] == 0
                image = Image.fromarray(255 - shown if is_negative else shown)
            elif stored is not None and is_tiff and not file.has_transparency_data:
                image = Image.fromarray(stored)
            elif file.mode.startswith("I"):  # grey with 16 bits, which are all in use
                image = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
            if not is_tiff:  # which OpenCV turns
                image.getexif()[ORIENTATION] = file.getexif().get(ORIENTATION, 1)
            ImageOps.exif_transpose(image, in_place=True)
            if image.has_transparency_data:
                return on_white(np.asarray(image.convert("RGBA")))
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except SourceError:
        raise
    except Exception:  # a damaged file makes the decoders raise whatever they like
        return None


def eight_bits(values: np.ndarray, least_depth: int = 0) -> np.ndarray:
    """Return (H, W) or (H, W, C) uint16 values as uint8, as a viewer that stretches shows them.

    Cameras store 10, 12 or 14 bits as numbers of 16: white is the end of the smallest such range
    that holds all values, and has at least `least_depth` bits. Alpha, which is the last of two or
    four channels, has a range of its own.
    """
    if values.ndim == 3 and values.shape[2] in (2, 4):
        parts = np.split(values, [-1], axis=2)
        return np.concatenate([eight_bits(part, least_depth) for part in parts], axis=2)
    depth = min(16, max(8, least_depth, int(values.max()).bit_length()))
    if depth < 16 and np.array_equal(values >> 8, values & 255):  # 8 bits, stretched before
        depth = 16
    return (values >> (depth + depth % 2 - 8)).astype(np.uint8)


def on_white(image: np.ndarray) -> np.ndarray:
    """Return an (H, W, C) uint8 image, whose last channel is alpha, blended over white.

    C is 2 or 4; the result is (H, W, 3) with the channels in the same order.
    """
    *colours, alpha = cv2.split(image)
    white = cv2.bitwise_not(alpha)
    blended = [cv2.add(cv2.multiply(each, alpha, scale=1 / 255), white) for each in colours]
    return cv2.merge(blended * (3 // len(blended)))


def _stored(encoded: bytes) -> np.ndarray | None:
    """Return (H, W) or (H, W, C) uint8 or uint16 values, RGB; OpenCV turns those of a TIFF only."""
    values = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is not None and values.dtype not in (np.uint8, np.uint16):
        fault = f"has values of type {values.dtype}, of which none is known to be white"
        raise SourceError(f"{fault}; save it with 8 or 16 bits")
    if values is None or values.ndim == 2:
        return values
    order = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(values, order)


def _depth_of_png(encoded: bytes) -> int:
    return encoded[24] if encoded.startswith(PNG) else 0


def _least_depth(file: Image.Image, encoded: bytes) -> int:
    """Return how many bits the values of a PNG or TIFF have at least, as far as it says so."""
    if isinstance(file, TiffImageFile):
        return int(np.max(file.tag_v2.get(LARGEST_VALUE, 0))).bit_length()
    place = encoded.find(b"sBIT", 0, encoded.find(b"IDAT"))
    length = int.from_bytes(encoded[place - 4 : place]) if file.format == "PNG" and place > 0 else 0
    return max(encoded[place + 4 : place + 4 + length], default=0)


def _is_cut_heic(encoded: bytes) -> bool:
    """Tell if the box of the pixels is cut off; missing tiles would be black."""
    box = encoded.find(b"mdat") - 4
    length = int.from_bytes(encoded[box : box + 4], "big")
    if length == 1:
        length = int.from_bytes(encoded[box + 8 : box + 16], "big")
    return box >= 0 and box + length > len(encoded)
