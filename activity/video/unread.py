"""How much of a file is not read, as where several files were joined into one."""

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from activity.quiet.pyav import av
from activity.video.boxes import boxes

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
    for box in boxes(content):
        if box.kind in seen:
            return box.begin
        seen |= {box.kind}.intersection(BEGINNINGS)
    return size


def _last_packet(file: Path) -> int:
    """Return the end of the last packet of a file, of any of its streams."""
    end = 0
    with suppress(av.FFmpegError), av.open(file.absolute(), metadata_errors="replace") as container:
        for packet in container.demux():
            end = max(end, (packet.pos or 0) + packet.size)
    return end
