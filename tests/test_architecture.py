"""The rules of the house: who imports whom, where option names stand, how long functions are."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPTS = [ROOT / "train.py", ROOT / "predict_video.py"]
MODULES = sorted((ROOT / "activity").rglob("*.py"))
PROGRAMS = sorted([*(ROOT / "tools").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
# From the top of the house to its ground floor: each imports what stands behind it only.
TRAINING, PREDICTION = "activity.training", "activity.prediction"


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_its_own_wing_and_what_is_shared(path: Path) -> None:
    name = name_of(path)
    own = next((wing for wing in (TRAINING, PREDICTION) if name.startswith(wing)), None)
    for imported in imports(path):
        package = imported.split(".")[0]
        assert package not in ("train", "predict_video", "tests", "tools", "benchmarks"), imported
        for wing in (TRAINING, PREDICTION):
            assert not imported.startswith(wing) or wing == own, imported


def test_each_script_imports_one_wing() -> None:
    for script, other in zip(SCRIPTS, (PREDICTION, TRAINING), strict=True):
        assert not [name for name in imports(script) if name.startswith(other)]


def test_importing_the_package_does_nothing() -> None:
    program = (
        "import os, sys\n"
        "modules, environment = set(sys.modules), dict(os.environ)\n"
        "import activity, activity.training, activity.prediction, activity.quiet, activity.video\n"
        "print(sorted(set(sys.modules) - modules), dict(os.environ) == environment)"
    )
    # Not in this environment, which the tests' own imports have changed.
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    packages = [
        "activity",
        "activity.prediction",
        "activity.quiet",
        "activity.training",
        "activity.video",
    ]
    assert done.stdout == f"{packages} True\n"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_option_names_stand_in_the_scripts_only(path: Path) -> None:
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    options = {option for text in texts for option in re.findall(r"(?<![\w-])--[a-z-]+", text)}
    assert options <= ({"--version", "--help"} if path.name == "cli.py" else set())


@pytest.mark.parametrize("path", [*SCRIPTS, *MODULES], ids=name_of)
def test_no_function_is_longer_than_fifty_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno + 1 <= 50, node.name


def test_what_is_imported_is_declared() -> None:
    def declared(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {re.split("[<>=[]", line)[0].lower() for line in lines if line[:1].isalpha()}

    installed = packages_distributions()
    optional = declared("requirements-heic.txt") | declared("requirements-ray.txt")
    product = declared("requirements.txt") | optional
    for paths, allowed in (
        ([*SCRIPTS, *MODULES], product),
        (
            [*PROGRAMS, *(ROOT / "tests").glob("*.py")],
            product | declared("requirements-dev.txt"),
        ),
    ):
        for path in paths:
            for imported in imports(path):
                package = imported.split(".")[0]
                if package in installed and package != "activity":
                    names = {name.lower().replace("_", "-") for name in installed[package]}
                    assert names & allowed, f"{path.name} imports {package}"
