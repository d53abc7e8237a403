"""Which files are made from each clip, and where they go."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from activity.artifacts import PICTURES, check_output
from activity.cli import UserError
from activity.video import CODECS

# Kind of output, which an option of the same name asks for -> endings that its name may have; the
# first is for files whose names are not given.
ENDINGS = {"output": tuple(CODECS), "csv": (".csv",), "json": (".json",), "timeline": PICTURES}
FOLDER = Path("output")


def plan_outputs(
    wanted: Mapping[str, Path], names: Sequence[str], several: bool
) -> list[dict[str, Path]]:
    """Return the files to make from clips of these names, by their kind.

    `wanted` has what the user gave for a kind: a file, or for several clips a folder that gets one
    file a clip. An annotated video is made in any case. Raises `UserError` for a single file where
    there are several clips.
    """
    if not several:
        return [{"output": FOLDER / f"{names[0]}{ENDINGS['output'][0]}"} | dict(wanted)]
    folders = {"output": FOLDER} | dict(wanted)
    for kind, folder in folders.items():
        if folder.suffix.lower() in ENDINGS[kind]:
            raise UserError(f"--{kind} {folder} is one file for several clips; name a folder")
    return [
        {kind: folder / f"{name}{ENDINGS[kind][0]}" for kind, folder in folders.items()}
        for name in names
    ]


def check_outputs(outputs: Mapping[str, Path], overwrite: bool) -> None:
    """Raise `UserError` if one of the files cannot be made, or may not be replaced."""
    for kind, path in outputs.items():
        check_output(path, f"--{kind}", ENDINGS[kind])
        if path.exists() and not overwrite:
            raise UserError(f"--{kind} {path} exists; add --overwrite, or choose another name")
