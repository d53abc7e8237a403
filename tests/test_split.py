"""What is trained on and what is tested on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import COLOURS, load, picture, shared, write_video
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.quiet.opencv import cv2
from activity.training import dataset
from activity.training.dataset import Dataset, Picture
from activity.training.settings import Settings
from activity.training.split import MIN_PICTURES, Parts, split

LABELS = list(COLOURS)
SETTINGS = Settings()


def divide(pictures: list[Picture]) -> Parts:
    return split(Dataset(pictures, [], []), SETTINGS)


def sides(parts: Parts) -> tuple[list[Picture], list[Picture]]:
    """Return both parts, which share no group."""
    assert not {each.group for each in parts.train} & {each.group for each in parts.test}
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
    names = [f"{label}{n}" for n in range(count)]
    return [Picture(Path(name), label, name, n) for n, name in enumerate(names, first_group)]


def test_no_thumbnail_stands_on_both_sides_of_the_tutorials_split() -> None:
    """The oracle compares exact small versions, without the groups that the split goes by."""
    train, test = sides(split(load(shared("data/sports3")), SETTINGS))

    def small(pictures: list[Picture]) -> set[bytes]:
        images = map(dataset.read_picture, pictures)
        return {
            cv2.resize(each, (32, 32), interpolation=cv2.INTER_AREA).tobytes() for each in images
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
    train, test = sides(divide(pictures))
    assert sorted(picture.path for picture in train + test) == sorted(p.path for p in pictures)
    assert 0.1 < len(test) / len(pictures) < 0.4
    assert {picture.label for picture in test} == set(LABELS)


@pytest.mark.parametrize("groups", [[0, 1, 2, 3], [0, 1, 2, 3, *[0] * 56], [0, 0, 1, 0, 2, 3, 0]])
def test_four_different_pictures_make_a_class_however_they_are_copied(groups: list[int]) -> None:
    tennis = [Picture(Path(str(i)), "tennis", str(group), group) for i, group in enumerate(groups)]
    for others in (MIN_PICTURES, 40):
        parts = divide(tennis + singles("football", others))
        assert all({each.label for each in part} == {"football", "tennis"} for part in sides(parts))
        assert parts.remarks == []


def test_the_split_is_the_tutorials_when_nothing_repeats() -> None:
    from sklearn.model_selection import train_test_split

    pictures = [Picture(Path(str(i)), LABELS[i % 3], str(i), i) for i in range(90)]
    _, expected = train_test_split(
        pictures, test_size=0.25, stratify=[p.label for p in pictures], random_state=42
    )
    assert set(divide(pictures).test) == set(expected)


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
    train, test = sides(divide(data))
    assert len(train) + len(test) == len(data)
    for label, count in (("tennis", len(tennis)), ("football", len(football))):
        tested = {each.video for each in test if each.label == label and each.video}
        others = pictures if label == "football" else 0
        if count >= 4 or others >= MIN_PICTURES:
            assert len(tested) == count // 4
        else:  # something is tested, and where there are few pictures one of them may do
            assert len(tested) <= 1
            assert tested or others
        for part in (train, test):
            assert label in {each.label for each in part}


def test_a_video_of_several_classes_leaves_each_something_to_train_on() -> None:
    """The video is the best quarter of tennis, and all that is left to train on of boxing."""
    video = frames("tennis", {"video": 3}) + frames("boxing", {"video": 9})
    others = frames("boxing", {"b": 4}, 10) + frames("tennis", {"c": 9, "d": 9}, 20)
    parts = divide(video + others)
    for part in sides(parts):
        assert {each.label for each in part} == {"boxing", "tennis"}
    assert {str(each.video) for each in parts.test} in ({"b", "c"}, {"b", "d"})


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=12, max_size=80))
def test_each_class_is_trained_on_whatever_is_linked(linked: list[tuple[str, int]]) -> None:
    counted = [sum(label == each for each, _ in linked) for label in "abc"]
    data = [
        Picture(Path(str(n)), label, str(n), group, Path(str(group)), float(n))
        for n, (label, group) in enumerate(linked)
    ]
    if all(count >= MIN_PICTURES for count in counted):
        train, test = sides(divide(data))
        assert len(train) + len(test) == len(data)
        assert {each.label for each in train} == set("abc")


def test_few_videos_are_tested_only_where_nothing_else_is_and_it_says_so() -> None:
    data = frames("football", {"a": 10, "b": 10, "c": 12}) + frames("tennis", {"d": 9, "e": 9}, 50)
    data += singles("tennis", 20)
    parts = divide(data)
    assert {str(each.video) for each in parts.test if each.video} == {"b"}
    assert parts.remarks == [
        "football: of 3 videos 1 is tested, so what is said about videos is a guess; add some "
        "until there are 4",
        "tennis: nothing is said about videos, as none is tested; add some until there are 4",
    ]


def test_of_clips_whose_frames_are_files_a_quarter_is_tested() -> None:
    """As of videos, and remarked on where they are few."""
    named = [
        Picture(
            Path(f"{label}{n}"), label, f"{label}{n}", group, cut_from=Path(f"{label}{group}_*")
        )
        for label, first, count in (("tennis", 0, 12), ("football", 100, 3))
        for group in range(first, first + count)
        for n in range(10 * group, 10 * group + 4 + group % 3)
    ]
    train, test = sides(parts := divide(named))
    tested = {(each.label, each.group) for each in test}
    assert [label for label, _ in sorted(tested)] == ["football", "tennis", "tennis", "tennis"]
    assert len(train) + len(test) == len(named)
    assert parts.remarks == [
        "football: of 3 videos 1 is tested, so what is said about videos is a guess; add some "
        "until there are 4"
    ]


def test_what_cannot_be_split_is_an_error(folder: Path) -> None:
    """A class is alone, has three pictures however often they are copied, or is only tested."""
    data = load(folder)
    tennis = [each for each in data.pictures if each.label == "tennis"]
    with pytest.raises(UserError, match="fewer than two classes have pictures; add some"):
        divide(tennis)
    tested = [replace(each, part="test") if each in tennis else each for each in data.pictures]
    with pytest.raises(UserError, match="'tennis' has nothing to train on"):
        divide(tested)
    with pytest.raises(UserError, match="nothing is left to test on: all is for training"):
        divide([replace(each, part="train") for each in data.pictures])
    paths = sorted((folder / "tennis").iterdir())
    for path in paths[3:]:
        shutil.copyfile(paths[0], path)
    with pytest.raises(UserError, match="'tennis' has too few different pictures, 3; add some"):
        split(load(folder), SETTINGS)


def test_a_single_scene_is_cut_in_the_order_of_time() -> None:
    """The last quarter is tested, copies stay together, and it says what that is worth."""
    still = [Picture(Path(f"cam/{n}.jpg"), "a", f"{n}", 7) for n in range(12)]
    copy = Picture(Path("cam/99.jpg"), "a", "0", 7)
    parts = divide([*still, copy, *frames("b", {"clip": 8}, 20)])
    assert [str(each.path) for each in parts.test] == [
        "cam/9.jpg", "cam/10.jpg", "cam/11.jpg", "clip-6", "clip-7",
    ]  # fmt: skip
    assert [remark.split(":")[0] for remark in parts.remarks] == ["a", "b"]
    assert "one scene; its last quarter is tested" in parts.remarks[0]
    # What follows each other stays together in cross-validation, too.
    groups = [each.group for each in parts.train if each.label == "a" and each.digest != "0"]
    assert len(set(groups)) == 3
    assert groups == sorted(groups)


def test_the_users_split_is_obeyed(folder: Path) -> None:
    """Folders called train and val, copies between which are reported; classes are below them."""
    for path in folder.glob("*/*.png"):
        part = "Val" if int(path.stem) < 5 else "train"
        day = folder / part / path.parent.name / "day"
        day.mkdir(parents=True, exist_ok=True)
        path.rename(day / path.name)
    shutil.copy(folder / "Val/tennis/day/3.png", folder / "train/tennis/c.png")
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
    tested = [int(each.path.stem) for each in parts.test if each.label == "tennis"]
    assert len(tested) == 2
    assert min(tested) >= 8
    table.write_text("file,label,split\ntennis/0.png,tennis,test\nfootball/3.png,football,VAL\n")
    parts = split(load(folder, tables=[table]), SETTINGS)
    names = {f"{each.label} {each.path.name}" for each in parts.test}
    assert names == {"tennis 0.png", "football 3.png"}
    assert parts.remarks == ["weight_lifting: nothing of it is in the test part"]


def test_videos_and_pictures_of_one_class_stand_side_by_side(folder: Path) -> None:
    """A picture taken out of a video goes where the video goes."""
    for n in range(4):
        pictures = [picture("tennis", 1000 * (n + 1) + second) for second in range(10)]
        write_video(folder / "tennis" / f"{n}.avi", pictures, 2)
        cv2.imwrite(str(folder / "tennis" / f"from{n}.png"), pictures[3])
    parts = split(load(folder), SETTINGS)
    tested = {each.source.name for each in parts.test if each.label == "tennis"}
    assert len([name for name in tested if name.endswith(".avi")]) == 1
    for n in range(4):
        assert (f"{n}.avi" in tested) == (f"from{n}.png" in tested)
