"""A folder of runs with a small avatar of the sample capture, and a server of it that has a page of three lines."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree
from threading import Thread
from typing import Any

import httpx
import pytest
import torch
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from avatar.canonical import HybridConfig
from avatar.captures import open_capture
from avatar.checkpoint import save_avatar
from avatar.deform import CorrectivesConfig, DeformConfig
from avatar.evaluate.protocol import METRICS, ImageResult, Report
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.runs import RunRecord
from viewer.guard import DoorConfig
from viewer.listen import listening_socket, server_of
from viewer.server import create_app
from viewer.viewer import ViewConfig, Viewer

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "dancer"
SECRET = b"XyZZy-nobody-may-read-this"
FITTED: list[int] = [0, 4, 8]
PAGE = {
    "index.html": b'<!doctype html><html><head><script type="module" src="./viewer.js"></script></head></html>',
    "viewer.js": b'console.log("</script><!--");',
    "viewer.css": b"body { margin: 0 }",
}


class Client:
    """Asks an application for things without a socket between; what its bugs raise becomes a status of 500."""

    def __init__(self, app: FastAPI, portal: BlockingPortal, host: str = "127.0.0.1:8765") -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal, self._client = portal, httpx.AsyncClient(transport=transport, base_url=f"http://{host}")

    def get(self, url: str, **options: Any) -> httpx.Response:
        """The answer to a GET."""
        return self._portal.call(partial(self._client.get, url, **options))

    def post(self, url: str, **options: Any) -> httpx.Response:
        """The answer to a POST."""
        return self._portal.call(partial(self._client.post, url, **options))


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as a fit leaves it."""
    capture = open_capture(SAMPLE)
    torch.manual_seed(0)
    avatar = HybridAvatar(
        shape=capture.shape,
        poses=capture.poses[FITTED],
        frame_ids=FITTED,
        rig=capture.rig,
        config=HybridAvatarConfig(
            canonical=HybridConfig(num_gaussians=200),
            deform=DeformConfig(correctives=CorrectivesConfig(num_modes=2, num_control_points=20)),
        ),
    )
    run = tmp_path_factory.mktemp("made") / "dancer"
    (run / "checkpoint-0000010").mkdir(parents=True)
    save_avatar(avatar, run / "checkpoint-0000010")
    RunRecord(
        recipe="hybrid", seed=0, capture="dancer", split="train", frame_rate_hz=8.0, capture_folder=str(SAMPLE)
    ).write(run)
    (run / "events.jsonl").write_text('{"step": 5, "psnr": 20.5}\n{"step": 10, "psnr": 21.5}\n{"step": 15, "ps')
    figures = dict.fromkeys(METRICS) | {"psnr": 30.0}
    image = ImageResult(frame_id=1, camera_id=0, camera="a", seconds=0.1, metrics=figures)
    images = (image, replace(image, metrics=figures | {"psnr": 31.0}))
    Report(subject="dancer", split="test_novel_view", images=images).write(run / "evaluation" / "test_novel_view.json")
    return run


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A folder with one finished run of an hour ago, and a secret beside the folder."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    folder = tmp_path / "runs"
    copytree(made, folder / "dancer")
    hour_ago = time.time() - 3600
    for path in [*folder.rglob("*"), folder / "dancer"]:
        os.utime(path, (hour_ago, hour_ago))
    return folder


@pytest.fixture
def app(runs: Path) -> FastAPI:
    """The server of these runs."""
    return create_app(Viewer(ViewConfig(runs=runs)), DoorConfig(), PAGE)


@pytest.fixture
def client(app: FastAPI, portal: BlockingPortal) -> Client:
    """A browser on this machine."""
    return Client(app, portal)


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """The application behind a real socket; gives the port."""
    with listening_socket("127.0.0.1", 0) as listener:
        port, server = listener.getsockname()[1], server_of(app)
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def port(app: FastAPI) -> Iterator[int]:
    """The server of the runs at a port of this machine."""
    with listening(app) as port:
        yield port
