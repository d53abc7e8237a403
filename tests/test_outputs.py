from pathlib import Path

import pytest
from activity.outputs import check_outputs, plan_outputs

from activity.cli import UserError


def test_one_clip_gets_the_files_that_are_named() -> None:
    wanted = {"csv": Path("t.csv"), "timeline": Path("x/t.svg")}
    assert plan_outputs(wanted, ["clip"], several=False) == [
        {"output": Path("output/clip.avi"), **wanted}
    ]
    wanted = {"output": Path("v.mp4")}
    assert plan_outputs(wanted, ["clip"], several=False) == [wanted]


def test_several_clips_get_a_folder_for_each_kind() -> None:
    wanted = {"csv": Path("tables"), "timeline": Path("output")}
    assert plan_outputs(wanted, ["a", "b"], several=True) == [
        {
            "output": Path(f"output/{name}.avi"),
            "csv": Path(f"tables/{name}.csv"),
            "timeline": Path(f"output/{name}.png"),
        }
        for name in ("a", "b")
    ]
    with pytest.raises(UserError, match=r"--csv all.csv is one file for several clips"):
        plan_outputs({"csv": Path("all.csv")}, ["a", "b"], several=True)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("output", "v.mkv", "ends in '.mkv'; choose a name ending in .avi or .mp4"),
        ("csv", "model.bin", "ends in '.bin'; choose a name ending in .csv"),
        ("json", "report", "ends in 'nothing'; choose a name ending in .json"),
        ("timeline", "t.gif", "choose a name ending in .png, .pdf or .svg"),
    ],
)
def test_endings_are_checked(tmp_path: Path, kind: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_outputs({kind: tmp_path / name}, overwrite=True)


def test_nothing_is_replaced_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "v.avi").touch()
    with pytest.raises(UserError, match=r"v.avi exists; add --overwrite"):
        check_outputs({"output": tmp_path / "v.avi"}, overwrite=False)
    check_outputs({"output": tmp_path / "v.avi"}, overwrite=True)
    check_outputs({"output": tmp_path / "new.avi"}, overwrite=False)
