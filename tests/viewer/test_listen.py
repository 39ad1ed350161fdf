"""Ports: the first free one, whose it is when it is taken, and free again at once."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import viewer.listen
from avatar.engine import set_threads
from viewer.listen import is_loopback, listening_socket, server_of


def test_the_first_free_port_is_taken(monkeypatch: pytest.MonkeyPatch):
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(viewer.listen, "FIRST_PORT", port)
        with listening_socket("127.0.0.1", None) as next_free:
            assert port < next_free.getsockname()[1] < port + viewer.listen.MOST_PORTS
        with pytest.raises(ValueError, match=f"--port {port}: taken"):
            listening_socket("127.0.0.1", port)
        monkeypatch.setattr(viewer.listen, "MOST_PORTS", 1)
        with pytest.raises(ValueError, match="cannot listen"):
            listening_socket("127.0.0.1", None)


def test_a_host_of_others_is_refused():
    with pytest.raises(ValueError, match=r"cannot listen at 203\.0\.113\.7"):
        listening_socket("203.0.113.7", 0)
    with pytest.raises(ValueError, match="--host"):
        listening_socket("no such host", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_alone(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio", "localhost.evil.example"])
def test_other_machines_too(host: str):
    assert not is_loopback(host)


@pytest.fixture
def view() -> Iterator[ModuleType]:
    """The command, whose choice of threads is taken back."""
    threads = torch.get_num_threads()
    yield import_module("avatar.tools.view")
    torch.set_num_threads(threads)
    set_threads(None)


def interrupt(port: int, headers: dict[str, str]) -> None:
    """Press Ctrl-C while a page follows a run, which sees the end of it."""
    url = f"ws://127.0.0.1:{port}/api/runs/dancer/live"
    with connect(url, additional_headers=headers, open_timeout=60) as live:
        os.kill(os.getpid(), signal.SIGINT)
        with suppress(ConnectionClosed):
            while True:
                live.recv(30)


@pytest.mark.parametrize("token", [None, "secret123"])
def test_ctrl_c_ends_the_command_and_frees_the_port(
    runs: Path,
    view: ModuleType,
    token: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    listener, servers = listening_socket("127.0.0.1", 0), []
    port = listener.getsockname()[1]
    monkeypatch.setattr(view, "listening_socket", lambda host, port: listener)
    monkeypatch.setattr(view, "server_of", lambda app: servers.append(server_of(app)) or servers[0])
    with ThreadPoolExecutor(1) as pool:
        pressed = pool.submit(interrupt, port, {"Cookie": f"avatar_token={token}"})
        pressed.add_done_callback(lambda _: setattr(servers[0], "should_exit", True))  # whatever went wrong
        view.run(view.ViewCommand(runs=runs, port=port, token=token, browser=False))
        pressed.result(60)
    listening_socket("127.0.0.1", port).close()
    query = f"?token={token}" if token else ""
    assert capsys.readouterr().out == f"http://127.0.0.1:{port}/{query}   Ctrl-C ends it\n"


def test_other_interfaces_demand_a_token(runs: Path, view: ModuleType, monkeypatch: pytest.MonkeyPatch):
    doors = []
    monkeypatch.setattr(view, "create_app", lambda viewer, door, page: doors.append(door))
    monkeypatch.setattr(view, "listening_socket", lambda host, port: listening_socket("127.0.0.1", 0))
    monkeypatch.setattr(view, "server_of", lambda app: SimpleNamespace(run=lambda sockets: None))
    for host in ("127.0.0.1", "0.0.0.0", "192.168.1.5"):
        view.run(view.ViewCommand(runs=runs, host=host, browser=False))
    here, everywhere, there = doors
    assert here.token is None
    assert len(everywhere.token) == len(there.token) == 32
    assert everywhere.token != there.token
    assert socket.gethostname().lower() in everywhere.names


def test_what_cannot_be_shown_is_told_before(runs: Path, view: ModuleType, tmp_path: Path):
    for options, problem in (
        ({}, "expected --run"),
        ({"run": tmp_path / "nothing"}, "no such folder"),
        ({"runs": runs, "capture": tmp_path / "nothing"}, "no such folder"),
        ({"runs": runs, "port": 0}, "--port: expected"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=problem):
            view.run(view.ViewCommand(**options))
