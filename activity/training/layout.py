"""Which files there are, and what folders and tables say about them."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache
from pathlib import Path

from activity.errors import UserError, print_error
from activity.folders import files_below
from activity.label_file import NONE_OF_THESE, UNCERTAIN, check_class_names
from activity.training.annotations import TEST, TRAIN, Annotation, part_of
from activity.training.tables import read_table, say_overlaps

ALL = ["all"]  # the labels that stand for those of every folder and table
MOST = 5  # places, or labels, that are named
NONE = "none"  # what users call the class of other things


def find_annotations(
    folder: Path, labels: Sequence[str], none: Sequence[Path] = (), tables: Sequence[Path] = ()
) -> list[Annotation]:
    """List the files below `folder` and in `tables`, each with its label.

    The class of a file is the first folder on the way to it that has the name of one of `labels`,
    or, if these are `ALL`, the first one. Folders called train and test, or alike, are the parts of
    the split, with the classes below. A class called "none" stands for other things, as do all
    files in the folders `none`. What a table has is as it says. Hidden files are left out, others
    that have no class with a note. Raises `UserError` for a class without a file or with nothing to
    train on, for names that differ in case or blanks only, and for fewer than two classes.
    """
    every = list(labels) == ALL
    rows = [row for table in tables for row in read_table(table, folder)]
    others: list[Annotation] = []
    for each in none:
        if not (files := files_below(each)):
            raise UserError(f"{each} holds 0 files of other things; add pictures of some")
        others += [Annotation(path, NONE) for path in files]
    labelled = {os.path.realpath(each) for each in [*(e.path for e in [*rows, *others]), *tables]}
    found, other_folders = _in_class_folders(folder, labels, labelled)
    left_out = Counter[str]()
    for row in rows:
        label = NONE if row.label == NONE_OF_THESE else row.label
        named = every or label in labels or (none and label == NONE)
        if named and label not in ("", UNCERTAIN):
            found.append(replace(row, label=label))
        else:
            left_out[row.label] += 1
    if left_out:
        names = ", ".join(f"{label!r} ({count})" for label, count in left_out.most_common(MOST))
        print_error("warning", f"rows of tables with other labels are left out: {names}")
    found += others
    say_overlaps(found)

    counts = Counter(each.label for each in found)
    try:
        check_class_names(list(counts))
    except ValueError as error:
        raise UserError(f"{folder} has a class that cannot be used: {error}; rename it") from error
    spelt = {_spelling(each): each for each in [*other_folders, *left_out]}
    for label in dict.fromkeys([*counts, *([] if every else labels)]):
        if (other := spelt.setdefault(_spelling(label), label)) != label:
            raise UserError(
                f"{other!r} and {label!r} differ in case, blanks or the form of letters only; "
                "give the class one name"
            )
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
    _check_test_part(found)
    return list(dict.fromkeys(found))  # a file that is named twice is taken once


def _in_class_folders(
    folder: Path, labels: Sequence[str], labelled: AbstractSet[str]
) -> tuple[list[Annotation], set[str]]:
    """List the files below a folder with the class, and the part, that their folders say.

    Those whose real paths are `labelled` are left out. Also return the names of the folders with
    files that are none of the `labels`.
    """
    every = list(labels) == ALL

    @cache
    def parts_in(place: Path) -> dict[str, tuple[str | None, str]]:
        return _parts_in(place, labels)

    top = folder  # unzipped archives may be a folder deeper
    while not parts_in(top) and len(inside := _folders_in(top)) == 1 and inside[0] not in labels:
        top /= inside[0]
    top = top if parts_in(top) else folder
    found: list[Annotation] = []
    left_out, other_folders = Counter[Path](), set[str]()
    called: dict[str | None, set[str]] = {TRAIN: set(), TEST: set()}  # the parts that have files
    for path in files_below(folder):
        if labelled and os.path.realpath(path) in labelled:
            continue
        place, split, names = folder, None, list[str]()
        for name in path.parent.relative_to(folder).parts:
            if not split and name in parts_in(place):
                split, part_name = parts_in(place)[name], name
            elif names or not (
                top.is_relative_to(place / name) or (split and _says_no_more(place, name, split))
            ):
                names.append(name)
            place /= name
        beside = bool(parts_in(top)) and not split
        label = next((n for n in names if (not beside if every else n in labels)), None)
        if label:
            found.append(Annotation(path, label, split and split[0]))
            if split:
                called[split[0]].add(part_name)
        elif beside or not names:
            left_out[top / names[0] if names else path.parent] += 1
        else:
            other_folders.update(names)
    if left_out:
        places = ", ".join(f"{place} ({count})" for place, count in left_out.most_common(MOST))
        more = f" and {len(left_out) - MOST} more places" if len(left_out) > MOST else ""
        print_error("note", f"files in no class folder are left out: {places}{more}")
    if called[TEST]:
        trained, tested = (", ".join(sorted(called[part])) for part in (TRAIN, TEST))
        print_error("note", f"the folders make the split: trained on {trained}, tested on {tested}")
    elif tests := [top / name for name, (part, _) in parts_in(top).items() if part == TEST]:
        both = " and ".join(map(str, tests))
        loose = any(place.is_relative_to(each) for place in left_out for each in tests)
        if not (loose or labelled):
            raise UserError(f"{both} has nothing of the classes to test on; add some, or remove it")
        print_error("note", f"{both} holds nothing with a class, so it is not the test part")
        found = [replace(each, part=None) for each in found]
    return found, other_folders


def _parts_in(place: Path, labels: Sequence[str]) -> dict[str, tuple[str | None, str]]:
    """Return the folders in a folder that are the parts of a split, with what their names say.

    One alone may be a class: trains are things, too. So may those that `labels` name, and those
    that are about different things, as training and test_match, and hold different folders.
    """
    named = {name: part_of(name) for name in _folders_in(place) if name not in labels}
    named = {name: split for name, split in named.items() if split[0]}
    inside = {name: set(_folders_in(place / name)) for name in named}
    parts = {
        name: split
        for name, split in named.items()
        for other in named
        if name != other and (split[1] == named[other][1] or inside[name] & inside[other])
    }
    kinds = {part for part, _ in parts.values()}
    if TEST in kinds and TRAIN not in kinds:
        both = " and ".join(sorted(parts))
        raise UserError(f"{place} has {both}, but nothing to train on; add a folder train")
    return parts if TEST in kinds else {}


def _folders_in(place: Path) -> list[str]:
    """Return the names of the visible folders in a folder; none if it cannot be read."""
    names = next(os.walk(place), ("", [], []))[1]
    return sorted(name for name in names if name[0] != "." and name != "__MACOSX")


def _says_no_more(place: Path, name: str, split: tuple[str | None, str]) -> bool:
    """Tell whether all of a part is in a folder of the same name, as unzipped archives are."""
    part, rest = part_of(name)
    return part in (None, split[0]) and rest in ("", split[1]) and _folders_in(place) == [name]


def _spelling(name: str) -> str:
    """Return what names share that differ in case, blanks or the form of their letters only."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _check_test_part(annotations: Sequence[Annotation]) -> None:
    """Raise `UserError` for a class with nothing to train on; warn of one with nothing to test."""
    tested = {each.label: each.path for each in annotations if each.part == TEST}
    taught = {each.label for each in annotations if each.part != TEST}
    for label in sorted(tested.keys() - taught):
        raise UserError(
            f"class {label!r} is in the test part only ({tested[label]}), with nothing to train "
            "on; add some to the training part, or remove it"
        )
    if tested and (untested := sorted(taught - tested.keys())):
        names = ", ".join(map(repr, untested))
        print_error("warning", f"nothing in the test part shows {names}: add some to test on")


def _hint(folder: Path, tables: Sequence[Path]) -> str:
    """Say where the classes seem to be: in folders a level deeper, or in a table beside them."""
    entries = sorted(each for each in folder.iterdir() if each.name[0] != ".")
    folders = [each for each in entries if each.is_dir()]
    beside = [each for each in entries if each.suffix.lower() == ".csv"]
    hint = f"; if {folders[0]} holds the class folders, name that" if len(folders) == 1 else ""
    if beside and not tables:
        hint += f"; if {beside[0]} says which file is what, add --segments {beside[0]}"
    return hint
