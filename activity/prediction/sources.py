"""Which clips are meant, and what they and the files made from them are called."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from activity.errors import UserError, cannot_be_read

# What a folder is searched for; a file that is named itself may end in anything.
VIDEO_ENDINGS = {
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".ts", ".vob", ".webm", ".wmv",
}  # fmt: skip


def is_stream(source: str) -> bool:
    """Tell whether a source is a camera's number or an address, and not a file."""
    return source.isdecimal() or "://" in source


def names_several(inputs: Sequence[str]) -> bool:
    """Tell whether inputs ask for any number of clips, and not for a certain one."""
    return len(inputs) > 1 or _is_folder(inputs[0]) or _is_pattern(inputs[0])


def find_sources(inputs: Sequence[str]) -> list[str]:
    """Return the sources that inputs name, each once, in the order of the inputs.

    A folder stands for the videos in it, a pattern for the files it matches. Raises `UserError` if
    either finds nothing.
    """
    found: list[str] = []
    for name in inputs:
        if is_stream(name):
            found.append(name)
        elif _is_folder(name):
            try:
                files = sorted(Path(name).iterdir())
            except OSError as error:
                raise cannot_be_read(name, error) from error
            videos = [file for file in files if file.suffix.lower() in VIDEO_ENDINGS]
            if not videos:
                raise UserError(f"{name} is a folder without a video; name one with some", name)
            found += map(str, videos)
        elif _is_pattern(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (absolute ones, too)
            matches = [match for match in matches if not _is_folder(match)]
            if not matches:
                raise UserError(f"{name} matches no file; name another pattern", name)
            found += matches
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def source_names(sources: Sequence[str]) -> list[str]:
    """Return a name for the outputs of each source: of the file, the camera or the host.

    They differ, also where a file system does not tell capital letters from small ones.
    """
    names: list[str] = []
    taken: set[str] = set()
    for source in sources:
        name = stem = _name(source)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def shown(source: str) -> str:
    """Return a source as people may see it: an address without its password."""
    # It ends at the last @ before the path; or later, if it has a / that should have been escaped.
    password = r"(?:[^/?#]*|(?!\d*(?:[/?#]|$)).*)"
    return re.sub(rf"(?<=://)([^/?#@:]*):{password}@", r"\1@", source)


def source_title(source: str) -> str:
    """Return a short name for a source, as in a window's title."""
    return _name(source) if is_stream(source) else Path(source).name


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:
        return False  # the reader says what is wrong with it


def _is_pattern(name: str) -> bool:
    # A file may have brackets in its name.
    return not is_stream(name) and glob.has_magic(name) and not os.path.lexists(name)


def _name(source: str) -> str:
    if source.isdecimal():
        return f"camera{source}"
    if is_stream(source):
        address = urlsplit(shown(source))
        return Path(address.path).stem or address.hostname or "stream"
    return Path(source).stem
