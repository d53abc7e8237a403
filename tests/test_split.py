"""What is trained on and what is tested on."""

import shutil
from pathlib import Path

import pytest
from conftest import COLOURS, load, picture, shared
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.quiet.opencv import cv2
from activity.training import dataset
from activity.training.dataset import Dataset, Picture
from activity.training.settings import Settings
from activity.training.split import MIN_PICTURES, Parts, _balanced, split

LABELS = list(COLOURS)
SETTINGS = Settings()


def both(parts: Parts) -> tuple[list[Picture], list[Picture]]:
    return parts.train, parts.test


def frames(label: str, videos: dict[str, int], first_group: int = 0) -> list[Picture]:
    """Return so many frames of each video; each video is a scene."""
    return [
        Picture(Path(f"{name}-{n}"), label, f"{name}-{n}", group, Path(name), float(n))
        for group, (name, count) in enumerate(videos.items(), first_group)
        for n in range(count)
    ]


def singles(label: str, count: int, first_group: int = 1000) -> list[Picture]:
    """Return so many pictures, each a scene of its own."""
    return [
        Picture(Path(f"{label}{n}"), label, f"{label}{n}", first_group + n) for n in range(count)
    ]


def test_no_thumbnail_stands_on_both_sides_of_the_tutorials_split() -> None:
    """The oracle compares exact small versions, without the groups that the split goes by."""
    train, test = both(split(load(shared("data/sports3")), SETTINGS))

    def small(pictures: list[Picture]) -> set[bytes]:
        return {
            cv2.resize(
                dataset.read_picture(picture), (32, 32), interpolation=cv2.INTER_AREA
            ).tobytes()
            for picture in pictures
        }

    assert not small(train) & small(test)
    assert len(train) + len(test) == 2093
    assert len(test) / 2093 == pytest.approx(0.25, abs=0.005)


@given(st.lists(st.integers(0, 119), min_size=40, max_size=40), st.randoms())
def test_no_group_is_ever_split(duplicates: list[int], random: object) -> None:
    """Any copies of pictures, in any order: same side, nothing lost, about a quarter kept."""
    groups = [*range(120), *duplicates]
    random.shuffle(groups)  # type: ignore[attr-defined]
    pictures = [
        Picture(Path(str(index)), LABELS[group % 3], str(group), group)
        for index, group in enumerate(groups)
    ]
    train, test = both(split(Dataset(pictures, [], []), SETTINGS))
    assert not {picture.group for picture in train} & {picture.group for picture in test}
    assert sorted(picture.path for picture in train + test) == sorted(p.path for p in pictures)
    assert 0.1 < len(test) / len(pictures) < 0.4
    assert {picture.label for picture in test} == set(LABELS)


@pytest.mark.parametrize("first_groups", [[0, 1, 2, 3], [0, 0, 1, 0, 2, 3]])
def test_four_different_pictures_make_a_class_however_they_are_copied(
    first_groups: list[int],
) -> None:
    groups = first_groups + [0] * (60 - len(first_groups))
    tennis = [Picture(Path(str(i)), "tennis", str(group), group) for i, group in enumerate(groups)]
    football = [Picture(Path(str(i)), "football", str(i), i) for i in range(100, 140)]
    parts = split(Dataset(tennis + football, [], []), SETTINGS)
    sides = [{each.group for each in part if each.label == "tennis"} for part in both(parts)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert parts.remarks == []


def test_the_split_is_the_tutorials_when_nothing_repeats() -> None:
    from sklearn.model_selection import train_test_split

    pictures = [Picture(Path(str(i)), LABELS[i % 3], str(i), i) for i in range(90)]
    _, expected = train_test_split(
        pictures, test_size=0.25, stratify=[p.label for p in pictures], random_state=42
    )
    assert set(split(Dataset(pictures, [], []), SETTINGS).test) == set(expected)


def test_too_few_distinct_images_are_refused(folder: Path) -> None:
    tennis = sorted((folder / "tennis").iterdir())
    for path in tennis[3:]:
        shutil.copyfile(tennis[0], path)
    with pytest.raises(UserError, match="'tennis' has too few different pictures, 3; add some"):
        split(load(folder), SETTINGS)


def test_the_smallest_set_that_is_accepted_can_be_split(folder: Path) -> None:
    for label in LABELS:
        for path in sorted((folder / label).iterdir())[MIN_PICTURES:]:
            path.unlink()
    train, test = both(split(load(folder), SETTINGS))
    assert sorted(picture.label for picture in test) == LABELS
    assert len(train) == 9


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=30),
    st.lists(st.integers(1, 60), min_size=2, max_size=30),
    st.integers(0, 40),
)
def test_no_video_is_ever_split(tennis: list[int], football: list[int], pictures: int) -> None:
    """Of each class about a quarter of the videos is tested, and at least something."""
    data = frames("tennis", {f"t{n}": 3 + count for n, count in enumerate(tennis)})
    data += frames("football", {f"f{n}": 3 + count for n, count in enumerate(football)}, 100)
    data += singles("football", pictures)
    train, test = both(split(Dataset(data, [], []), SETTINGS))
    assert len(train) + len(test) == len(data)
    assert not {each.group for each in train} & {each.group for each in test}
    for label, count in (("tennis", len(tennis)), ("football", len(football))):
        tested = {each.video for each in test if each.label == label and each.video}
        others = pictures if label == "football" else 0
        if count >= 4 or others >= MIN_PICTURES:
            assert len(tested) == count // 4
        else:  # something is tested, and where there are few pictures one of them may do
            assert len(tested) <= 1
            assert tested or others
        assert label in {each.label for each in test}
        assert label in {each.label for each in train}


def test_a_film_of_several_classes_leaves_each_something_to_train_on() -> None:
    """The film is the best quarter of tennis, and all that is left of boxing once that is split."""
    film = frames("tennis", {"film": 3}) + frames("boxing", {"film": 9})
    others = frames("boxing", {"b": 4}, 10) + frames("tennis", {"c": 9, "d": 9}, 20)
    parts = split(Dataset(film + others, [], []), SETTINGS)
    for part in both(parts):
        assert {each.label for each in part} == {"boxing", "tennis"}
    assert {str(each.video) for each in parts.test} in ({"b", "c"}, {"b", "d"})


def test_a_class_of_which_all_groups_are_drawn_gets_the_largest_back() -> None:
    assert _balanced({0, 1}, frames("tennis", {"a": 3, "b": 9}), SETTINGS) == {0}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=12, max_size=80))
def test_whatever_is_linked_with_whatever_each_class_is_trained_on(
    linked: list[tuple[str, int]],
) -> None:
    counted = [sum(label == each for each, _ in linked) for label in "abc"]
    data = [
        Picture(Path(str(n)), label, str(n), group, Path(str(group)), float(n))
        for n, (label, group) in enumerate(linked)
    ]
    if all(count >= MIN_PICTURES for count in counted):
        train, test = both(split(Dataset(data, [], []), SETTINGS))
        assert len(train) + len(test) == len(data)
        assert {each.label for each in train} == set("abc")
        assert not {each.group for each in train} & {each.group for each in test}


def test_few_videos_are_tested_only_where_nothing_else_is_and_it_says_so() -> None:
    data = frames("football", {"a": 10, "b": 10, "c": 12}) + frames("tennis", {"d": 9, "e": 9}, 50)
    data += singles("tennis", 20)
    parts = split(Dataset(data, [], []), SETTINGS)
    assert {str(each.video) for each in parts.test if each.video} == {"b"}
    assert parts.remarks == [
        "football: of 3 videos 1 is tested, so what is said about videos is a guess; add some "
        "until there are 4",
        "tennis: nothing is said about videos, as none is tested; add some until there are 4",
    ]


def test_a_single_scene_is_cut_in_the_order_of_time() -> None:
    """The last quarter is tested, copies stay together, and it says what that is worth."""
    still = [Picture(Path(f"cam/{n}.jpg"), "a", f"{n}", 7) for n in range(12)]
    copy = Picture(Path("cam/99.jpg"), "a", "0", 7)
    parts = split(Dataset([*still, copy, *frames("b", {"film": 8}, 20)], [], []), SETTINGS)
    assert [str(each.path) for each in parts.test] == [
        "cam/9.jpg", "cam/10.jpg", "cam/11.jpg", "film-6", "film-7",
    ]  # fmt: skip
    assert [remark.split(":")[0] for remark in parts.remarks] == ["a", "b"]
    assert "one scene; its last quarter is tested" in parts.remarks[0]
    # What follows each other stays together in cross-validation, too.
    groups = [each.group for each in parts.train if each.label == "a" and each.digest != "0"]
    assert len(set(groups)) == 3
    assert groups == sorted(groups)


def test_the_users_split_is_obeyed(folder: Path) -> None:
    """Folders called train and val, copies between which are reported; classes are below them."""
    for label in LABELS:
        for part in ("train", "Val"):
            (folder / part / label / "day").mkdir(parents=True)
        for path in (folder / label).iterdir():
            part = "Val" if int(path.stem) < 5 else "train"
            path.rename(folder / part / label / "day" / path.name)
        (folder / label).rmdir()
    shutil.copy(folder / "Val" / "tennis" / "day" / "3.png", folder / "train" / "tennis" / "c.png")
    for labels in (LABELS, ["all"]):
        data = load(folder, labels)
        parts = split(data, SETTINGS)
        assert data.labels == LABELS
        assert {each.path.name for each in parts.test} == {f"{n}.png" for n in range(5)}
        assert {each.path.relative_to(folder).parts[0] for each in parts.test} == {"Val"}
        assert len(parts.train) == 34
        ((first, second),) = data.in_two_parts()
        assert {first.path.name, second.path.name} == {"3.png", "c.png"}
    assert data.record()["in_two_parts"] == [[str(first.path), str(second.path)]]


def test_a_table_may_say_what_is_trained_on(folder: Path) -> None:
    """The rest is split as ever; and where it says what is tested, the rest is trained on."""
    table = folder / "table.csv"
    table.write_text(
        "file,label,split\n" + "".join(f"tennis/{n}.png,tennis,train\n" for n in range(8))
    )
    parts = split(load(folder, tables=[table]), SETTINGS)
    tested = [each for each in parts.test if each.label == "tennis"]
    assert len(tested) == 2
    assert not [each for each in tested if int(each.path.stem) < 8]
    table.write_text("file,label,split\ntennis/0.png,tennis,test\nfootball/3.png,football,VAL\n")
    parts = split(load(folder, tables=[table]), SETTINGS)
    assert {f"{each.label} {each.path.name}" for each in parts.test} == {
        "tennis 0.png", "football 3.png",
    }  # fmt: skip
    assert parts.remarks == ["weight_lifting: nothing of it is in the test part"]


def test_a_split_that_leaves_a_class_without_training_is_an_error(folder: Path) -> None:
    table = folder / "table.csv"
    table.write_text(
        "file,label,split\n" + "".join(f"tennis/{n}.png,tennis,val\n" for n in range(16))
    )
    with pytest.raises(UserError, match="'tennis' has nothing to train on"):
        split(load(folder, tables=[table]), SETTINGS)


def test_one_class_is_an_error(folder: Path) -> None:
    data = load(folder)
    only = [each for each in data.pictures if each.label == "tennis"]
    with pytest.raises(UserError, match="fewer than two classes have pictures; add some"):
        split(Dataset(only, [], []), SETTINGS)


def test_videos_and_pictures_of_one_class_stand_side_by_side(folder: Path) -> None:
    """A picture taken out of a video goes where the video goes."""
    for n in range(4):
        film = folder / "tennis" / f"{n}.avi"
        writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 2, (128, 96))
        for second in range(10):
            writer.write(picture("tennis", 1000 * (n + 1) + second))
        writer.release()
        cv2.imwrite(str(folder / "tennis" / f"from{n}.png"), picture("tennis", 1000 * (n + 1) + 3))
    parts = split(load(folder), SETTINGS)
    tested = {each.source.name for each in parts.test if each.label == "tennis"}
    assert len([name for name in tested if name.endswith(".avi")]) == 1
    for n in range(4):
        assert (f"{n}.avi" in tested) == (f"from{n}.png" in tested)
