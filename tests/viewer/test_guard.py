"""Who is let in: this machine's own pages, and whoever has the token."""

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from viewer.guard import DoorConfig
from viewer.runs import RunFolder

from .conftest import Client

TOKEN = "0123456789abcdef"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def locked(app: FastAPI, portal: BlockingPortal) -> Client:
    """The same server for those who know the token, under the machine's name."""
    app.user_middleware[0].kwargs["config"] = DoorConfig(token=TOKEN, names=frozenset({"studio"}))
    return Client(app, portal, "studio:8765")


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765", "192.168.1.5:8765"])
def test_addresses_and_localhost_are_known(client: Client, host: str):
    assert client.get("/api/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "a b"]
)
def test_a_strange_name_is_dns_rebinding(client: Client, host: str):
    answer = client.get("/api/runs", headers={"Host": host})
    assert answer.status_code == 400
    assert "address" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8765.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_get_nothing(client: Client, headers: dict[str, str]):
    assert client.get("/api/runs", headers=headers).status_code == 403
    assert client.post("/api/runs/dancer/motions?name=a.bvh", headers=headers, content=b"x").status_code == 403


def test_our_own_page_gets_everything_without_cors(client: Client):
    own = {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}
    answer = client.get("/api/runs", headers=own)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link to the page


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_socket_from_elsewhere_is_refused(port: int, headers: dict[str, str]):
    url = f"http://127.0.0.1:{port}/api/runs/dancer/live"
    assert httpx.get(url, headers=UPGRADE | headers).status_code == 403


def test_a_socket_from_here_is_taken(port: int):
    url = f"ws://127.0.0.1:{port}/api/runs/dancer/live"
    with connect(url, origin=Origin(f"http://127.0.0.1:{port}")) as live:
        assert live.ping().wait(5)
    with pytest.raises(InvalidStatus), connect(url.replace("dancer", "nobody")):
        pass


def test_without_the_token_nothing_is_served(locked: Client):
    for path in ("/", "/viewer.js", "/api/runs", "/api/runs/dancer/scene", "/?token=", "/?token=0123456789abcdeg"):
        assert locked.get(path).status_code == 401, path
    assert locked.get(f"/api/runs?token={TOKEN}").status_code == 401  # a token in an address would be logged everywhere
    for cookie in ("avatar_token=wrong", "avatar_token=", ";;;", 'avatar_token="', "avatar_token=\xe9"):
        assert locked.get("/api/runs", headers={"Cookie": cookie.encode("latin-1")}).status_code == 401


def test_the_token_becomes_a_cookie_that_scripts_do_not_see(locked: Client):
    answer = locked.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    known = {"Cookie": f"other=1; avatar_token={TOKEN}"}
    assert locked.get("/api/runs", headers=known).status_code == 200
    assert locked.get("/api/runs", headers=known | {"Host": "evil.example"}).status_code == 400


def test_a_weak_token_is_refused():
    for token in ("", "a b", "a;b", "é"):
        with pytest.raises(ValueError, match="token"):
            DoorConfig(token=token)


def test_refusals_have_the_headers_too(client: Client):
    for answer in (client.get("/", headers={"Host": "evil.example"}), client.get("/api/runs/nobody/scene")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_failure_of_ours_is_one_line(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RunFolder, "metrics", lambda run: 1 // 0)
    answer = client.get("/api/runs/dancer/metrics")
    assert (answer.status_code, answer.json()) == (500, {"detail": "the server failed; its terminal says why"})
