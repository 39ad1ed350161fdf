"""``avatar view``: the avatar in the browser."""

import secrets
import socket
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from ..viewer.built_page import built_page
from ..viewer.guard import DoorConfig
from ..viewer.listen import is_loopback, listening_socket, server_of
from ..viewer.server import create_app
from ..viewer.viewer import ViewConfig, Viewer
from .console import say
from .device import use_device


@dataclass(frozen=True, kw_only=True)
class ViewCommand:
    """Look at avatars in the browser, move them, and follow fits that are running. Ctrl-C ends it.

    Example: avatar view --run runs/dancer

    Attributes:
        run: folder of one fit.
        runs: a folder of fits, to choose from in the page.
        capture: folder of the capture the fits were made of, to compare with; by default where it was then.
        port: where the page is; by default the first free one from 8765 on.
        host: address to listen at; any but this machine's own demands a token of everyone who comes.
        token: letters and digits that browsers must know; made up where one is needed.
        browser: open the page at once.
    """

    run: Path | None = None
    runs: Path | None = None
    capture: Path | None = None
    port: int | None = None
    host: str = "127.0.0.1"
    token: str | None = None
    browser: bool = True


def run(config: ViewCommand) -> None:
    """Serve until Ctrl-C."""
    if config.port is not None and not 0 < config.port < 2**16:
        raise ValueError(f"--port: expected a number from 1 to 65535, got {config.port}")
    viewer = Viewer(ViewConfig(run=config.run, runs=config.runs, capture=config.capture))
    token = config.token or (None if is_loopback(config.host) else secrets.token_hex(16))
    names = frozenset() if is_loopback(config.host) else frozenset({socket.gethostname().lower(), config.host.lower()})
    app = create_app(viewer, DoorConfig(token=token, names=names), built_page())
    use_device("cpu")
    with listening_socket(config.host, config.port) as listener:
        query = f"?token={token}" if token else ""
        address = f"http://{_shown(config.host)}:{listener.getsockname()[1]}/{query}"
        say(f"{address}   Ctrl-C ends it")
        if config.browser:
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server_of(app).run(sockets=[listener])


def _shown(host: str) -> str:
    """The host as others write it in an address."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
