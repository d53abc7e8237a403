"""One picture file: read with care, decoded by content, or refused with the reason."""

import stat
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from activity.errors import SourceError
from activity.quiet.opencv import MAX_IMAGE_PIXELS, cv2

MAX_FILE_BYTES = 2**28  # no image is that large, but a video in the wrong folder may be
# JPEG and TIFF, which OpenCV decodes: the one faster than Pillow, the other in silence.
BY_OPENCV = (b"\xff\xd8\xff", b"II*\0", b"MM\0*")
BY_PILLOW = ["PNG", "GIF", "WEBP", "AVIF", "BMP", "JPEG2000", "PPM"]
HEIC = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftypmif1")  # after four bytes
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
    if (image := decode_image(encoded)) is not None:
        return encoded, image
    if encoded[4:12] in HEIC and "HEIF" not in BY_PILLOW:
        raise SourceError(f"{path} is a HEIC picture; pip install pillow-heif to have them read")
    limit = f"{MAX_IMAGE_PIXELS:,} pixels"
    raise SourceError(f"{path} is no image of at most {limit} that can be decoded")


def decode_image(encoded: bytes) -> np.ndarray | None:
    """Decode JPEG, PNG, WebP, GIF, AVIF, HEIC (with pillow-heif), TIFF, BMP, JPEG 2000 or PNM.

    Returns (H, W, 3) uint8 RGB, read-only, turned as EXIF says, white where it is transparent; of
    an animation the first frame. A truncated file gives None: half a picture would teach nonsense.
    """
    try:
        if encoded.startswith(BY_OPENCV):
            return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        with Image.open(BytesIO(encoded), formats=BY_PILLOW) as file:
            too_large = file.width * file.height > MAX_IMAGE_PIXELS
            if too_large or (file.format == "HEIF" and _is_cut_heic(encoded)):
                return None
            ImageOps.exif_transpose(file, in_place=True)
            if file.mode.startswith("I"):  # grey with 16 bits, which Pillow would clip
                return np.repeat((np.asarray(file) >> 8).astype(np.uint8)[..., None], 3, axis=2)
            if not file.has_transparency_data:
                return np.asarray(file if file.mode == "RGB" else file.convert("RGB"))
            image, ground = file.convert("RGBA"), Image.new("RGB", file.size, "white")
            ground.paste(image, mask=image)
            return np.asarray(ground)
    except Exception:  # a damaged file makes the decoders raise whatever they like
        return None


def _is_cut_heic(encoded: bytes) -> bool:
    """Tell if the box of the pixels is cut off; missing tiles would be black."""
    box = encoded.find(b"mdat") - 4
    length = int.from_bytes(encoded[box : box + 4], "big")
    if length == 1:
        length = int.from_bytes(encoded[box + 8 : box + 16], "big")
    return box >= 0 and box + length > len(encoded)
