"""What the page asks for, it gets: the records of ``source.ts``, and the tensors that it reads."""

import gzip
import json
import os
import shutil
import threading
from base64 import b64decode
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import torch
from anyio.from_thread import BlockingPortal
from safetensors.torch import load
from websockets.sync.client import connect

import viewer.live
import viewer.one_file
from avatar.captures import open_capture
from avatar.checkpoint import load_hybrid
from avatar.export import web_scene
from viewer.guard import DoorConfig
from viewer.server import create_app
from viewer.viewer import ViewConfig, Viewer

from .conftest import FITTED, PAGE, SAMPLE, Client

BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftUpLeg
  {
    OFFSET 10 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftLeg
    {
      OFFSET 0 -45 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 -45 0
      }
    }
  }
  JOINT RightUpLeg
  {
    OFFSET -10 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT RightLeg
    {
      OFFSET 0 -45 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 -45 0
      }
    }
  }
  JOINT Spine
  {
    OFFSET 0 20 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 50 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.04
""" + "\n".join(" ".join(["0", "90", "0"] + [str(5 * row)] * 18) for row in range(3))


def same_scene(ours: bytes, theirs: bytes) -> bool:
    """Bit for bit, but for which of its triangles a vertex of the surface is said to be a corner of."""
    first, second = load(ours), load(theirs)
    free = {"surface.corner_ids"}
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first.keys() - free)


def test_runs_are_listed(client: Client):
    assert client.get("/api/runs").json() == [
        {
            "name": "dancer",
            "kind": "hybrid",
            "problem": None,
            "numGaussians": 200,
            "recipe": "hybrid",
            "capture": "dancer",
            "split": "train",
            "step": 10,
            "isFitting": False,
        }
    ]


def test_the_scene_is_the_exported_one_and_comes_once(client: Client, runs: Path):
    answer = client.get("/api/runs/dancer/scene")
    assert same_scene(answer.content, web_scene(load_hybrid(runs / "dancer").eval(), "dancer"))
    assert int(answer.headers["content-length"]) == len(answer.content)
    again = client.get("/api/runs/dancer/scene", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_motions_are_the_fitted_poses_and_those_of_the_capture(client: Client):
    fitted, captured = client.get("/api/runs/dancer/motions").json()
    assert (fitted["id"], fitted["numFrames"], fitted["frameRateHz"]) == ("fitted", 3, 8.0)
    assert captured["numFrames"] == open_capture(SAMPLE).num_frames
    motion = client.get("/api/runs/dancer/motions/fitted").content
    assert load(motion)["times_s"].tolist() == [frame / 8 for frame in FITTED]
    assert client.get("/api/runs/dancer/motions/other").status_code == 404


def test_a_motion_file_is_retargeted_and_not_kept(client: Client, runs: Path):
    before = sorted(runs.rglob("*"))
    answer = client.post("/api/runs/dancer/motions?name=walk.bvh", content=BVH)
    assert answer.status_code == 200, answer.text
    assert len(load(answer.content)["local_quats"]) == 3
    header = json.loads(answer.content[8 : 8 + int.from_bytes(answer.content[:8], "little")])
    about = json.loads(header["__metadata__"]["avatar"])
    assert (about["name"], about["frame_rate_hz"], about["is_own"]) == ("walk.bvh", 25.0, False)
    assert any(note.startswith("at rest: ") for note in about["notes"])
    assert sorted(runs.rglob("*")) == before


def test_a_motion_file_plays_as_fast_and_as_long_as_the_page(client: Client):
    fast = BVH.replace("Frame Time: 0.04", "Frame Time: 0.008333333")
    answer = client.post("/api/runs/dancer/motions?name=fast.bvh", content=fast)
    times = load(answer.content)["times_s"]
    assert times.tolist() == pytest.approx([0, 1 / 60])
    row = " ".join(["0"] * 21) + "\n"
    long = BVH.partition("MOTION")[0] + "MOTION\nFrames: 20001\nFrame Time: 0.04\n" + 20_001 * row
    answer = client.post("/api/runs/dancer/motions?name=long.bvh", content=long)
    assert answer.json() == {"detail": "long.bvh: lasts 800 s; the viewer plays 800 s: cut it"}


def test_the_capture_has_cameras_and_pictures(client: Client):
    capture = open_capture(SAMPLE)
    found = client.get("/api/runs/dancer/capture").json()
    assert (found["name"], found["numFrames"]) == ("dancer", capture.num_frames)
    camera = found["cameras"][1]
    np.testing.assert_allclose(np.reshape(camera["cameraFromWorld"], (4, 4)), capture.cameras[1].camera_from_world)
    assert found["splits"]["train"]["frameIds"] == list(capture.splits["train"].frame_ids)
    answer = client.get(f"/api/runs/dancer/capture/{camera['name']}/4.png")
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    frame = capture.load_frame(4, 1, False)
    np.testing.assert_array_equal(pixels[..., 3] == 255, frame.is_foreground)
    np.testing.assert_array_equal(pixels[..., 2::-1], (255 * frame.image).round())
    for wrong in ("nobody/4.png", f"{camera['name']}/9999.png", f"{camera['name']}/x.png", f"{camera['name']}/٤.png"):
        assert client.get(f"/api/runs/dancer/capture/{wrong}").status_code == 404


def test_coverage_is_a_share_of_every_vertex(client: Client):
    coverage = load(client.get("/api/runs/dancer/coverage").content)["coverage"]
    surface = load(client.get("/api/runs/dancer/scene").content)["surface.means"]
    assert coverage.shape == surface.shape[:1]
    assert 0 == coverage.min() < coverage.max() <= 1
    assert coverage.mean() > 0.1


def test_a_moved_capture_is_found_by_the_flag(runs: Path, portal: BlockingPortal):
    (runs / "dancer" / "fit.json").write_text(
        '{"recipe": "hybrid", "seed": 0, "capture": "dancer", "split": "train", "frame_rate_hz": 8.0}'
    )
    for folder, status in ((None, 404), (SAMPLE, 200)):
        app = create_app(Viewer(ViewConfig(run=runs / "dancer", capture=folder)), DoorConfig(), PAGE)
        client = Client(app, portal)
        assert client.get("/api/runs/dancer/capture").status_code == status
        assert len(client.get("/api/runs/dancer/motions").json()) == 1 + (folder is not None)


def test_metrics_and_events(client: Client):
    (metrics,) = client.get("/api/runs/dancer/metrics").json()
    assert (metrics["split"], metrics["subject"], metrics["numImages"]) == ("test_novel_view", "dancer", 2)
    assert metrics["means"]["psnr"] == 30.5
    assert metrics["means"]["ssim"] is None
    events = client.get("/api/runs/dancer/events").json()
    assert events == [{"step": 5, "psnr": 20.5}, {"step": 10, "psnr": 21.5}]


def test_a_running_fit_is_followed(port: int, runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(viewer.live, "LOOK_SECONDS", 0.02)
    run = runs / "dancer"
    (run / "events.jsonl").write_text('{"step": 5}\n{"st')
    with connect(f"ws://127.0.0.1:{port}/api/runs/dancer/live") as live:
        # One may have come while the page was loading another.
        assert json.loads(live.recv(5)) == {"kind": "checkpoint", "step": 10, "events": []}
        with (run / "events.jsonl").open("a") as file:
            file.write('ep": 10, "psnr": NaN, "note": "hm"}\n{"step": 15, "loss": 1e999, "psnr": 22.0}\n')
        rows = [{"step": 10, "note": "hm"}, {"step": 15, "psnr": 22.0}]
        assert json.loads(live.recv(5)) == {"kind": "events", "step": 15, "events": rows}
        shutil.copytree(run / "checkpoint-0000010", run / ".new")
        os.rename(run / ".new", run / "checkpoint-0000020")
        shutil.rmtree(run / "checkpoint-0000010")
        assert json.loads(live.recv(5)) == {"kind": "checkpoint", "step": 20, "events": []}
    (info,) = httpx.get(f"http://127.0.0.1:{port}/api/runs").json()
    assert (info["step"], info["isFitting"]) == (20, True)


def test_a_checkpoint_that_vanishes_is_replaced_by_the_newer_one(runs: Path, monkeypatch: pytest.MonkeyPatch):
    run, read = runs / "dancer", load_hybrid

    def slow(checkpoint: Path):
        if checkpoint.name.endswith("10"):
            shutil.copytree(checkpoint, run / "checkpoint-0000011")
            shutil.rmtree(checkpoint)
        return read(checkpoint)

    monkeypatch.setattr("viewer.avatars.load_hybrid", slow)
    assert Viewer(ViewConfig(runs=runs)).avatar("dancer").version.startswith("checkpoint-0000011")


def test_many_ask_for_one_scene_that_is_made_once(runs: Path, monkeypatch: pytest.MonkeyPatch):
    count, read = [], load_hybrid
    monkeypatch.setattr("viewer.avatars.load_hybrid", lambda checkpoint: count.append(1) or read(checkpoint))
    shown = Viewer(ViewConfig(runs=runs))
    threads = [threading.Thread(target=shown.avatar, args=("dancer",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 1


def test_the_page_and_its_files(client: Client):
    answer = client.get("/")
    assert answer.content == client.get("/index.html").content == PAGE["index.html"]
    assert client.get("/viewer.js").headers["content-type"].startswith("text/javascript")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    missing = client.get("/other.js")
    assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})


def test_the_one_file_page_is_a_download(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(viewer.one_file, "built_page", lambda: PAGE)
    answer = client.get("/api/runs/dancer/page.html")
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''dancer.html"
    embedded = answer.text.partition('id="avatar-embedded">')[2].partition("</script>")[0]
    scene = gzip.decompress(b64decode(json.loads(embedded)["scene"]))
    assert same_scene(scene, client.get("/api/runs/dancer/scene").content)


def test_a_radiance_field_says_what_to_do(client: Client, runs: Path):
    config = runs / "dancer" / "checkpoint-0000010" / "config.json"
    described = json.loads(config.read_text())
    config.write_text(json.dumps(described | {"config": {"kind": "FieldAvatarConfig"}}))
    (info,) = client.get("/api/runs").json()
    assert (info["kind"], info["numGaussians"]) == ("field", 0)
    assert "avatar fit hybrid --from-field" in info["problem"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.json", b"{", "not an avatar's config"),
        ("config.json", b"[" * 100_000, "not an avatar's config"),
        ("avatar.safetensors", b"\xff" * 100, "damaged"),
        ("avatar.safetensors", b"", "damaged"),
    ],
)
def test_a_damaged_checkpoint_is_named(client: Client, runs: Path, name: str, content: bytes, problem: str):
    (runs / "dancer" / "checkpoint-0000010" / name).write_bytes(content)
    (info,) = client.get("/api/runs").json()
    assert problem in info["problem"]
    answer = client.get("/api/runs/dancer/scene")
    assert answer.status_code == 422
    assert "\n" not in answer.json()["detail"]


def test_a_fit_that_has_saved_nothing_waits(client: Client, runs: Path):
    shutil.rmtree(runs / "dancer" / "checkpoint-0000010")
    assert "no checkpoint" in client.get("/api/runs").json()[0]["problem"]
    os.utime(runs / "dancer" / "events.jsonl")
    (info,) = client.get("/api/runs").json()
    assert info["isFitting"]
    assert "again in a minute" in info["problem"]
    assert client.get("/api/runs/dancer/scene").status_code == 404
    assert client.get("/api/runs/dancer/metrics").json() == []


def test_an_empty_folder_has_no_runs(tmp_path: Path, portal: BlockingPortal):
    app = create_app(Viewer(ViewConfig(runs=tmp_path)), DoorConfig(), PAGE)
    assert Client(app, portal).get("/api/runs").json() == []
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Viewer(ViewConfig(run=tmp_path / "nothing"))
    with pytest.raises(ValueError, match="--run"):
        ViewConfig()


def test_numbers_of_the_scene_are_finite(client: Client):
    tensors = load(client.get("/api/runs/dancer/scene").content)
    assert all(bool(torch.isfinite(tensor.float()).all()) for tensor in tensors.values())
