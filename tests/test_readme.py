"""Every command of the README runs, and its tables list every option."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_script, without_progress, write_clip

README = (ROOT / "README.md").read_text()
OPTIONS = (ROOT / "docs" / "options.md").read_text()
# Indented by four, and not a drawing of the data flow.
COMMANDS = re.findall(r"^    ((?:make|pip|python3?) .*)$", README, re.M)
# `make demo` runs these on its way, and `make test` runs this test.
SET_UP = {
    "make test",
    "python3 -m venv .venv && . .venv/bin/activate",
    "pip install -r requirements.txt",
}
PYTHON_COMMANDS = [command for command in COMMANDS if command.startswith("python ")]
# What test_train_script.py and the demo do with other options is left to `make test-all`.
MARKED_COMMANDS = [
    pytest.param(
        command,
        marks=pytest.mark.slow if "train.py" in command or "example_clips" in command else (),
    )
    for command in PYTHON_COMMANDS
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path) -> Path:
    """Lay out the project as after a clone, with the user's things that the README speaks of."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Makefile", "train.py", "predict_video.py", "activity", "example_clips"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "model", folder / "model")
    (folder / "DIR").symlink_to(dataset_folder)
    (folder / "CLIPS").mkdir()
    for name in ("one.avi", "two.avi"):
        write_clip(folder / "CLIPS" / name, frames=10)
    (folder / "clip.mp4").symlink_to("CLIPS/one.avi")
    # As the page hands it on: the clip is grey, as weight lifting is.
    (folder / "segments.csv").write_text("file,start,end,label\nclip.mp4,0,0.4,weight_lifting\n")
    return folder


def test_no_command_is_forgotten() -> None:
    assert {"make demo", *SET_UP} <= set(COMMANDS)
    assert set(COMMANDS) - SET_UP - {"make demo"} == set(PYTHON_COMMANDS)
    assert len(PYTHON_COMMANDS) >= 4


def test_the_demo_finds_the_three_sports(project: Path) -> None:
    """With this environment instead of a new one, which takes minutes."""
    done = subprocess.run(
        [
            "make", "--silent", "VENV=.venv", f"BIN={Path(sys.executable).parent}",
            "-o", ".venv/ready", "demo",
        ],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    passed_over = "files that are no videos or pictures: 1 (README.md)"
    assert without_progress(done.stderr) == f"note: passed over in example_clips: {passed_over}\n"
    _, *lines, page = (line.split() for line in done.stdout.splitlines())
    assert page == ["page:", "output/index.html"]
    for line, name in zip(lines, ("football", "tennis", "weight_lifting"), strict=True):
        assert line[:2] == [f"example_clips/{name}.mp4", name]
        # The label of single frames flips, and the averaged one does not.
        assert int(line[3]) >= 4
        assert int(line[4]) == 0
        assert line[7] == f"output/{name}.mp4"
        for ending in ("mp4", "html", "png", "json"):
            assert (project / "output" / f"{name}.{ending}").stat().st_size > 1000


@pytest.mark.parametrize("command", MARKED_COMMANDS)
def test_commands_run(command: str, project: Path, random_weights: Path) -> None:
    """As they stand; only ImageNet's weights, which are a download, are replaced."""
    _, script, *arguments = command.split()
    if script == "train.py":
        arguments += ["--weights", str(random_weights), "--views", "0", "--precision", "float"]
    else:
        arguments.append("--overwrite")  # some commands have the same default output
    done = run_script(script, *arguments, cwd=project)
    assert done.returncode == 0, done.stderr
    for path in re.findall(r"output/\S+", command):
        assert (project / path).exists()


@pytest.mark.parametrize("script", ["train.py", "predict_video.py"])
def test_the_table_has_every_option(script: str) -> None:
    usage = run_script(script, "--help").stdout
    options = set(re.findall(r"^  (?:-\w.*?, )?(--[a-z-]+)", usage, re.M)) - {"--help"}
    table = OPTIONS.split(f"| `{script}` | |")[1].split("\n\n")[0]
    firsts = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"--[a-z][a-z-]+", firsts)) == options


def test_the_python_example_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.S)
    monkeypatch.chdir(project)
    exec(program, {})
    assert sorted(re.findall(r"output/\S+?\.\w+", program)) != []
    for path in re.findall(r"output/\w+\.\w+", program):
        assert (project / path).exists()


def test_the_front_page_is_short() -> None:
    assert len(README.splitlines()) <= 110
