"""Whatever is sent to the server: nothing outside its folders is read, nothing crashes, nothing hangs."""

import itertools
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from fastapi import FastAPI, Request
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import viewer.listen
import viewer.live
import viewer.uploads
from viewer.listen import listening_socket
from viewer.viewer import Viewer

from .conftest import SECRET, listening

HEAD = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
UPS = (
    "..",
    "%2e%2e",
    "..%2f..",
    "%2e%2e%2f%2e%2e",
    "..%5c..",
    "..\\..",
    "....//",
    "%252e%252e",
    "..%00",
    "..;",
    "/",
    "//",
)
TARGETS = ("secret.txt", "..%2fsecret.txt", "etc/passwd", "%2fetc%2fpasswd", "fit.json", "secret.txt%00.png", "c:%5cx")
PLACES = (
    "/",
    "/api/runs/",
    "/api/runs/dancer/",
    "/api/runs/dancer/motions/",
    "/api/runs/dancer/capture/camera_0/",
    "/api/runs/dancer/capture/",
)


def sent(port: int, request: bytes, seconds: float = 5.0) -> bytes:
    """All that comes back until the server closes the connection, or nothing more within ``seconds``."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(2**16):
                answer += part
        except (ConnectionError, TimeoutError):
            pass
    return answer


def is_alive(port: int) -> bool:
    """Whether the server still does its work."""
    return b'"name":"dancer"' in sent(port, b"GET /api/runs" + HEAD)


def test_no_path_leads_outside(port: int):
    paths = [place + up + "/" + target for place, up, target in itertools.product(PLACES, UPS, TARGETS)]
    strange = (*UPS, "secret.txt", "%00", "dancer%00", "dancer%2f..")
    paths += [f"/api/runs/{run}/{what}" for run in strange for what in ("scene", "events")]
    assert len(paths) > 500
    for path in paths:
        answer = sent(port, b"GET " + path.encode() + HEAD)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 307")), (path, answer[:200])
        assert SECRET not in answer, path
    assert is_alive(port)


POST = b"POST /api/runs/dancer/motions?name=a.bvh HTTP/1.1\r\nHost: localhost\r\n"
SCENE = b"GET /api/runs/dancer/scene HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
MALFORMED = {
    "nothing": b"\r\n\r\n",
    "zeros": bytes(1000),
    "noise": np.random.default_rng(0).bytes(5000),
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /api/runs HTTP/1.0\r\n\r\n",
    "two hosts": b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "a long line": b"GET /" + b"a" * 200_000 + HEAD,
    "a long header": GET + b"X: " + b"a" * 10**6 + b"\r\n\r\n",
    "many headers": GET + b"".join(b"X%d: 1\r\n" % i for i in range(20_000)) + b"\r\n",
    "a header without end": GET + b"X: " + b"a" * 10**6,
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 9\r\n\r\nabcd",
    "a length below zero": POST + b"Content-Length: -4\r\n\r\nabcd",
    "a length that is no number": POST + b"Content-Length: 1e3\r\n\r\nabcd",
    "a length without end": POST + b"Content-Length: " + b"9" * 10_000 + b"\r\n\r\nabcd",
    "chunks that are none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of all memory": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\nabcd",
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\nzz\r\n",
    "a split answer": b"GET /%0d%0aSet-Cookie:%20a=1" + HEAD,
    "an address in full": b"GET http://evil.example/api/runs" + HEAD,
    "a strange method": b"BREW /api/runs" + HEAD,
    "a socket without key": GET.replace(b"close", b"Upgrade") + b"Upgrade: websocket\r\n\r\n",
    "a range": GET + b"Range: bytes=-99999999999999999999\r\n\r\n",
    "a cookie": GET + b"Cookie: " + b"a=b;" * 9000 + b"\r\n\r\n",
    "a query": b"GET /?" + b"token=b&" * 7000 + HEAD,
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits for nobody longer than tests do."""
    monkeypatch.setattr(viewer.listen, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(viewer.uploads, "MOST_SECONDS", 0.5)


@pytest.mark.usefixtures("impatient")
def test_malformed_requests_do_no_harm(port: int):
    for what, request in MALFORMED.items():
        answer = sent(port, request)
        assert b" 500 " not in answer[:20], (what, answer[:300])
        assert b"\r\nSet-Cookie" not in answer, what
        assert is_alive(port), what


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("start", [b"", b"GET / HT", GET, GET + b"Content-Length: 9\r\n\r\nabc", POST])
def test_who_does_not_go_on_is_hung_up_on(port: int, start: bytes):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(start)
        try:
            while connection.recv(2**16):
                pass
        except ConnectionResetError:
            pass
    assert is_alive(port)


@pytest.mark.usefixtures("impatient")
def test_who_drips_is_hung_up_on(port: int):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(GET)
        with pytest.raises(ConnectionError):
            drip(connection)
    assert is_alive(port)


def drip(connection: socket.socket) -> None:
    """A header that does not end."""
    for _ in range(100):
        connection.sendall(b"X: 1\r\n")
        time.sleep(0.05)


@pytest.mark.usefixtures("impatient")
def test_who_does_not_take_the_answer_is_hung_up_on(port: int):
    size = len(sent(port, SCENE + b"Connection: close\r\n\r\n"))
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(50 * (SCENE + b"\r\n"))
        time.sleep(2)
        assert taken(connection) < 49 * size
    assert is_alive(port)


def taken(connection: socket.socket) -> int:
    """Number of bytes that still come."""
    count = 0
    with suppress(ConnectionError):
        while part := connection.recv(2**20):
            count += len(part)
    return count


@pytest.mark.usefixtures("impatient")
def test_a_body_that_does_not_come_is_given_up(port: int):
    answer = sent(port, POST + b"Content-Length: 1000\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive" in answer


def test_a_body_that_is_too_large_is_not_read(port: int, monkeypatch: pytest.MonkeyPatch):
    answer = sent(port, POST + b"Content-Length: 99999999999\r\n\r\nabc", 1.0)
    assert answer.startswith(b"HTTP/1.1 413 ")
    monkeypatch.setattr(viewer.uploads, "MOST_BYTES", 2**20)
    endless = b"Transfer-Encoding: chunked\r\n\r\n" + 50 * (b"10000\r\n" + bytes(2**16) + b"\r\n")
    answer = sent(port, POST + endless, 1.0)
    assert not answer or answer.startswith(b"HTTP/1.1 413 ")
    assert is_alive(port)


def test_few_bodies_are_in_memory_at_once(port: int, monkeypatch: pytest.MonkeyPatch):
    read, held, most = viewer.uploads._read, [0], [0]

    async def counted(request: Request) -> bytes:
        held[0] += 1
        most[0] = max(most[0], held[0])
        return await read(request)

    def slow(self: Viewer, *names: object) -> bytes:
        time.sleep(0.05)
        held[0] -= 1
        return b"moved"

    monkeypatch.setattr(viewer.uploads, "_read", counted)
    monkeypatch.setattr(Viewer, "retarget", slow)
    request = POST + b"Connection: close\r\nContent-Length: 1000000\r\n\r\n" + bytes(10**6)
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: sent(port, request), range(40)))
    assert any(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert most[0] <= viewer.uploads.MOST_AT_ONCE
    assert sent(port, request).endswith(b"moved")


def test_many_at_once_are_all_answered(port: int):
    paths = (b"scene", b"motions/fitted", b"capture/camera_1/3.png", b"events", b"coverage")
    requests = [b"GET /api/runs/dancer/" + path + HEAD for path in paths] * 30
    with ThreadPoolExecutor(50) as pool:
        statuses = [answer[9:12] for answer in pool.map(lambda request: sent(port, request, 30), requests)]
    assert set(statuses) <= {b"200", b"503"}
    assert statuses.count(b"200") > 75
    assert is_alive(port)


def test_who_goes_away_while_it_is_worked_on_stops_nothing(port: int, monkeypatch: pytest.MonkeyPatch):
    begun, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(Viewer, "coverage", lambda self, run: begun.set() or (may_end.wait(20) and b"covered"))
    request = b"GET /api/runs/dancer/coverage" + HEAD
    connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(30)]
    for connection in connections:
        connection.sendall(request)
    assert begun.wait(5)
    for connection in connections:
        connection.close()
    assert is_alive(port)  # which needs no avatar
    may_end.set()
    assert sent(port, request).endswith(b"covered")


def test_sockets_are_few_quiet_and_end_with_the_server(app: FastAPI, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(viewer.live, "MOST_FOLLOWERS", 3)
    with ExitStack() as stack, listening(app) as port:
        url = f"ws://127.0.0.1:{port}/api/runs/dancer/live"
        followers = [stack.enter_context(connect(url)) for _ in range(3)]
        with pytest.raises(InvalidStatus), connect(url):
            pass
        for word in ("hello", b"\xff\x00", "[" * 4000):
            followers[0].send(word)
        followers[1].recv(5)  # which checkpoint is the newest
        followers[1].send("a" * 10**6)
        with pytest.raises(ConnectionClosed):
            followers[1].recv(5)
        assert is_alive(port)
        with connect(url):  # in the place of the one that was thrown out
            pass
    listening_socket("127.0.0.1", port).close()  # the port is free at once
