"""How much of a file is not read, as where several files were joined into one."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from activity.quiet.pyav import av

BEGINNINGS = (b"ftyp", b"moov")  # of which a file of MPEG-4 has one each
MPEG4 = (*BEGINNINGS, b"mdat", b"wide", b"free", b"skip", b"pnot")
# Of a file, and bytes: tables at its end, and what recorders append.
NEGLIGIBLE, NEGLIGIBLE_BYTES = 0.15, 2**14


def unread(file: Path, read_to: int | None = None) -> str:
    """Say how much of a file follows the end of what FFmpeg reads; nothing if that is negligible.

    It is what follows the second beginning of an MPEG-4 file, or the last packet of another one;
    `read_to` is the end of that of the video in bytes, None if FFmpeg is known to read on. A file
    that is gone by now has nothing.
    """
    share = 0.0
    with suppress(OSError), file.open("rb") as content:
        size = content.seek(0, 2)
        content.seek(0)
        if content.read(8)[4:] in MPEG4:
            share = 1 - _second_beginning(content, size) / size
        elif read_to is not None and _matters(size - read_to, size):
            # After the video there may be sound, which takes longer to find out.
            rest = size - max(read_to, _last_packet(file))
            share = rest / size if _matters(rest, size) else 0.0
    what = f"its last {share:.0%} are not read; if it is several files in one, split it"
    return what if share else ""


def _matters(rest: int, size: int) -> bool:
    return rest > max(NEGLIGIBLE * size, NEGLIGIBLE_BYTES)


def _second_beginning(content: BinaryIO, size: int) -> int:
    seen: set[bytes] = set()
    for place, kind in _boxes(content, size):
        if kind in seen:
            return place
        seen |= {kind}.intersection(BEGINNINGS)
    return size


def _boxes(content: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the places and kinds of the boxes that an MPEG-4 file is made of."""
    place = 0
    while place < size:
        content.seek(place)
        length, kind, longer = struct.unpack(">I4sQ", content.read(16).ljust(16, b"\0"))
        yield place, kind
        place = size if length == 0 else place + max(8, longer if length == 1 else length)


def _last_packet(file: Path) -> int:
    """Return the end of the last packet of a file, of any of its streams."""
    end = 0
    with suppress(av.FFmpegError), av.open(file.absolute(), metadata_errors="replace") as container:
        for packet in container.demux():
            end = max(end, (packet.pos or 0) + packet.size)
    return end
