"""Who may talk to the server: pages that it served itself, and programs of people who may; see ``Guard``."""

import ipaddress
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .contract import as_json

COOKIE = "avatar_token"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "worker-src 'self' blob:",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, kw_only=True)
class DoorConfig:
    """Who is let in.

    Attributes:
        token: what a client must know, or None where only this machine can reach the server.
        names: of this machine, besides its addresses and localhost.
    """

    token: str | None = None
    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.token is not None and not (self.token.isascii() and self.token.isalnum()):
            raise ValueError("DoorConfig.token: expected letters and digits, got others or none")


class Guard:
    """ASGI middleware: everything that reaches the application has passed it.

    A ``Host`` that is a strange name is a page that made its own name point here (DNS rebinding). A foreign ``Origin``,
    or ``Sec-Fetch-Site`` of a request for data, is another page in the same browser. The token comes once in the
    address, and lives on in a cookie that scripts cannot read and other sites cannot send.
    """

    def __init__(self, app: ASGIApp, config: DoorConfig) -> None:
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, or answer with the reason."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = self._answer(scope)
        if answer and scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif answer:
            await answer(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._knows_host(headers.getlist("host")):
            return _refusal(400, "this address is not the server's; open the one that avatar view printed")
        if _is_foreign(scope, headers):
            return _refusal(403, "the request comes from another site")
        if self._config.token is None or self._is_token(_cookie(headers)):
            return None
        if self._is_token(_first(scope["query_string"], "token")) and scope["path"] == "/":
            answer = RedirectResponse("./", 303)
            answer.set_cookie(COOKIE, self._config.token, httponly=True, samesite="strict")
            return answer
        return _refusal(401, "the token is missing or wrong; open the address that avatar view printed")

    def _knows_host(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        name = _host_name(hosts[0])
        return name in {"localhost", *self._config.names} or _is_address(name)

    def _is_token(self, given: str) -> bool:
        assert self._config.token is not None
        return secrets.compare_digest(given.encode("utf-8", "replace"), self._config.token.encode())


def _host_name(host: str) -> str:
    """Without the port; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(scope: Scope, headers: Headers) -> bool:
    origins = headers.getlist("origin")
    own = {f"{scheme}://{headers['host']}".lower() for scheme in ("http", "https")}
    if len(origins) > 1 or any(origin.lower() not in own for origin in origins):
        return True
    return scope["path"].startswith("/api") and headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _first(query: bytes, name: str) -> str:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=8).get(name, [""])[0]
    except ValueError:
        return ""


def _refusal(status: int, detail: str) -> Response:
    return Response(as_json({"detail": detail}), status, media_type="application/json")


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-cache")
        await send(message)

    return wrapped
