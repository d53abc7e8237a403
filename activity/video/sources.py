"""Which clips are meant, and what they and the files made from them are called."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from activity.errors import UserError, cannot_be_read
from activity.text import natural_order

# What a folder is searched for; a file that is named itself may end in anything.
VIDEO_ENDINGS = {
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2ts", ".m2v",
    ".m4v", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
    ".vob", ".webm", ".wmv",
}  # fmt: skip
PICTURE_ENDINGS = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def camera_number(source: str) -> int | None:
    """Return the number of a camera, given as such or as a device of Linux, else None."""
    if source.isdecimal():
        return int(source)
    # /dev/v4l/by-id/ has links to the devices.
    device = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(source))
    return int(device[1]) if device else None


def is_address(source: str) -> bool:
    """Tell whether a source is the address of a stream, and not a file or a camera."""
    return "://" in source


def is_read_once(source: str) -> bool:
    """Tell whether a source is a camera, a stream or a pipe, whose frames come only once."""
    if camera_number(source) is not None or is_address(source):
        return True
    try:
        return Path(source).is_fifo()
    except OSError:
        return False  # the reader says what is wrong with it


def numbered_pictures(source: str) -> list[Path]:
    """Return the pictures that make one clip, in their order; none if a source is none of these.

    It is a pattern that matches pictures only, such as frames/*.png, or a name with a place for a
    number, such as frames/%04d.png.
    """
    path = Path(source)
    if is_address(source) or path.suffix.lower() not in PICTURE_ENDINGS or os.path.lexists(source):
        return []
    place = re.fullmatch(r"(.*)%0?\d*d(.*)", path.name)
    if place:
        name = re.compile(rf"{re.escape(place[1])}\d+{re.escape(place[2])}")
        found = [file for file in path.parent.glob("*") if name.fullmatch(file.name)]
    elif glob.has_magic(source):
        found = [Path(file) for file in glob.glob(source, recursive=True)]  # noqa: PTH207
    else:
        return []
    return sorted(sorted(found), key=lambda file: natural_order(str(file)))


def names_several(inputs: Sequence[str]) -> bool:
    """Tell whether inputs ask for any number of clips, and not for a certain one."""
    name = inputs[0]
    return (
        len(inputs) > 1 or _is_folder(name) or (_is_pattern(name) and not numbered_pictures(name))
    )


def find_sources(inputs: Sequence[str]) -> list[str]:
    """Return the sources that inputs name, each once, in the order of the inputs.

    A folder stands for the videos in it, or if it holds none itself for those in the folders below
    it; a pattern for the files it matches. Raises `UserError` if either finds nothing.
    """
    found: list[str] = []
    for name in inputs:
        if is_address(name) or numbered_pictures(name):
            found.append(name)
        elif _is_folder(name):
            found += map(str, _videos_in(name) or _videos_below(name))
        elif _is_pattern(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (absolute ones, too)
            matches = [match for match in matches if not _is_folder(match)]
            if not matches:
                raise UserError(f"{name} matches no file; name another pattern", name)
            found += matches
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def holds_no_video_itself(name: str) -> bool:
    """Tell whether an input is a folder that stands for the videos in the folders below it."""
    return _is_folder(name) and not _videos_in(name)


def find_archived(inputs: Sequence[str]) -> dict[str, str]:
    """Return the absolute paths of the video files that inputs name, with names for their outputs.

    A folder stands for all videos in it and below it, and their names are paths from there, so that
    they stay what they are when the archive grows. Raises `UserError` for what is no file.
    """
    found: dict[str, str] = {}
    absolute = os.path.abspath  # which keeps links as they are
    for name in inputs:
        if _is_folder(name):
            files = sorted(filter(_is_video, _files_below(name)))
            found |= {absolute(file): str(file.relative_to(name)) for file in files}
            continue
        for source in find_sources([name]):
            if camera_number(source) is not None or is_address(source) or numbered_pictures(source):
                raise UserError(
                    f"{shown(source)} is no video file; an archive has only those", name
                )
            found[absolute(source)] = Path(source).name
    if not found:
        raise UserError(f"{inputs[0]} is a folder without a video; name one with some", inputs[0])
    return found


def source_names(sources: Sequence[str], reserved: Iterable[str] = ()) -> list[str]:
    """Return a name for the outputs of each source: of the file, the camera or the host.

    They differ, also where a file system does not tell capital letters from small ones, and none is
    a `reserved` one.
    """
    names: list[str] = []
    taken = set(reserved)
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
    is_camera = camera_number(source) is not None
    return _name(source) if is_camera or is_address(source) else Path(source).name


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:
        return False  # the reader says what is wrong with it


def _videos_in(folder: str) -> list[Path]:
    """Return the videos that a folder itself holds, sorted."""
    try:
        return sorted(filter(_is_video, Path(folder).iterdir()))
    except OSError as error:
        raise cannot_be_read(folder, error) from error


def _videos_below(folder: str) -> list[Path]:
    """Return the videos in the folders below one that holds none itself, sorted."""
    files = list(_files_below(folder))
    videos = sorted(filter(_is_video, files))
    if not videos:
        endings = {file.suffix for file in files if file.parent == Path(folder)} & PICTURE_ENDINGS
        what = (
            f"of pictures; name them as '{folder}/*{min(endings)}'"
            if endings
            else "without a video; name one with some"
        )
        raise UserError(f"{folder} is a folder {what}", folder)
    return videos


def _files_below(folder: str) -> Iterator[Path]:
    """Yield the files below a folder, at any depth, leaving out those in hidden folders.

    Links to folders are followed; each folder is entered once, as a link may lead back.
    """

    def refuse(error: OSError) -> NoReturn:
        raise cannot_be_read(error.filename, error, folder) from error

    entered: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in names)


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in VIDEO_ENDINGS


def _is_pattern(name: str) -> bool:
    # A file may have brackets in its name.
    return not is_address(name) and glob.has_magic(name) and not os.path.lexists(name)


def _name(source: str) -> str:
    camera = camera_number(source)
    if camera is not None:
        return f"camera{camera}"
    if numbered_pictures(source):
        path = Path(source)
        # frames/0001.png is a frame of "frames", and frames/shot_0001.png one of "shot".
        stem = re.split(r"[%*?\[]", path.stem)[0].rstrip("-_. ")
        return stem or path.absolute().parent.name or "pictures"
    if is_address(source):
        address = urlsplit(shown(source))
        return Path(address.path).stem or address.hostname or "stream"
    return Path(source).stem
