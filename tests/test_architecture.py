"""The rules of the house: who imports whom, and what that does."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPTS = [ROOT / "train.py", ROOT / "predict_video.py"]
MODULES = sorted((ROOT / "activity").rglob("*.py"))
PROGRAMS = sorted([*(ROOT / "tools").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
TRAINING, PREDICTION, VIDEO = "activity.training", "activity.prediction", "activity.video"
# What each package may import of the others, besides the modules that all share.
MAY_IMPORT = {TRAINING: {VIDEO}, PREDICTION: {VIDEO}, VIDEO: set(), "": {VIDEO}}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of all that a file imports, wherever in it, also for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


NAMES = {name_of(path): path for path in [*SCRIPTS, *MODULES]}


def own_imports(path: Path) -> set[str]:
    """Return those of our modules that a file imports, or imports something from."""
    found = {name if name in NAMES else name.rpartition(".")[0] for name in imports(path)}
    return found & NAMES.keys()


def test_a_package_imports_itself_and_what_stands_below_it() -> None:
    packages = [TRAINING, PREDICTION, VIDEO]
    for name, path in NAMES.items():
        if path in SCRIPTS:
            continue
        own = next((each for each in packages if name.startswith(each)), "")
        for imported in own_imports(path):
            assert imported not in ("train", "predict_video"), f"{name} imports a script"
            other = next((each for each in packages if imported.startswith(each)), own)
            assert other == own or other in MAY_IMPORT[own], f"{name} imports {imported}"
        for imported in imports(path):
            assert imported.split(".")[0] not in ("tests", "tools", "benchmarks"), imported


def test_each_script_imports_one_package_and_not_itself() -> None:
    for script, other in zip(SCRIPTS, (PREDICTION, TRAINING), strict=True):
        assert not {"train", "predict_video"} & own_imports(script)
        assert not [name for name in imports(script) if name.startswith(other)]


def test_no_imports_go_in_a_circle() -> None:
    """Neither at run time nor for types; the sorter names the circle if there is one."""
    assert list(
        TopologicalSorter({name: own_imports(NAMES[name]) for name in NAMES}).static_order()
    )


def python(program: str) -> str:
    """Run a program; not in this environment, which the tests' own imports have changed."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip


def test_importing_the_packages_does_nothing() -> None:
    packages = [
        "activity",
        *map("activity.{}".format, ("prediction", "quiet", "training", "video")),
    ]
    program = (
        "import os, sys\n"
        "modules, environment = set(sys.modules), dict(os.environ)\n"
        f"import {', '.join(packages)}\n"
        "print(sorted(set(sys.modules) - modules), dict(os.environ) == environment)"
    )
    assert python(program) == f"{packages} True\n"


@pytest.mark.parametrize("script", ["train", "predict_video"])
def test_importing_a_script_ends_no_notebook(script: str) -> None:
    """It fails as any import does, where OpenCV lacks a library of the system."""
    program = (
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'cv2': raise ImportError('libGL.so.1: cannot open')\n"
        "sys.meta_path.insert(0, Broken())\n"
        f"try:\n    import {script}; import activity.quiet.opencv\n"
        "except BaseException as error: print(type(error).__name__, error)"
    )
    assert re.match(r"(ImportError|UserError) .*libGL\.so\.1: cannot open", python(program))


def test_what_is_imported_is_declared() -> None:
    def declared(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {re.split("[<>=[]", line)[0].lower() for line in lines if line[:1].isalpha()}

    installed = packages_distributions()
    optional = declared("requirements-heic.txt") | declared("requirements-ray.txt")
    product = declared("requirements.txt") | optional
    for paths, allowed in (
        ([*SCRIPTS, *MODULES], product),
        ([*PROGRAMS, *(ROOT / "tests").glob("*.py")], product | declared("requirements-dev.txt")),
    ):
        for path in paths:
            for imported in imports(path):
                package = imported.split(".")[0]
                if package in installed and package != "activity":
                    names = {name.lower().replace("_", "-") for name in installed[package]}
                    assert names & allowed, f"{path.name} imports {package}"


def test_a_plain_run_does_not_wait_for_what_only_others_need() -> None:
    program = "import sys, predict_video; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    others = {"keras", "matplotlib.figure", "openvino", "pebble", "pyarrow", "ray", "tensorflow"}
    assert not others & set(done.stdout.split())
