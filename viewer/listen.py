"""The server on a port of this machine, until Ctrl-C."""

import asyncio
import errno
import ipaddress
import logging
import socket
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

FIRST_PORT, MOST_PORTS = 8765, 100
PATIENCE_SECONDS = 10.0
MOST_CONNECTIONS = 100
MOST_HEADER_BYTES = 2**16
MOST_MESSAGE_BYTES = 2**12

logger = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening_socket(host: str, port: int | None) -> socket.socket:
    """A socket at ``port``, or at the first free one from ``FIRST_PORT`` on. ValueError says what stands in the way."""
    problem: OSError | None = None
    for number in range(FIRST_PORT, FIRST_PORT + MOST_PORTS) if port is None else (port,):
        try:
            family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, number), family=family)
        except socket.gaierror as error:
            raise ValueError(f"--host {host}: no such address of this machine ({error.strerror})") from error
        except OSError as error:
            problem = error
            if error.errno != errno.EADDRINUSE:
                break
    assert problem is not None
    if problem.errno == errno.EADDRINUSE and port is not None:
        raise ValueError(f"--port {port}: taken by another program; leave it out to take a free one") from problem
    raise ValueError(f"cannot listen at {host}, port {port or FIRST_PORT}: {problem.strerror}") from problem


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 for clients that say what they want within ``PATIENCE_SECONDS``, and take the answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self.loop.call_later(PATIENCE_SECONDS, self._look, (None, 0))

    def _look(self, before: Any) -> None:
        """Hang up where nothing has moved since the last look, and the client is to blame."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # or a WebSocket now
            return
        waiting_bytes = self.transport.get_write_buffer_size()
        is_answered = not self.cycle or self.cycle.response_complete
        is_silent = is_answered and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if before == (self.cycle, waiting_bytes) and (is_silent or waiting_bytes):
            self.transport.abort()
        else:
            self.loop.call_later(PATIENCE_SECONDS, self._look, (self.cycle, waiting_bytes))


def server_of(app: ASGIApp) -> uvicorn.Server:
    """A server for ``run(sockets=[...])``, which ends at Ctrl-C, or when ``should_exit`` is set, and frees the port."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=ImpatientProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            ws_max_size=MOST_MESSAGE_BYTES,
            ws_max_queue=4,
            timeout_graceful_shutdown=1,
        )
    )
