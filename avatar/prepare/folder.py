"""The folder of a capture that is prepared."""

import json
import shutil
from pathlib import Path

from avatar.atomic import replacing
from avatar.capture.files import read_json

from .stages import FOLDER

RECORD = "made_of.json"
# All that a preparation writes beside the cameras' folders; the record is the last to be deleted.
OURS = ("cameras.json", "splits.json", "body_default.npz", "mask", "report")


def open_folder(folder: Path, videos: Path, *, overwrite: bool = False) -> None:
    """Make ``folder`` ready for a capture of ``videos``: new, or the same to go on with, or emptied of what was there.

    Only what a preparation writes is ever deleted. Raises ValueError where the folder holds anything else, or a capture
    of other videos and ``overwrite`` is not said.
    """
    record = folder / FOLDER / RECORD
    if folder.is_file() or (folder.exists() and any(folder.iterdir()) and not record.is_file()):
        raise ValueError(f"{folder}: not empty, and not prepared by avatar; choose another --out")
    made_of = str(videos.resolve())
    if record.is_file():
        found = read_json(record).get("videos")
        if overwrite:
            _clear(folder)
        elif found != made_of and any(path.is_file() and path != record for path in folder.rglob("*")):
            raise ValueError(f"{folder}: holds a capture of {found}; choose another --out, or --overwrite it")
    with replacing(record) as temporary:
        temporary.write_text(json.dumps({"videos": made_of}))


def _clear(folder: Path) -> None:
    kept = folder / FOLDER / "pictures"
    cameras = [path.stem for path in kept.glob("*.npz")]
    for name in (*OURS, *cameras, FOLDER):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
