"""Bodies of requests: few at a time, no larger and no slower than they may be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request

MOST_BYTES = 64 * 2**20
MOST_SECONDS = 60.0
MOST_AT_ONCE, MOST_WAITING = 2, 8


class Uploads:
    """What clients send, of which only ``MOST_AT_ONCE`` are in memory; others wait before their first byte is read."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._waiting = 0

    @asynccontextmanager
    async def content(self, request: Request) -> AsyncIterator[bytes]:
        """The body; its memory is free for the next when the context ends. HTTPException 413, 408 or 503."""
        if int(_announced(request)) > MOST_BYTES:
            raise _too_large()
        if self._waiting >= MOST_WAITING:
            raise HTTPException(503, "busy with other files; try again in a moment", {"Retry-After": "5"})
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield await _read(request)
        finally:
            self._slots.release()


async def _read(request: Request) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BYTES:
                    raise _too_large()
                parts.append(part)
    except TimeoutError as error:
        raise HTTPException(408, f"the file did not arrive within {MOST_SECONDS:.0f} s; send it again") from error
    return b"".join(parts)


def _announced(request: Request) -> str:
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal() and len(length) < 20):
        raise HTTPException(400, "Content-Length is not a number")
    return length


def _too_large() -> HTTPException:
    return HTTPException(413, f"the file is larger than {MOST_BYTES // 2**20} MB; cut it")
