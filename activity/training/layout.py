"""Which files there are, and what folders and tables say about them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from activity.quiet import opencv  # noqa: F401 (imutils imports OpenCV, too)

# isort: split
from imutils.paths import list_files

from activity.errors import UserError, print_error
from activity.label_file import NONE_OF_THESE, UNCERTAIN, check_class_names
from activity.training.annotations import PARTS, TRAIN, Annotation, read_table

ALL = ["all"]  # the labels that stand for those of every folder and table
NONE = "none"  # what users call the class of other things


def find_annotations(
    folder: Path, labels: Sequence[str], none: Sequence[Path] = (), tables: Sequence[Path] = ()
) -> list[Annotation]:
    """List the files below `folder` and in `tables`, each with its label.

    The class of a file is the first folder on the way to it that has the name of one of `labels`,
    or, if these are `ALL`, the first one. Folders called train, val and test, any two of them, are
    the parts of the split, and classes are below. A class called "none" stands for other things,
    and so does what lies in the folders `none`, wherever they are. What a table has is as it says.
    Hidden files and folders are left out. Raises `UserError` for a class without a file, or fewer
    than two classes.
    """
    rows = [row for table in tables for row in read_table(table, folder)]
    listed = _wanted(rows, labels, none)
    others = [Annotation(path, NONE_OF_THESE) for each in none for path in _other_things(each)]
    taken = {os.path.realpath(each.path) for each in rows + others}
    found = [
        each
        for each in _in_class_folders(folder, labels)
        if not taken or os.path.realpath(each.path) not in taken
    ]
    counts = Counter(each.label for each in found + listed)
    try:
        check_class_names(list(counts))
    except ValueError as error:
        raise UserError(
            f"{folder} has a class that cannot be: {error}; rename it", folder
        ) from error
    for label in [] if list(labels) == ALL else labels:
        if labels.count(label) > 1:
            raise UserError(f"{label!r} is named twice; name each class once", "labels")
        if not counts[label]:
            raise UserError(
                f"{label!r} is no folder with files below {folder}; name the folders to take, or "
                f"'all' to take every one{_hint(folder)}",
                "labels",
            )
    if len(counts) + bool(others) < 2:
        raise UserError(
            f"{' '.join(labels)} makes {len(counts)} class{'' if counts else 'es'} of {folder}, "
            f"but a classifier needs at least two; name more folders{_hint(folder)}",
            "labels",
        )
    named = [
        replace(each, label=NONE_OF_THESE) if each.label == NONE else each
        for each in found + listed
    ]
    return list(dict.fromkeys(named + others))


def tables_in(folder: Path) -> list[Path]:
    """Return the CSV tables in a folder, which may say what its files are."""
    return sorted(each for each in folder.iterdir() if each.suffix.lower() == ".csv")


def _in_class_folders(folder: Path, labels: Sequence[str]) -> Iterator[Annotation]:
    """Yield the files below a folder with the class, and the part, that their folders say."""
    parts = _part_folders(folder)
    for path in _files_below(folder):
        above = path.relative_to(folder).parts[:-1]
        part = parts.get(above[0]) if above else None
        classes = above[1:] if part else above
        if list(labels) != ALL:
            classes = tuple(name for name in classes if name in labels)
        if classes:
            yield Annotation(path, classes[0], part)


def _part_folders(folder: Path) -> dict[str, str]:
    """Return the parts of a split that a folder consists of, by the names of their folders."""
    parts = {
        each.name: PARTS[each.name.lower()]
        for each in folder.iterdir()
        if each.name.lower() in PARTS and each.is_dir()
    }
    if len(parts) < 2:  # it may be a class: trains are things, too
        return {}
    if TRAIN not in parts.values():
        names = " and ".join(sorted(parts))
        raise UserError(
            f"{folder} has {names}, but nothing to train on; add a folder train", folder
        )
    return parts


def _wanted(
    rows: Sequence[Annotation], labels: Sequence[str], none: Sequence[Path]
) -> list[Annotation]:
    """Return the rows of a table with a label that is asked for; warn of the others."""

    def is_wanted(row: Annotation) -> bool:
        if row.label in (NONE, NONE_OF_THESE):
            return bool(none) or list(labels) == ALL or NONE in labels
        return row.label not in ("", UNCERTAIN) and (list(labels) == ALL or row.label in labels)

    left_out = Counter(row.label for row in rows if not is_wanted(row))
    if left_out:
        names = ", ".join(f"{label!r} ({count})" for label, count in left_out.most_common(5))
        print_error("warning", f"rows of tables with other labels are left out: {names}")
    return [
        replace(row, label=NONE) if row.label == NONE_OF_THESE else row
        for row in rows
        if is_wanted(row)
    ]


def _hint(folder: Path) -> str:
    """Say so where the class folders seem to be a level deeper."""
    folders = [each for each in folder.iterdir() if each.is_dir() and each.name[0] != "."]
    return f"; if {folders[0]} holds the class folders, name that" if len(folders) == 1 else ""


def _other_things(folder: Path) -> list[Path]:
    files = _files_below(folder)
    if not files:
        raise UserError(f"{folder} holds 0 files of other things; add pictures of some", folder)
    return files


def _files_below(folder: Path, above: frozenset[str] = frozenset()) -> list[Path]:
    """List the files below a folder, at any depth, sorted; hidden ones are left out.

    Links to folders are followed, but not to one of those `above`, by their real paths.
    """

    def is_visible(path: Path) -> bool:
        return not any(part.startswith(".") for part in path.relative_to(folder).parts)

    def warn(error: OSError) -> None:
        if is_visible(Path(error.filename)):
            print_error("warning", f"{error.filename} is left out: {error.strerror}")

    found = [path for name in list_files(str(folder)) if is_visible(path := Path(name))]
    # `list_files` passes over a folder that it may not read in silence, and over links to folders.
    for name, folders, _ in os.walk(folder, onerror=warn):
        for link in (Path(name, each) for each in folders):
            if not (link.is_symlink() and is_visible(link)):
                continue
            way = above | {os.path.realpath(each) for each in [folder, *_between(folder, link)]}
            if os.path.realpath(link) in way:
                print_error("warning", f"{link} is left out: it leads back to where it stands")
            else:
                found += _files_below(link, way)
    return sorted(found, key=str)  # as text, in which order the tutorial splits them


def _between(folder: Path, below: Path) -> list[Path]:
    """List the folders on the way from one to what lies below it."""
    return [each for each in below.parents if each.is_relative_to(folder)]
