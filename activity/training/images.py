"""One picture file: read with care, decoded by content, or refused with the reason."""

import stat
from pathlib import Path

import numpy as np

from activity.quiet.opencv import MAX_IMAGE_PIXELS, cv2
from activity.training.heic import decode_heic, is_heic, is_readable

# No image is that large, but a film in the wrong folder may be, and files are read whole.
MAX_FILE_BYTES = 2**28
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# With IMREAD_UNCHANGED OpenCV would not turn images as their EXIF orientation says.
TURNED_BUT_UNCHANGED = cv2.IMREAD_COLOR | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH


class UnreadableImageError(Exception):
    """A file is no image that can be used; the message says why."""


def read_image(path: Path) -> tuple[bytes, np.ndarray]:
    """Return a file's bytes and its image, (H, W, 3) uint8 RGB; or raise `UnreadableImageError`."""
    try:
        encoded = _read_file(path)
    except OSError as error:
        raise UnreadableImageError(error.strerror) from error
    heic = is_heic(encoded)
    if heic and not is_readable():
        raise UnreadableImageError("is a HEIC picture; pip install pillow-heif to have them read")
    image = decode_image(encoded)
    if image is None:
        decoder = "pillow-heif" if heic else "OpenCV"
        raise UnreadableImageError(
            f"is no image of at most {MAX_IMAGE_PIXELS:,} pixels that {decoder} can decode"
        )
    return encoded, image


def decode_image(encoded: bytes) -> np.ndarray | None:
    """Decode JPEG, PNG, WebP, GIF, HEIC and whatever OpenCV knows; (H, W, 3) uint8 RGB or None.

    It is turned as its EXIF orientation says. Of an animation it is the first frame. White shows
    through where it is transparent. None stands for a truncated file, too: OpenCV decodes no part
    of it, and half a picture would teach the wrong thing. HEIC needs pillow-heif.
    """
    if is_heic(encoded):
        image = decode_heic(encoded)
        if image is None or image.shape[2] == 3:
            return image
        return _over_white(cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))
    if _is_cut_png(encoded):
        return None
    content = np.frombuffer(encoded, np.uint8)
    try:
        image = cv2.imdecode(content, TURNED_BUT_UNCHANGED)
        if image is None:
            return None
        if image.dtype != np.uint8 or image.ndim == 2:
            return cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
        if image.shape[2] == 4:
            return _over_white(image)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    except cv2.error:  # no bytes at all, or more pixels than OpenCV accepts
        return None


def _read_file(path: Path) -> bytes:
    status = path.stat()
    # Reading a pipe or a socket would wait for ever.
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError("is not a regular file")
    if not status.st_size:
        raise UnreadableImageError("is empty")
    if status.st_size > MAX_FILE_BYTES:
        raise UnreadableImageError(f"has {status.st_size:,} bytes, more than {MAX_FILE_BYTES:,}")
    return path.read_bytes()


def _is_cut_png(encoded: bytes) -> bool:
    """Tell if a PNG ends within a chunk.

    OpenCV 5.0 would take as much memory as the chunk claims to need, up to 4 GB, and then give up.
    """
    place = len(PNG_SIGNATURE)
    if encoded[:place] != PNG_SIGNATURE:
        return False
    while place < len(encoded) and encoded[place + 4 : place + 8] != b"IEND":
        place += 12 + int.from_bytes(encoded[place : place + 4], "big")
    return place > len(encoded)


def _over_white(image: np.ndarray) -> np.ndarray:
    """Return an (H, W, 4) uint8 BGRA image as RGB on a white ground."""
    opacity = cv2.cvtColor(cv2.extractChannel(image, 3), cv2.COLOR_GRAY2RGB)
    colour = cv2.cvtColor(image, cv2.COLOR_BGRA2RGB)
    cv2.multiply(colour, opacity, dst=colour, scale=1 / 255)
    return cv2.add(colour, cv2.bitwise_not(opacity, dst=opacity), dst=colour)
