"""The boxes that an MPEG-4 file is made of."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple


class Box(NamedTuple):
    """A box at the top of a file: where it is in it, in bytes, by what it says of itself."""

    kind: bytes
    begin: int
    end: int  # after that of the file if it was cut off


def boxes(content: BinaryIO) -> Iterator[Box]:
    """Yield the boxes of an MPEG-4 file, in order."""
    size, end = content.seek(0, 2), 0
    while end < size:
        begin = end
        content.seek(begin)
        length, kind, longer = struct.unpack(">I4sQ", content.read(16).ljust(16, b"\0"))
        goes_to_the_end = length == 0 and any(kind)  # and is not what a full disk left behind
        end = size if goes_to_the_end else begin + max(8, longer if length == 1 else length)
        yield Box(kind, begin, end)
