"""What a file holds, a video or a picture: one rule for training, labelling and archives."""

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

# What is called so is meant as one, even if it is damaged; all else is known by its content.
VIDEO_ENDINGS = {
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob",
    ".webm", ".wmv",
}  # fmt: skip
PICTURE_ENDINGS = {
    ".avif", ".bmp", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif",
    ".tiff", ".webp",
}  # fmt: skip
MOTION_JPEG = {".mjpeg", ".mjpg"}
TYPESCRIPT = ".ts"  # or a transport stream, which is no text
HEAD = 4096  # bytes, which tell what a file is
PNG, GIF, JPEG = b"\x89PNG", b"GIF8", b"\xff\xd8\xff"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PICTURES = (
    PNG, GIF, JPEG, b"BM", *TIFF, b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
)  # fmt: skip
HEIC = {b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftypmif1"}  # after four bytes
HEIF = HEIC | {b"ftypavif", b"ftypavis"}
APPLEDOUBLE = b"\0\5\x16\7"
TERMINAL = "tty"  # FFmpeg's name for text that is drawn

Kind = Literal["video", "picture"]


def kind_of(file: Path) -> Kind | None:
    """Tell what a file holds; None for neither. A GIF or PNG that moves is a video."""
    head, ending = _head(file), file.suffix.lower()
    if head.startswith(APPLEDOUBLE):
        return None
    is_text = bool(head) and _is_text(head)
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    is_heif = head[4:12] in HEIF
    if not is_text and (head.startswith(PICTURES) or is_webp or is_heif):
        may_move = (
            head.startswith(GIF)
            or (head.startswith(PNG) and b"acTL" in head)
            or (head.startswith(JPEG) and ending in MOTION_JPEG)
        )
        return "video" if may_move and _moves(file) else "picture"
    if ending in VIDEO_ENDINGS and not (is_text and ending == TYPESCRIPT):
        return "video"
    if ending in PICTURE_ENDINGS:
        return "picture"
    return "video" if head and not is_text and _moves(file) else None


def is_sidecar(file: Path) -> bool:
    """Tell whether a file is what a Mac keeps beside another one, as ._clip.mp4, on other disks."""
    return _head(file).startswith(APPLEDOUBLE)


def _head(file: Path) -> bytes:
    # That a file is missing is for its reader to tell; a pipe would be waited for.
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as content:
                return content.read(HEAD)
    return b""


def _is_text(head: bytes) -> bool:
    # Its last letter may be cut off.
    return b"\0" not in head and "\ufffd" not in head.decode(errors="replace")[:-1]


def _moves(file: Path) -> bool:
    """Tell whether FFmpeg finds two pictures in a file that are no cover of music."""
    from activity.quiet.pyav import COVERS, av  # here, as most files are known without

    try:
        with av.open(file.absolute(), metadata_errors="replace") as container:
            if container.format.name == TERMINAL:
                return False
            for stream in container.streams.video:
                if not stream.disposition & COVERS:
                    packets = (packet for packet in container.demux(stream) if packet.size)
                    return len(list(islice(packets, 2))) == 2
    except (av.FFmpegError, ValueError):
        pass
    return False
