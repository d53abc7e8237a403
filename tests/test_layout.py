"""Which files are taken, and what folders and tables say about them: every sensible layout."""

import shutil
from pathlib import Path

import pytest
from conftest import COLOURS
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.label_file import NONE_OF_THESE
from activity.training.annotations import TEST, TRAIN, part_of
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
        f"note: files in no class folder are left out: {tree} (1)",
        *(
            f"warning: {tree}/{place} is left out: it leads back to where it stands"
            for place in ("rowing/deep/again", "tennis/up")
        ),
    ]


PART_WORDS = {
    TRAIN: ("train", "training"),
    TEST: ("test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout"),
}


@given(
    st.sampled_from([(part, word) for part, words in PART_WORDS.items() for word in words]),
    st.lists(st.sampled_from(["set", "data", "images", "Pictures", "videos", "2017", "1", ""])),
    st.lists(st.sampled_from(["set", "data", "images", "Dataset", "videos", "2017", "1", ""])),
    st.sampled_from("_- ."),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_a_part_of_a_split_is_known_by_the_words_of_its_name(
    known: tuple[str, str], before: list[str], after: list[str], separator: str, case: object
) -> None:
    part, word = known
    name = case(separator.join([*before, word, *after]))  # type: ignore[operator]
    assert part_of(name) == (part, "")
    assert part_of(f"{name}{separator}match") == (part, "match")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("trainset", TRAIN), ("TestSet", TEST), ("imgs_train", TRAIN), ("hold-out", TEST),
        ("held out", TEST), ("train+val", TRAIN), ("\uff54est", TEST), ("tests", TEST),
        *((name, None) for name in ("contest", "latest", "trains", "seg_pred", "set", "devil", "")),
    ],
)  # fmt: skip
def test_names_of_parts_and_words_that_only_hold_one(name: str, part: str | None) -> None:
    assert part_of(name)[0] == part


def make(root: Path, *places: str) -> Path:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()
    return root


CLASSES = ("football/day1/1.jpg", "football/2.jpg", "tennis/3.jpg")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "val"), ("Training", "TEST"), ("seg_train", "seg_test"), ("train data", "test1"),
        ("training_set/training_set", "test_set/test_set"), ("archive/train", "archive/valid"),
        ("a/b/trainset", "a/b/DevSet"), ("sports_train", "hold-out"), ("train/images", "test/data"),
        ("seg_train/train", "seg_test/seg_test"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("labels", [["all"], ["football", "tennis"]])
def test_parts_of_a_split_are_no_classes(
    tmp_path: Path, train: str, test: str, labels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, *(f"{part}/{place}" for part in (train, test) for place in CLASSES))
    (tmp_path / Path(train).parts[0] / "__MACOSX").mkdir()
    found = find_annotations(tmp_path, labels)
    assert {str(each.path.relative_to(tmp_path)): (each.label, each.part) for each in found} == {
        f"{folder}/{place}": (place.split("/")[0], part)
        for folder, part in ((train, TRAIN), (test, TEST))
        for place in CLASSES
    }
    trained, tested = (part.split("/")[-1] for part in (train, test))
    if train.count("/") + test.count("/") == 0:
        said = f"note: the folders make the split: trained on {trained}, tested on {tested}\n"
        assert capsys.readouterr().err == said


def test_parts_may_stand_in_the_class_folders(tmp_path: Path) -> None:
    make(tmp_path, *(f"{label}/{part}/1.jpg" for label in "ab" for part in ("train", "test")))
    found = find_annotations(tmp_path, ["all"])
    assert [(each.label, each.part) for each in found] == [
        ("a", TEST), ("a", TRAIN), ("b", TEST), ("b", TRAIN),
    ]  # fmt: skip


def test_what_stands_beside_the_parts_is_named_and_no_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, *(f"{part}/{place}" for part in ("train", "test") for place in CLASSES))
    make(tmp_path, "seg_pred/1.jpg", "seg_pred/deep/2.jpg", "notes/a.xml", "README", "test/9.jpg")
    for labels in (["all"], ["football", "tennis"]):
        assert set(labels_of(tmp_path, labels).values()) == {"football", "tennis"}
        at = tmp_path
        places = f"{at}/seg_pred (2), {at} (1), {at}/notes (1), {at}/test (1)"
        assert capsys.readouterr().err.splitlines() == [
            f"note: files in no class folder are left out: {places}",
            "note: the folders make the split: trained on train, tested on test",
        ]
    make(tmp_path, *(f"more{n}/1.jpg" for n in range(3)))
    find_annotations(tmp_path, ["all"])
    assert " and 2 more places\n" in capsys.readouterr().err


def test_a_test_part_without_classes_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loose pictures, as of a competition, are left out; an empty folder is a mistake."""
    make(tmp_path, *(f"train/{place}" for place in CLASSES))
    (tmp_path / "test").mkdir()
    with pytest.raises(UserError, match="/test has nothing of the classes to test on; add some, o"):
        find_annotations(tmp_path, ["all"])
    make(tmp_path, "test/8.jpg", "test/9.jpg")
    assert {each.part for each in find_annotations(tmp_path, ["all"])} == {None}
    assert capsys.readouterr().err == (
        f"note: files in no class folder are left out: {tmp_path}/test (2)\n"
        f"note: {tmp_path}/test holds nothing with a class, so it is not the test part\n"
    )


def test_a_class_in_one_part_only_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, *(f"train/{place}" for place in CLASSES), "test/football/7.jpg")
    find_annotations(tmp_path, ["all"])
    *_, warning = capsys.readouterr().err.splitlines()
    assert warning == "warning: nothing in the test part shows 'tennis': add some to test on"
    make(tmp_path, "test/squash/1.jpg")
    with pytest.raises(
        UserError, match=r"'squash' is in the test part only \(.*/1.jpg\), with not"
    ):
        find_annotations(tmp_path, ["all"])


def test_folders_may_be_called_as_parts_are(tree: Path, tmp_path: Path) -> None:
    """A train is a thing, a test match no test of a training, and whoever names them means it."""
    (tree / "football").rename(tree / "val")
    found = find_annotations(tree, ["all"])
    assert {(each.label, each.part) for each in found} == {("val", None), ("tennis", None)}
    (tree / "tennis").rename(tree / "test")
    with pytest.raises(UserError, match="has test and val, but nothing to train on; add a folder"):
        find_annotations(tree, ["all"])
    assert set(labels_of(tree, ["val", "test"]).values()) == {"val", "test"}
    make(tmp_path / "gym", "training/1.jpg", "test_match/1.jpg", "match/1.jpg")
    gym = labels_of(tmp_path / "gym", ["all"])
    assert set(gym.values()) == {"training", "test_match", "match"}
    make(
        tmp_path / "things",
        *(f"{p}/{c}/1.jpg" for p in ("train", "test") for c in ("train", "car")),
    )
    assert set(labels_of(tmp_path / "things", ["all"]).values()) == {"train", "car"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tennis", "Tennis"), ("tennis", "tennis "), ("weight lifting", "weight  lifting"),
        ("caf\u00e9", "cafe\u0301"), ("tennis", "\uff54ennis"), ("strasse", "Straße"),
    ],
)  # fmt: skip
def test_classes_that_differ_in_spelling_only_are_one_line(
    tmp_path: Path, one: str, other: str
) -> None:
    """Whether both are folders, or one of them is what is asked for."""
    make(tmp_path, f"{one}/1.jpg", "golf/2.jpg")
    assert set(labels_of(tmp_path, ["all"]).values()) == {one, "golf"}
    assert set(labels_of(tmp_path, ["golf", one]).values()) == {one, "golf"}
    message = "differ in case, blanks or the form of letters only; give the class one name$"
    with pytest.raises(UserError, match=message) as error:
        find_annotations(tmp_path, ["golf", other])
    assert str(error.value).startswith(f"{one!r} and {other!r} differ")
    make(tmp_path, f"{other}/1.jpg")
    for labels in (["golf", one], ["all"]):
        with pytest.raises(UserError, match=message):
            find_annotations(tmp_path, labels)


def test_a_table_and_a_folder_spell_a_class_alike(tree: Path) -> None:
    labels = table(tree / "t.csv", "readme.txt,Tennis", head="file,label")
    for names in (["all"], ["football", "tennis"]):
        with pytest.raises(UserError, match=r"^'[Tt]ennis' and '[Tt]ennis' differ in case"):
            find_annotations(tree, names, tables=[labels])


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
        f"note: files in no class folder are left out: {tree} (1)\n"
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
