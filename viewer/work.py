"""Computations beside the event loop, few at a time, for clients that still wait for them."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")
MOST_WAITING = 64


class Work:
    """``slots`` threads. A client that goes away leaves the queue; what has begun ends, and then frees its slot."""

    def __init__(self, slots: int) -> None:
        self._limiter = CapacityLimiter(slots)

    async def __call__(self, request: Request, function: Callable[[], T]) -> T:
        """What ``function`` returns or raises.

        HTTPException 503 where too many wait already; ClientDisconnect when nobody waits for the answer any more. The
        body of the request has been read.
        """
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise HTTPException(503, "busy; try again in a moment", {"Retry-After": "2"})
        work = asyncio.ensure_future(to_thread.run_sync(function, limiter=self._limiter))
        gone = asyncio.ensure_future(_disconnected(request))
        work.add_done_callback(_taken_note_of)
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            gone.cancel()
            work.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _taken_note_of(work: asyncio.Future) -> None:
    """Says that a failure nobody waits for any more may be forgotten."""
    if not work.cancelled():
        work.exception()
