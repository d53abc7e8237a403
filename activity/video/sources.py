"""Which clips are meant, and what they and the files made from them are called."""

import glob
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from activity.errors import UserError, print_error
from activity.folders import files_below
from activity.text import natural_order
from activity.video.content import PICTURE_ENDINGS, is_sidecar, kind_of

# What videos and pictures that predict_video.py wrote end in: the next run passes them over.
OWN_MARK = b"labelled by activity-recognition"
STDIN = "/dev/stdin"
NAMED = 3  # of the files that are passed over


def camera_number(source: str) -> int | None:
    """Return the number of a camera, given as such or as a device of Linux, else None."""
    if source.isdecimal():
        return int(source)
    # /dev/v4l/by-id/ has links to the devices.
    device = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(source))
    return int(device[1]) if device else None


def local_source(text: str) -> str:
    """Return what users write for a source as other functions know it.

    That is a path for `file://` and what stands for it in an address, as %20, and for `-`.
    """
    if text == "-":
        return STDIN
    address = urlsplit(text)
    return unquote(address.path) if address.scheme.lower() == "file" else text


def is_address(source: str) -> bool:
    """Tell whether a source is the address of a stream, and not a file or a camera."""
    return "://" in source


def is_read_once(source: str) -> bool:
    """Tell whether a source is a camera, a stream or a pipe, whose frames come only once."""
    if camera_number(source) is not None or is_address(source) or source == STDIN:
        return True
    with suppress(OSError):  # the reader says what is wrong with it
        return Path(source).is_fifo()
    return False


def is_picture(source: str) -> bool:
    """Tell whether a source is a file with a single picture."""
    is_file = camera_number(source) is None and not is_address(source)
    return is_file and os.path.lexists(source) and kind_of(Path(source)) == "picture"


def pictures_of(source: str) -> list[Path]:
    """Return the pictures that make one clip, in their order; none for any other source.

    It is a picture, a pattern for pictures only, as frames/*.png, or has a place for numbers, as
    %04d.png.
    """
    path = Path(source)
    if is_picture(source):
        return [path]
    if is_address(source) or path.suffix.lower() not in PICTURE_ENDINGS or os.path.lexists(source):
        return []
    if place := re.fullmatch(r"(.*)%0?\d*d(.*)", path.name):
        name = re.compile(rf"{re.escape(place[1])}\d+{re.escape(place[2])}")
        found = [file for file in path.parent.glob("*") if name.fullmatch(file.name)]
    else:
        found = [Path(file) for file in glob.glob(source, recursive=True)]  # noqa: PTH207
    return sorted(found, key=lambda file: (natural_order(str(file)), file))


def names_several(inputs: Sequence[str]) -> bool:
    """Tell whether inputs ask for any number of clips, and not for a certain one."""
    return len(inputs) > 1 or _is_folder(inputs[0]) or _is_pattern(inputs[0])


def find_sources(inputs: Sequence[str], reserved: Collection[str] = ()) -> dict[str, str]:
    """Return the sources that inputs name, each once, in order, with names for their outputs.

    A folder stands for all videos in it and below it, a pattern for the files it matches; videos
    that this program wrote are passed over in both. A folder's video is named by its path from
    there without its ending, as day1/clip. Names differ in more than case, and none is a `reserved`
    one. Raises `UserError` if an input names nothing.
    """
    found: dict[str, str] = {}
    known: set[object] = set()
    taken = {name.casefold() for name in reserved}
    for each in inputs:
        if len(inputs) > 1 and is_sidecar(Path(each)):
            print_error("note", f"passed over, as a Mac's notes on another file: {each}")
            continue
        for source, stem in _sources_of(each).items():
            # One folder may be reached in several ways, as through links.
            path = Path(source)
            place = source if is_address(source) else (os.path.realpath(path.parent), path.name)
            if place in known:
                continue
            name, number = stem, 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            known.add(place)
            taken.add(name.casefold())
            found[source] = name
    return found


def is_own(file: Path) -> bool:
    """Tell whether predict_video.py wrote a file; it did not write one that cannot be read."""
    with suppress(OSError):  # as for one that is shorter
        if file.is_file():
            with file.open("rb") as content:
                content.seek(-len(OWN_MARK), os.SEEK_END)
                return content.read() == OWN_MARK
    return False


def redacted(source: str) -> str:
    """Return a source as people may see it: an address without its password."""
    # It ends at the last @ before the path; or later, if it has a / that should have been escaped.
    password = r"(?:[^/?#]*|(?!\d*(?:[/?#]|$)).*)"
    return re.sub(rf"(?<=://)([^/?#@:]*):{password}@", r"\1@", source)


def source_title(source: str) -> str:
    """Return a short name for a source, as in a window's title."""
    is_file = camera_number(source) is None and not is_address(source)
    return Path(source).name if is_file else _name(source)


def _sources_of(name: str) -> dict[str, str]:
    """Return the sources that one input names, and their names, which need not differ."""
    folder = Path(name) if _is_folder(name) else None
    if folder:
        name = str(folder)
        found = files_below(folder)
    elif _is_pattern(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (absolute ones, too)
        found = [Path(match) for match in matches if not _is_folder(match)]
        if not found:
            raise UserError(f"{name} matches no file; name another pattern")
    else:
        return {name: _name(name)}
    files = _usable(name, found)
    if not folder:
        return {str(file): _name(str(file)) for file in files}
    paths = {str(file): str(file.relative_to(folder)) for file in files}
    stems = {source: path.removesuffix(Path(path).suffix) for source, path in paths.items()}
    counts = Counter(map(str.casefold, stems.values()))
    return {
        source: stem if counts[stem.casefold()] == 1 else paths[source]
        for source, stem in stems.items()
    }


def _usable(name: str, files: Sequence[Path]) -> list[Path]:
    """Return the videos and pictures among the files of a folder or pattern; say what is not."""
    usable, own, others, pictures = [], 0, [], []
    for file in files:
        kind = kind_of(file)
        if kind and is_read_once(str(file)):  # it would be waited for
            print_error("warning", f"{file} is left out: it is a pipe; name it to have it read")
        elif is_own(file):
            own += 1
        elif kind:
            usable.append(file)
            pictures += [file] * (kind == "picture")
        else:
            others.append(file.name)
    if not usable and own:
        raise UserError(f"{name} has only what predict_video.py wrote; name other files")
    if not usable:
        raise UserError(f"{name} holds no videos or pictures; name others")
    if own:
        print_error("note", f"passed over in {name}: files that predict_video.py wrote: {own}")
    if others:
        names = ", ".join(others[:NAMED]) + ", …" * (len(others) > NAMED)
        what = f"files that are no videos or pictures: {len(others)} ({names})"
        print_error("note", f"passed over in {name}: {what}")
    if len(pictures) > 1:
        pattern = pictures[0].with_name(f"*{pictures[0].suffix}")
        print_error("note", f"each picture is labelled; '{pattern}' makes them frames of one clip")
    return usable


def _is_folder(name: str) -> bool:
    return os.path.isdir(name)  # noqa: PTH112 (pathlib's raises where a name is too long)


def _is_pattern(name: str) -> bool:
    """Tell whether a name stands for any number of files; a file may have brackets in its name."""
    special = is_address(name) or os.path.lexists(name) or pictures_of(name)
    return glob.has_magic(name) and not special


def _name(source: str) -> str:
    camera = camera_number(source)
    if camera is not None:
        return f"camera{camera}"
    if pictures_of(source):
        path = Path(source)
        # frames/0001.png is a frame of "frames", and frames/shot_0001.png one of "shot".
        stem = re.split(r"[%*?\[]", path.stem)[0].rstrip("-_. ")
        return stem or path.absolute().parent.name or "pictures"
    if is_address(source):
        address = urlsplit(redacted(source))
        return Path(address.path).stem or address.hostname or "stream"
    return Path(source).stem
