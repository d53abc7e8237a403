"""Which files are taken, and what folders and tables say about them: every sensible layout."""

import csv
import shutil
from pathlib import Path

import pytest
from conftest import COLOURS, write_clip

from activity.errors import UserError
from activity.label_file import NONE_OF_THESE
from activity.training.annotations import Annotation, read_table
from activity.training.layout import find_annotations

LABELS = list(COLOURS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["tennis", "rowing"], "'rowing' is no folder with files below"),
        (["tennis"], "^tennis makes 1 class of .*, but a classifier needs at least two"),
        (["tennis", "tennis"], "^'tennis' is named twice"),
        (["none"], "^'none' is no folder with files below"),
        (["all"], r"'b\\x1b\[2J', holds a control character; rename"),
    ],
)
def test_wrong_labels_are_refused(folder: Path, labels: list[str], message: str) -> None:
    (folder / "weight_lifting").rename(folder / "b\x1b[2J")
    with pytest.raises(UserError, match=message):
        find_annotations(folder, labels)


def test_other_things_become_a_class(folder: Path, tmp_path: Path) -> None:
    """From folders anywhere, at any depth, and from a class folder called none."""
    other, inside = tmp_path / "other", folder / "tennis" / "balls"
    places = (folder / "none" / "x.png", other / "deep" / "y.png", inside / "z.png")
    for place in places:
        place.parent.mkdir(parents=True)
        place.touch()
    found = find_annotations(folder, ["all"], [other, inside])
    assert {each.path for each in found if each.label == NONE_OF_THESE} == set(places)
    assert sorted({each.label for each in found}) == sorted([*LABELS, NONE_OF_THESE])
    assert len({each.path for each in found}) == len(found)  # none is taken twice
    # Not asked for, the folder called none is left out as any other.
    assert NONE_OF_THESE not in {each.label for each in find_annotations(folder, LABELS)}
    # With other things one class is enough.
    one = find_annotations(folder, ["tennis"], [other])
    assert {each.label for each in one} == {"tennis", NONE_OF_THESE}

    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds 0 files of other things; add"):
        find_annotations(folder, LABELS, [tmp_path / "empty"])


def labels_of(folder: Path, *arguments: object) -> dict[str, str]:
    """Return the label of each file below a folder, by its place there."""
    found = find_annotations(folder, *arguments)  # type: ignore[arg-type]
    return {str(each.path.relative_to(folder)): each.label for each in found}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make files of two classes, in folders of days, with what lies around beside pictures."""
    for place in (
        "football/day1/1.jpg", "football/day2/deep/2.jpg", "football/3.jpg", "tennis/day1/4.jpg",
        "tennis/5.mp4", "readme.txt", ".git/tennis/6.jpg", "tennis/.thumbnails/7.jpg",
    ):  # fmt: skip
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    return tmp_path


@pytest.mark.parametrize("labels", [["all"], ["football", "tennis"]])
def test_the_class_is_the_first_folder_and_deeper_ones_belong_to_it(
    tree: Path, labels: list[str]
) -> None:
    """They come in the order of their names as text, with '-' before '/', which the split needs."""
    (tree / "tennis" / "day1-2").mkdir()
    (tree / "tennis" / "day1-2" / "9.jpg").touch()
    assert list(labels_of(tree, labels).items()) == [
        ("football/3.jpg", "football"), ("football/day1/1.jpg", "football"),
        ("football/day2/deep/2.jpg", "football"), ("tennis/5.mp4", "tennis"),
        ("tennis/day1-2/9.jpg", "tennis"), ("tennis/day1/4.jpg", "tennis"),
    ]  # fmt: skip


def test_named_classes_are_found_where_the_tutorial_has_them(tree: Path) -> None:
    """Below a folder data, among others, as in Sports-Type-Classifier/data."""
    (tree / "Sports/data").mkdir(parents=True)
    for label in ("football", "tennis"):
        (tree / label).rename(tree / "Sports/data" / label)
    (tree / "Sports/model").mkdir()
    (tree / "Sports/model/x.keras").touch()
    found = labels_of(tree / "Sports", ["football", "tennis"])
    assert len(found) == 5
    assert found["data/football/day1/1.jpg"] == "football"
    shutil.rmtree(tree / "Sports/model")
    with pytest.raises(UserError, match=r"all makes 1 class of .*; if .*/data holds the class fol"):
        find_annotations(tree / "Sports", ["all"])


def test_a_link_to_a_folder_is_followed_and_a_loop_is_noticed(
    tree: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "deep").mkdir()
    (elsewhere / "deep" / "8.jpg").touch()
    (elsewhere / "deep" / "again").symlink_to(elsewhere)
    (tree / "rowing").symlink_to(elsewhere)
    (tree / "tennis" / "up").symlink_to(tree)
    found = labels_of(tree, ["all"])
    assert {place for place, label in found.items() if label == "rowing"} == {"rowing/deep/8.jpg"}
    assert len(found) == 6
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"warning: {tree}/{place} is left out: it leads back to where it stands"
        for place in ("rowing/deep/again", "tennis/up")
    ]


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "test"), ("train", "valid")])
def test_parts_of_a_split_are_no_classes(tree: Path, names: tuple[str, str]) -> None:
    for part in names:
        for label in ("football", "tennis"):
            shutil.copytree(tree / label, tree / part / label)
    shutil.rmtree(tree / "football")
    (tree / "tennis").rename(tree / "annotations")
    for labels in (["all"], ["football", "tennis"]):
        found = [each for each in find_annotations(tree, labels) if each.label != "annotations"]
        assert {each.label for each in found} == {"football", "tennis"}
        parts = {each.path.relative_to(tree).parts[0]: each.part for each in found}
        assert parts == {names[0]: "train", names[1]: "test"}


def test_a_part_alone_is_a_class_and_a_split_needs_training(tree: Path) -> None:
    (tree / "football").rename(tree / "val")  # as a train is a thing, too
    found = find_annotations(tree, ["all"])
    assert {each.label for each in found} == {"val", "tennis"}
    assert {each.part for each in found} == {None}
    (tree / "tennis").rename(tree / "test")
    with pytest.raises(UserError, match="has test and val, but nothing to train on; add a folder"):
        find_annotations(tree, ["all"])


def table(path: Path, *rows: str, head: str = "file,start,end,label") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8-sig")
    return path


def test_a_table_beside_a_flat_folder_is_noticed_and_used(tmp_path: Path) -> None:
    rows = [f"{number}.jpg,{'cat' if number % 2 else 'dog'}" for number in range(8)]
    for number in range(8):
        (tmp_path / f"{number}.jpg").touch()
    labels = table(tmp_path / "labels.CSV", *rows, head="file,label")
    for names, problem in ((["all"], "all makes 0 classes"), (LABELS, "'football' is no folder")):
        hint = f"if {labels} says which file is what, add --segments {labels}"
        with pytest.raises(UserError, match=f"^{problem}.*; {hint}$"):
            find_annotations(tmp_path, names)
    found = find_annotations(tmp_path, ["all"], tables=[labels])
    assert [f"{each.path.name},{each.label}" for each in found] == rows
    assert {(each.start, each.end) for each in found} == {(0.0, None)}


def test_what_a_table_has_is_as_it_says(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And not as its folder does; rows that nobody asked for are named."""
    segments = table(
        tree / "segments.csv",
        "tennis/5.mp4,0.000,12.500,football", "tennis/5.mp4,12.500,20.000,tennis",
        "tennis/5.mp4,20.000,21.000,uncertain", "tennis/5.mp4,21.000,22.000,rowing",
        "tennis/5.mp4,22.000,23.000,", "tennis/5.mp4,23.000", f"{tree}/football/3.jpg,,,tennis",
    )  # fmt: skip
    found = find_annotations(tree, ["football", "tennis"], tables=[segments])
    clip = [each for each in found if each.path.name == "5.mp4"]
    assert [(each.label, each.start, each.end) for each in clip] == [
        ("football", 0.0, 12.5), ("tennis", 12.5, 20.0),
    ]  # fmt: skip
    assert [each.label for each in found if each.path.name == "3.jpg"] == ["tennis"]
    assert capsys.readouterr().err == (
        "warning: rows of tables with other labels are left out: '' (2), 'uncertain' (1), "
        "'rowing' (1)\n"
    )
    everything = find_annotations(tree, ["all"], tables=[segments])
    assert {each.label for each in everything} == {"football", "tennis", "rowing"}


def test_other_things_of_a_table(tree: Path) -> None:
    segments = table(tree / "s.csv", "tennis/5.mp4,0,1,tennis", "tennis/5.mp4,1,2,none of these")
    assert NONE_OF_THESE in labels_of(tree, ["all"], (), [segments]).values()
    for labels in (["football", "tennis"], ["football", "tennis", "none"]):
        found = labels_of(tree, labels, (), [segments]).values()
        assert (NONE_OF_THESE in found) == ("none" in labels)


def test_a_file_is_looked_for_where_it_is_named_beside_the_table_and_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here/a.mp4", "beside/b.mp4", "data/c.mp4"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).touch()
    rows = table(tmp_path / "beside/t.csv", "here/a.mp4,,,x", "b.mp4,,,x", "c.mp4,,,x", "d.mp4,,,x")
    monkeypatch.chdir(tmp_path)
    assert [str(each.path) for each in read_table(rows, Path("data"))] == [
        "here/a.mp4", f"{tmp_path}/beside/b.mp4", "data/c.mp4", "d.mp4",
    ]  # fmt: skip


def test_further_columns_in_any_order_and_as_spreadsheets_write_them(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "=a;b, c.avi", frames=1)
    for delimiter, comma in ((",", "."), (";", ",")):
        path = tmp_path / "t.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            rows = csv.writer(file, delimiter=delimiter)
            rows.writerow(["Label", "notes", "split", "site", "END", "file", "start"])
            rows.writerow(["'=tennis", "x", "holdout", "zoo", f"3{comma}25", "'=a;b, c.avi", "1"])
            rows.writerow(["tennis", "", "", "", "", "'=a;b, c.avi", ""])
        assert read_table(path, tmp_path) == [
            Annotation(clip, "=tennis", "test", "zoo", 1.0, 3.25),
            Annotation(clip, "tennis"),
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,start\nx.mp4,1\n", "has no column 'label'; it needs file and label"),
        (b"", "has no column 'file'"),
        (b"file,label\n", "names no file that is there; correct it"),
        (b"file,label\n" + 300 * b"x" + b",a\n", "names no file that is there, such as x"),
        (b"file,label\ngone.mp4,a\n", r"no file that is there, such as gone\.mp4; correct it"),
        (b"file,start,end,label\nx.mp4,1,2,a\nx.mp4,5,4,a\n", "line 3: end 4 is not after start 5"),
        (b"file,start,end,label\nx.mp4,-1,2,a\n", "line 2: '-1' is no time in seconds; correct"),
        (b"file,start,end,label\nx.mp4,nan,2,a\n", "line 2: 'nan' is no time in seconds; correct"),
        (b"file,start,end,label\nx.mp4,0:10,,a\n", "line 2: '0:10' is no time in seconds"),
        (b"file,label,split\nx.mp4,a,some\n", "line 2: split 'some' is none of train, "),
        (b"file,label\n,a\n", "line 2: it names no file; correct it"),
        (b"file,label\nx.mp4,\xff\n", "is no text in UTF-8; save it as CSV in UTF-8"),
        (b'file,label\n"' + b"x" * 200_000 + b'",a\n', "line 1: field larger than"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(
    tmp_path: Path, content: bytes, message: str
) -> None:
    csv.field_size_limit(2**17)  # which a table of clips raises
    (tmp_path / "x.mp4").touch()
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"^{tmp_path}/t\.csv.*{message}"):
        read_table(tmp_path / "t.csv", tmp_path)
