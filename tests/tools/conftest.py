"""The command line in this process, on a cut of the sample capture."""

import json
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.captures import open_capture
from avatar.engine import set_threads

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "samples" / "dancer"

SPLITS = {
    "train": {"frames": [0, 4, 8, 12], "cameras": ["camera_0", "camera_3"]},
    "test_novel_view": {"frames": [4, 8], "cameras": ["camera_1"]},
    "test_novel_pose": {"frames": [6], "cameras": ["camera_0"]},
}

Command = Callable[..., int]


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cameras and a few frames of the sample; one of them comes with a surface."""
    folder = tmp_path_factory.mktemp("captures") / "dancer"
    unused = [f"camera_{index}" for index in (2, 4, 5, 6, 7)]
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns(*unused))
    cameras = json.loads((SAMPLE / "cameras.json").read_text())
    (folder / "cameras.json").write_text(json.dumps({k: v for k, v in cameras.items() if k not in unused}))
    about = {"capture": "dancer", "frame_rate": 8.0, "pixel_origin": "corner"}
    (folder / "splits.json").write_text(json.dumps(about | SPLITS))
    write_surface(folder, 8)
    return folder


def write_surface(folder: Path, frame_id: int) -> None:
    """The naked body as the true surface of a frame."""
    capture = open_capture(folder)
    body = load_body(capture.rig).shaped(capture.shape).posed(capture.pose(frame_id))
    (folder / "surface").mkdir()
    np.save(folder / "surface" / f"{frame_id:06d}.npy", body.vertices_world.numpy())
    np.savez(folder / "surface" / "faces.npz", triangles=body.rest.faces.numpy())


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """``avatar`` with these words; gives the exit code."""
    threads = torch.get_num_threads()

    def call(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["avatar", *map(str, words)])
        try:
            import_module("avatar.tools").main()
        except SystemExit as stopped:
            return stopped.code if isinstance(stopped.code, int) else 0
        return 0

    yield call
    torch.set_num_threads(threads)
    set_threads(None)
