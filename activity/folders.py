"""The files below a folder, by one rule for training and prediction."""

import os
from collections.abc import Sequence
from pathlib import Path

from activity.errors import cannot_be_read, print_error
from activity.quiet import opencv  # noqa: F401 (imutils imports OpenCV, too)


def files_below(folder: Path, entered_from: Sequence[Path] = ()) -> list[Path]:
    """List the files below a folder, at any depth, sorted as text; hidden ones are left out.

    Links to folders are followed. One that leads back to a folder on the way to it is left out with
    a warning, as is a folder that cannot be read; `entered_from` has the real folders of the links
    that led to this folder. Raises `UserError` if `folder` itself cannot be read.
    """
    from imutils.paths import list_files  # here, as it takes 20 ms that single files do without

    def leave_out(error: OSError) -> None:
        if error.filename == str(folder) and not entered_from:
            raise cannot_be_read(folder, error) from error
        print_error("warning", f"{error.filename} is left out: {error.strerror}")

    files = map(Path, list_files(str(folder)))
    found = [file for file in files if "/." not in f"/{file.relative_to(folder)}"]
    # `list_files` skips links to folders, and unreadable folders without a word.
    for place, folders, _ in os.walk(folder, onerror=leave_out):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for link in (path for name in folders if (path := Path(place, name)).is_symlink()):
            way = [*entered_from, link.parent.resolve()]
            if any(each.is_relative_to(link.resolve()) for each in way):
                print_error("warning", f"{link} is left out: it leads back to where it stands")
            else:
                found += files_below(link, way)
    return sorted(found, key=str)  # the order in which the tutorial splits them
