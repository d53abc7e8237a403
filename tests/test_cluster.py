"""Archives on a Ray cluster, of two machines that are one: what dies, and what is in its way."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kubernetes_validate
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import BUNDLED, ROOT, run_process, start_process, wait_for
from test_batch import saved

import predict_video
from activity import __version__

pytestmark = pytest.mark.usefixtures("alone_with_ray")

# It starts two machines, says the address, and ends one of them when it is told to.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
node = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node, allow_graceful=False)
sys.stdin.read()
cluster.shutdown()
"""
CRASH, TABLE = "crash.mp4", "clips.parquet"
KUBERNETES = "1.37"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[subprocess.Popen[str]]":
    # Each process here would take another secret for Ray's own connections.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with (
        (tmp_path / "cluster.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        ) as process,
    ):  # fmt: skip
        yield process
        process.communicate("\n")


def address(cluster: "subprocess.Popen[str]") -> str:
    assert cluster.stdout
    return cluster.stdout.readline().strip()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Make an archive of 24 clips, of 3 that are none, and of one that its reader crashes on."""
    for number in range(24):
        place = tmp_path / f"clips/day{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        source = sorted((ROOT / "example_clips").glob("*.mp4"))[number % 3]
        shutil.copyfile(source, place / f"{number}.mp4")
    (tmp_path / "clips/text.mp4").write_text("no clip")
    whole = (ROOT / "example_clips/tennis.mp4").read_bytes()
    (tmp_path / "clips/cut.mp4").write_bytes(whole[: len(whole) // 2])
    shutil.copyfile(ROOT / "example_clips/tennis.mp4", tmp_path / f"clips/{CRASH}")
    return tmp_path


def rows(table: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a table without what differs from run to run, by name, one each."""
    found = {name: row | {"seconds": None} for name, row in saved(table).items()}
    assert len(found) == pq.read_metadata(table).num_rows
    return found


def processes(word: str) -> list[int]:
    """Return the processes with a word in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def crash_on(clip: Path) -> None:
    """Crash what has a clip open, as a decoder does that has a fault."""
    for process in processes("multiprocessing.spawn"):
        with contextlib.suppress(OSError):
            if any(
                str(file.readlink()) == str(clip) for file in Path(f"/proc/{process}/fd").iterdir()
            ):
                os.kill(process, signal.SIGSEGV)


@pytest.mark.slow
def test_what_dies_takes_no_row_with_it(cluster: "subprocess.Popen[str]", clips: Path) -> None:
    """Workers are killed every few clips, and one of two machines, while a clip is poison."""
    undisturbed = run_process("predict_video.py", *archive(clips, "undisturbed.parquet"), cwd=clips)
    assert undisturbed.returncode == 1
    expected = rows(clips / "undisturbed.parquet")
    assert [name for name, row in expected.items() if row["error"]] == ["cut.mp4", "text.mp4"]

    options = [*archive(clips, TABLE), "--ray", address(cluster)]
    with start_process("predict_video.py", *options, cwd=clips) as run:
        killed = 0
        while run.poll() is None:
            crash_on(clips / "clips" / CRASH)
            workers = processes("ray::MapWorker")
            if len(saved(clips / TABLE)) >= 4 * (killed + 1) and workers and killed < 4:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(workers), signal.SIGKILL)
                    killed += 1
                if killed == 3:
                    print(file=cluster.stdin, flush=True)
            time.sleep(0.02)
        assert run.stdout and run.stderr  # noqa: PT018
        said, complained = run.stdout.read(), run.stderr.read()
    assert killed == 4
    assert run.returncode == 1, complained
    found = rows(clips / TABLE)
    assert "SIGSEGV" in found.pop(CRASH)["error"]
    del expected[CRASH]
    assert found == expected
    assert "24 of 27 clips labelled, 24 of them now; 3 failed" in said
    assert "Traceback" not in complained


def archive(clips: Path, table: str) -> list[object]:
    return ["--input", clips / "clips", "--table", clips / table, *BUNDLED]


@pytest.mark.slow
@pytest.mark.parametrize("where", [["--ray"], ["--ray", "127.0.0.1:1"]])
def test_a_cluster_that_is_not_there(
    where: list[str], clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(clips))  # where a cluster that runs here would be noted
    done = run_process("predict_video.py", *archive(clips, TABLE), *where, cwd=clips)
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith(f"error: --ray {where[-1] if where[1:] else 'auto'} is no cluster")
    assert "0 of 27 clips labelled" in done.stdout


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_the_run_in_one_line(
    cluster: "subprocess.Popen[str]", clips: Path
) -> None:
    for name in ("activity.xml", "activity.bin"):
        shutil.copyfile(ROOT / "model" / name, clips / name)
    (clips / "activity.bin").write_bytes(b"")
    options = ["--input", clips / "clips", "--table", clips / TABLE, "-m", clips / "activity.xml"]
    done = run_process("predict_video.py", *options, "--ray", address(cluster))
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith(f"error: {clips}/activity.xml cannot be loaded")
    assert error.endswith(", or train it again")


def test_the_manifest_is_one() -> None:
    """Kubernetes' own rules for pods and volumes; those of KubeRay around them were read."""
    text = (ROOT / "docs/archives.yaml").read_text()
    claim, job = yaml.safe_load_all(text)
    kubernetes_validate.validate(claim, KUBERNETES, strict=True)
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, **group["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        (container,) = pod["spec"]["containers"]
        assert container["image"].endswith(f":{__version__}")
        (volume,) = pod["spec"]["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        (mount,) = container["volumeMounts"]
        assert mount == {"name": volume["name"], "mountPath": "/archive"}
    assert (
        f"ray[data,default]>={cluster['rayVersion'][:4]},"
        in (ROOT / "requirements-ray.txt").read_text()
    )
    _, script, *arguments = job["spec"]["entrypoint"].split(" && ")[1].split()
    with patch.object(sys, "argv", [script, *arguments]):
        args = predict_video.parse_args()
    assert (args.ray, args.table) == ("auto", Path("/archive/table.parquet"))


@pytest.mark.slow
def test_sigterm_ends_a_run_on_a_cluster_as_any_other(clips: Path) -> None:
    """Ray would take the signal for itself, with a trace and another exit code."""
    with start_process("predict_video.py", *archive(clips, TABLE), "--ray", "local") as run:
        wait_for(lambda: saved(clips / TABLE))
        run.send_signal(signal.SIGTERM)
        said, complained = run.communicate()
    assert run.returncode == 128 + signal.SIGTERM
    assert "of 27 clips labelled" in said
    assert "SIGTERM" not in complained
