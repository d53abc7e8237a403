from pathlib import Path

import pytest

from activity.errors import UserError
from activity.files import atomic_write, check_distinct, check_input, check_output, save_json


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"file.txt": "before"}


def test_a_finished_write_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with atomic_write(path) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("after")
        assert path.read_text() == "before"
    assert contents(tmp_path) == {"file.txt": "after"}


def test_what_json_does_not_know_becomes_text(tmp_path: Path) -> None:
    save_json({"path": Path("a/b"), "numbers": [1, 2.5]}, tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text() == (
        '{\n  "path": "a/b",\n  "numbers": [\n    1,\n    2.5\n  ]\n}\n'
    )


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^.*plot.png cannot be written: .*file is a"):
        check_output(tmp_path / "file" / "plot.png")
    with pytest.raises(UserError, match="is a folder"):
        check_output(tmp_path)
    check_output(tmp_path / "new" / "folder" / "plot.png")
    assert (tmp_path / "new" / "folder").is_dir()


def test_names_with_another_ending_are_refused(tmp_path: Path) -> None:
    for name in ("out.mkv", "out", "out.avi.txt"):
        with pytest.raises(UserError, match=r"choose a name ending in \.avi or \.mp4"):
            check_output(tmp_path / name, (".avi", ".mp4"))
    check_output(tmp_path / "new" / "OUT.AVI", (".avi", ".mp4"))


def test_an_input_has_to_be_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=f"^{path} is not a file; name another$"):
            check_input(path, "name another")


def test_an_output_is_never_another_file(tmp_path: Path) -> None:
    (tmp_path / "clip.avi").touch()
    (tmp_path / "link.avi").symlink_to(tmp_path / "clip.avi")
    inputs = [("--input", tmp_path / name) for name in ("clip.avi", "other.avi", "clip.avi")]
    check_distinct([*inputs, ("--output", tmp_path / "o.avi")])
    for name in ("clip.avi", "link.avi", "../" + tmp_path.name + "/clip.avi"):
        with pytest.raises(UserError, match="--input and --output are the same file"):
            check_distinct([*inputs, ("--output", tmp_path / name)])
