"""Whatever lies in the folders of the server, or is dropped on its page: nothing outside is read, nothing crashes."""

import io
import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal

from viewer.guard import DoorConfig
from viewer.server import create_app
from viewer.viewer import ViewConfig, Viewer

from .conftest import PAGE, SAMPLE, SECRET, Client


@pytest.mark.parametrize(
    "name", ["fit.json", "events.jsonl", "evaluation", "evaluation/test.json", "checkpoint-0000020"]
)
def test_no_link_leads_outside(client: Client, runs: Path, name: str):
    outside = runs.parent / "outside"
    shutil.copytree(runs / "dancer", outside)
    for row in ("events.jsonl", "fit.json", "evaluation/test_novel_view.json"):
        text = (outside / row).read_text().replace("dancer", SECRET.decode()).replace('"psnr"', f'"{SECRET.decode()}"')
        (outside / row).write_text(text)
    link = runs / "dancer" / name
    target = {"evaluation/test.json": "evaluation/test_novel_view.json", "checkpoint-0000020": "checkpoint-0000010"}
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(outside / target.get(name, name))
    for what in ("", "/dancer/scene", "/dancer/motions", "/dancer/events", "/dancer/metrics", "/dancer/capture"):
        answer = client.get(f"/api/runs{what}")
        assert answer.status_code < 500
        assert SECRET not in answer.content, what


def test_a_link_is_no_run(client: Client, runs: Path):
    shutil.copytree(runs / "dancer", runs.parent / "outside")
    (runs / "link").symlink_to(runs.parent / "outside")
    assert [run["name"] for run in client.get("/api/runs").json()] == ["dancer"]
    assert client.get("/api/runs/link/scene").status_code == 404


def test_a_picture_that_is_a_link_is_refused(runs: Path, tmp_path: Path, portal: BlockingPortal):
    capture = shutil.copytree(SAMPLE, tmp_path / "dancer")
    (capture / "camera_0" / "000004.jpg").unlink()
    (capture / "camera_0" / "000004.jpg").symlink_to(tmp_path / "secret.txt")
    client = Client(create_app(Viewer(ViewConfig(runs=runs, capture=capture)), DoorConfig(), PAGE), portal)
    answer = client.get("/api/runs/dancer/capture/camera_0/4.png")
    assert (answer.status_code, SECRET in answer.content) == (422, False)
    assert client.get("/api/runs/dancer/capture/camera_0/5.png").status_code == 200


def npz(**arrays: np.ndarray) -> bytes:
    """The bytes of an npz file."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def bomb() -> bytes:
    """A small zip file that says it holds much."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("poses.npy", bytes(2 * 10**8))
    return file.getvalue()


DAMAGED = {
    "nothing": b"",
    "zeros": bytes(10**5),
    "noise": np.random.default_rng(0).bytes(10**5),
    "deep JSON": b"[" * 10**6,
    "deep braces": b"HIERARCHY\nROOT a\n" + b"{\nJOINT a\n" * 10**5,
    "a lie of frames": b"HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Xrotation Yrotation Zrotation\nEnd Site\n{\n"
    b"OFFSET 0 1 0\n}\n}\nMOTION\nFrames: 999999999999\nFrame Time: 0.01\n0 0 0\n",
    "no numbers": b"HIERARCHY\nROOT a\n{\nOFFSET nan inf 0x10\n}\n",
    "objects": npz(poses=np.array([{"a": 1}], dtype=object)),
    "another npz": npz(other=np.zeros(3)),
    "motion of NaN": npz(poses=np.full((9, 165), np.nan), trans=np.zeros((9, 3)), mocap_frame_rate=np.array(30.0)),
    "a bomb": bomb(),
    "a glTF": b"glTF\x02\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7fJSON{}",
    "a safetensors": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
    "a skeleton": b":bonedata\nbegin\n" * 10**4,
    "frames": b":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0\n",
    "an image": (SAMPLE / "camera_0" / "000000.jpg").read_bytes(),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_motion_files_are_told_in_one_line(client: Client, what: str):
    for suffix in ("bvh", "npz", "amc", "asf", "glb", "gltf", "safetensors", "json", "pkl", "exe", ""):
        started = time.monotonic()
        answer = client.post(f"/api/runs/dancer/motions?name=walk.{suffix}", content=DAMAGED[what])
        assert answer.status_code == 422, (suffix, answer.text[:300])
        detail = answer.json()["detail"]
        assert 0 < len(detail) < 1000, suffix
        assert "\n" not in detail
        assert time.monotonic() - started < 5, suffix
    assert client.get("/api/runs").status_code == 200


@pytest.mark.parametrize("name", ["", "/", "..", "a" * 300 + ".bvh", "a%00.bvh", "a%0a.bvh", "%ff", "a%0d%0aX: 1"])
def test_names_of_motion_files_are_names(client: Client, name: str):
    answer = client.post(f"/api/runs/dancer/motions?name={name}", content=b"HIERARCHY")
    assert answer.status_code == 422
    assert "x" not in answer.headers


def test_a_path_as_the_name_of_a_motion_file_is_cut(client: Client):
    for name in ("../../secret.txt", "C:%5Csecret.txt", "/etc/secret.txt"):
        answer = client.post(f"/api/runs/dancer/motions?name={name}", content=b"HIERARCHY")
        assert answer.json()["detail"].startswith("secret.txt: ")


@pytest.mark.parametrize(
    "record",
    ["", "[", "[" * 10**6, "{}", "null", '{"recipe": 1}', '"\\ud800"', "9" * 5000, '{"capture_folder": "/"}', "\x00"],
)
def test_a_strange_record_is_named(client: Client, runs: Path, record: str):
    (runs / "dancer" / "fit.json").write_text(record)
    (info,) = client.get("/api/runs").json()
    assert "fit.json" in info["problem"]
    for what in ("motions", "capture", "coverage", "motions/fitted", "page.html"):
        assert client.get(f"/api/runs/dancer/{what}").status_code in (404, 422), what


@pytest.mark.parametrize("folder", ["/", "/dev", "/proc/self", "relative", "\x00", "a" * 5000, "\ud800"])
def test_a_strange_capture_is_named(client: Client, runs: Path, folder: str):
    record = json.loads((runs / "dancer" / "fit.json").read_text()) | {"capture_folder": folder}
    (runs / "dancer" / "fit.json").write_text(json.dumps(record))
    assert client.get("/api/runs/dancer/capture").status_code in (404, 422)
    assert [motion["id"] for motion in client.get("/api/runs/dancer/motions").json()] == ["fitted"]


def test_strange_rows_and_figures_are_left_out(client: Client, runs: Path):
    rows = [
        "[" * 10**5,
        "null",
        "[1]",
        '{"a": [1], "b": true, "c": null, "d": 1e999}',
        "9" * 5000,
        "\x00",
        '{"e": "\\ud800"}',
    ]
    (runs / "dancer" / "events.jsonl").write_text("\n".join([*rows, '{"step": 7}', ""]))
    assert client.get("/api/runs/dancer/events").json() == [{"e": "\ud800"}, {"step": 7}]
    for number, text in enumerate(rows):
        (runs / "dancer" / "evaluation" / f"{number}.json").write_text(text)
    assert len(client.get("/api/runs/dancer/metrics").json()) == 1


def test_strange_folders_are_no_runs(client: Client, runs: Path):
    for name in (b"new\nline", b"\xff\xfe", b".hidden", b"empty", b"bell\x07"):
        folder = runs / os.fsdecode(name)
        folder.mkdir()
        if name != b"empty":
            (folder / "events.jsonl").touch()
    (runs / "file").write_text("no run")
    shutil.copytree(runs / "dancer", runs / '<b>"& %2e\u00fc')
    names = [run["name"] for run in client.get("/api/runs").json()]
    assert names == ['<b>"& %2e\u00fc', "dancer"]
    answer = client.get("/api/runs/%3Cb%3E%22%26%20%252e%C3%BC/scene")
    assert answer.status_code == 200
