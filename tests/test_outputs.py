from dataclasses import replace
from pathlib import Path

import pytest

from activity.errors import UserError
from activity.prediction.outputs import Outputs, plan_outputs
from predict_video import refuse_to_replace


def test_one_clip_gets_the_files_that_are_named() -> None:
    named = Outputs(csv=Path("t.csv"), timeline=Path("x/t.svg"))
    _, clips = plan_outputs(named, ["clip"], several=False)
    assert clips == [replace(named, output=Path("output/clip.mp4"))]
    assert plan_outputs(named, ["clip"], several=False, video=False) == (Outputs(), [named])
    named = Outputs(Path("v.avi"), summary=Path("s.csv"))
    assert plan_outputs(named, ["clip"], several=False) == (
        Outputs(summary=Path("s.csv")),
        [Outputs(Path("v.avi"))],
    )


def test_several_clips_get_a_folder_for_each_kind() -> None:
    named = Outputs(csv=Path("tables"), timeline=Path("output"))
    assert plan_outputs(named, ["a", "b"], several=True) == (
        Outputs(),
        [
            Outputs(
                Path(f"output/{name}.mp4"),
                csv=Path(f"tables/{name}.csv"),
                timeline=Path(f"output/{name}.png"),
            )
            for name in ("a", "b")
        ],
    )
    with pytest.raises(UserError, match=r"^all.json is one file for several clips") as caught:
        plan_outputs(Outputs(json=Path("all.json")), ["a", "b"], several=True)
    assert caught.value.about == Path("all.json")


def test_one_table_holds_several_clips() -> None:
    named = Outputs(csv=Path("all.csv"), json=Path("reports"), summary=Path("clips.csv"))
    assert plan_outputs(named, ["a", "b"], several=True, video=False) == (
        Outputs(csv=Path("all.csv"), summary=Path("clips.csv")),
        [Outputs(json=Path("reports/a.json")), Outputs(json=Path("reports/b.json"))],
    )


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("output", "v.mkv", "ends in '.mkv'; choose a name ending in .mp4 or .avi"),
        ("csv", "model.bin", "ends in '.bin'; choose a name ending in .csv"),
        ("json", "report", "ends in 'nothing'; choose a name ending in .json"),
        ("timeline", "t.gif", "choose a name ending in .png, .pdf or .svg"),
    ],
)
def test_endings_are_checked(tmp_path: Path, kind: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Outputs(**{kind: tmp_path / name}).check()


def test_nothing_is_replaced_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "v.avi").touch()
    with pytest.raises(UserError, match=r"v.avi exists; add --overwrite"):
        refuse_to_replace(Outputs(tmp_path / "v.avi"), overwrite=False)
    refuse_to_replace(Outputs(tmp_path / "v.avi"), overwrite=True)
    refuse_to_replace(Outputs(tmp_path / "new.avi"), overwrite=False)
