"""HEIC, the pictures of phones: read by pillow-heif, where it is installed, not by OpenCV."""

from importlib.util import find_spec

import numpy as np

from activity.quiet.opencv import MAX_IMAGE_PIXELS

# Pictures coded as HEVC. Those of AVIF are in the same kind of file, and OpenCV decodes them.
BRANDS = {b"heic", b"heix", b"heim", b"heis"}


def is_heic(encoded: bytes) -> bool:
    """Tell if a file says of itself that it is a HEIC picture."""
    if encoded[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(encoded[:4], "big"), len(encoded), 1024)
    return not BRANDS.isdisjoint(encoded[place : place + 4] for place in range(8, end, 4))


def is_readable() -> bool:
    """Tell if pillow-heif is installed."""
    return find_spec("pillow_heif") is not None


def decode_heic(encoded: bytes) -> np.ndarray | None:
    """Decode a HEIC picture with pillow-heif, (H, W, 3) uint8 RGB or (H, W, 4) RGBA.

    It is turned as the file says by its own means; its EXIF orientation only repeats that. None if
    it is truncated, damaged or larger than `MAX_IMAGE_PIXELS`.
    """
    from pillow_heif import open_heif

    if _is_cut(encoded):
        return None
    try:
        picture = open_heif(encoded)
        width, height = picture.size
        if width * height > MAX_IMAGE_PIXELS:
            return None
        if picture.premultiplied_alpha:
            return np.array(picture.to_pillow().convert("RGBA"))
        image = np.array(picture)
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError):
        return None
    if image.dtype == np.uint16:  # grey only: colours come with 8 bits
        image = (image >> 8).astype(np.uint8)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _is_cut(encoded: bytes) -> bool:
    """Tell if a HEIC picture ends within the box of its pixels.

    Phones cut a picture into tiles, and pillow-heif would leave those black that are missing.
    """
    place = 0
    while place < len(encoded):
        length = int.from_bytes(encoded[place : place + 4], "big")
        if length == 1:
            length = int.from_bytes(encoded[place + 8 : place + 16], "big")
        if encoded[place + 4 : place + 8] == b"mdat" and place + length > len(encoded):
            return True
        if length < 8:  # no box, or the last one, which is as long as the file
            return False
        place += length
    return False
