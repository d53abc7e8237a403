"""Which files there are, and what folders and tables say about them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from activity.errors import UserError, print_error
from activity.folders import files_below
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
    the parts of the split, with the classes below. A class called "none" stands for other things,
    as do all files in the folders `none`. What a table has is as it says. Hidden files are left
    out. Raises `UserError` for a class without a file, or fewer than two classes.
    """
    every = list(labels) == ALL
    rows = [row for table in tables for row in read_table(table, folder)]
    others: list[Annotation] = []
    for each in none:
        if not (files := files_below(each)):
            raise UserError(f"{each} holds 0 files of other things; add pictures of some")
        others += [Annotation(path, NONE) for path in files]
    labelled = {os.path.realpath(each.path) for each in [*rows, *others]}
    found = list(_in_class_folders(folder, labels))
    if labelled:
        found = [each for each in found if os.path.realpath(each.path) not in labelled]
    left_out = Counter[str]()
    for row in rows:
        label = NONE if row.label == NONE_OF_THESE else row.label
        named = every or label in labels or (none and label == NONE)
        if named and label not in ("", UNCERTAIN):
            found.append(replace(row, label=label))
        else:
            left_out[row.label] += 1
    if left_out:
        names = ", ".join(f"{label!r} ({count})" for label, count in left_out.most_common(5))
        print_error("warning", f"rows of tables with other labels are left out: {names}")
    found += others

    counts = Counter(each.label for each in found)
    try:
        check_class_names(list(counts))
    except ValueError as error:
        raise UserError(f"{folder} has a class that cannot be used: {error}; rename it") from error
    for label in [] if every else labels:
        if labels.count(label) > 1:
            raise UserError(f"{label!r} is named twice; name each class once")
        if not counts[label]:
            raise UserError(
                f"{label!r} is no folder with files below {folder}; name the folders to take, or "
                f"'all' to take every one{_hint(folder, tables)}"
            )
    if len(counts) < 2:
        raise UserError(
            f"{' '.join(labels)} makes {len(counts)} class{'' if counts else 'es'} of {folder}, "
            f"but a classifier needs at least two; name more folders{_hint(folder, tables)}"
        )
    found = [replace(each, label=NONE_OF_THESE) if each.label == NONE else each for each in found]
    return list(dict.fromkeys(found))  # a file that is named twice is taken once


def _in_class_folders(folder: Path, labels: Sequence[str]) -> Iterator[Annotation]:
    """Yield the files below a folder with the class, and the part, that their folders say."""
    names = [each.name for each in folder.iterdir() if each.name.lower() in PARTS and each.is_dir()]
    # One alone may be a class: trains are things, too.
    parts = {name: PARTS[name.lower()] for name in names} if len(names) > 1 else {}
    if parts and TRAIN not in parts.values():
        both = " and ".join(sorted(names))
        raise UserError(f"{folder} has {both}, but nothing to train on; add a folder train")
    for path in files_below(folder):
        *above, _ = path.relative_to(folder).parts
        part = parts.get(above[0]) if above else None
        for name in above[1:] if part else above:
            if list(labels) == ALL or name in labels:
                yield Annotation(path, name, part)
                break


def _hint(folder: Path, tables: Sequence[Path]) -> str:
    """Say where the classes seem to be: in folders a level deeper, or in a table beside them."""
    entries = sorted(each for each in folder.iterdir() if each.name[0] != ".")
    folders = [each for each in entries if each.is_dir()]
    beside = [each for each in entries if each.suffix.lower() == ".csv"]
    hint = f"; if {folders[0]} holds the class folders, name that" if len(folders) == 1 else ""
    if beside and not tables:
        hint += f"; if {beside[0]} says which file is what, add --segments {beside[0]}"
    return hint
