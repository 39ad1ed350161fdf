"""What a running fit writes, told as it comes."""

import asyncio
from collections.abc import Coroutine

from anyio import to_thread
from fastapi import WebSocket, WebSocketDisconnect

from .contract import LiveMessage, as_json
from .events import last_step
from .runs import RunFolder, step_of

LOOK_SECONDS = 1.0
MOST_FOLLOWERS = 32


class Watch:
    """Looks at a run folder again and again; tells what has come since the last time.

    The newest checkpoint is told first: one may have come while the page was loading.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run, self._diary = run, run.diary().read()[1]
        self._step: int | None = None

    def look(self) -> list[LiveMessage]:
        """New rows and a new checkpoint; most often nothing."""
        rows, self._diary = self._diary.read()
        messages = [LiveMessage(kind="events", step=last_step(rows), events=rows)] if rows else []
        step = self._newest_step()
        if step is not None and step != self._step:
            self._step = step
            messages.append(LiveMessage(kind="checkpoint", step=step))
        return messages

    def _newest_step(self) -> int | None:
        try:
            return step_of(self._run.checkpoint())
        except FileNotFoundError:
            return None


class Followers:
    """The pages that follow a fit, each by a WebSocket that only the server talks on."""

    def __init__(self) -> None:
        self._count = 0

    async def serve(self, socket: WebSocket, run: RunFolder) -> None:
        """Tell the page of ``run`` until it goes away."""
        if self._count >= MOST_FOLLOWERS:
            await socket.close(1013)
            return
        self._count += 1
        try:
            watch = await to_thread.run_sync(Watch, run)
            await socket.accept()
            await _first_of(_tell(socket, watch), _hear(socket))
        finally:
            self._count -= 1


async def _first_of(*tasks: Coroutine[None, None, None]) -> None:
    """Until one of them is over; the others are stopped."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _tell(socket: WebSocket, watch: Watch) -> None:
    while True:
        for message in await to_thread.run_sync(watch.look):
            await socket.send_text(as_json(message).decode())
        await asyncio.sleep(LOOK_SECONDS)


async def _hear(socket: WebSocket) -> None:
    """Returns when the page has gone; what it says is ignored."""
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    except WebSocketDisconnect:
        pass
