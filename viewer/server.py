"""The viewer's HTTP interface: the built page, and what it asks for. It reads the folders it was given, writes none."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import PurePath
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response, WebSocket
from starlette.exceptions import HTTPException as HttpError
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from avatar.capture import MissingFileError

from .built_page import MEDIA_TYPES
from .contract import as_json
from .guard import DoorConfig, Guard
from .live import Followers
from .uploads import Uploads
from .viewer import Viewer
from .work import Work

CHUNK_BYTES = 2**18
LONGEST_NAME = 255
TENSORS = "application/octet-stream"


def create_app(viewer: Viewer, door: DoorConfig, page: Mapping[str, bytes]) -> FastAPI:
    """The application; ``page`` has the files of the page by name, see ``built_page``."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, config=door)
    for name, content in page.items():
        answer = _file(content, MEDIA_TYPES[PurePath(name).suffix])
        for path in ("/", f"/{name}") if name == "index.html" else (f"/{name}",):
            app.add_api_route(path, answer)
    app.include_router(Api(viewer).router(), prefix="/api/runs")
    for error in (FileNotFoundError, MissingFileError):
        app.add_exception_handler(error, _reports(404))
    for error in (ValueError, OSError):
        app.add_exception_handler(error, _reports(422))
    app.add_exception_handler(HttpError, _report_http)
    app.add_exception_handler(ClientDisconnect, _reports(400))
    app.add_exception_handler(500, _report_failure)
    return app


class Api:
    """What the page asks for; see ``page/src/data/source.ts``.

    Avatars are worked on one at a time, and pictures beside them.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._work, self._pictures = Work(1), Work(2)
        self._uploads, self._followers = Uploads(), Followers()

    def router(self) -> APIRouter:
        """The routes, below the list of runs."""
        router = APIRouter()
        answers = {
            "": self._runs,
            "/{run}/scene": self._scene,
            "/{run}/motions": self._motions,
            "/{run}/motions/{key}": self._motion,
            "/{run}/capture": self._capture,
            "/{run}/capture/{camera}/{frame}.png": self._picture,
            "/{run}/coverage": self._coverage,
            "/{run}/metrics": self._metrics,
            "/{run}/events": self._events,
            "/{run}/page.html": self._page,
        }
        for path, answer in answers.items():
            router.add_api_route(path, answer)
        router.add_api_route("/{run}/motions", self._retarget, methods=["POST"])
        router.add_api_websocket_route("/{run}/live", self._live)
        return router

    async def _runs(self, request: Request) -> Response:
        return _json(await self._pictures(request, lambda: [run.info() for run in self._viewer.folders.all()]))

    async def _scene(self, request: Request, run: str) -> Response:
        loaded = await self._work(request, lambda: self._viewer.avatar(run))
        tag = f'"{loaded.version}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return _bytes(await self._work(request, lambda: loaded.scene), TENSORS, {"ETag": tag})

    async def _motions(self, request: Request, run: str) -> Response:
        return _json(await self._work(request, lambda: self._viewer.motions(run)))

    async def _motion(self, request: Request, run: str, key: str) -> Response:
        return _bytes(await self._work(request, lambda: self._viewer.motion(run, key)), TENSORS)

    async def _retarget(self, request: Request, run: str, name: str = "") -> Response:
        file_name = PurePath(name.replace("\\", "/")).name
        if not 0 < len(file_name) <= LONGEST_NAME or not file_name.isprintable():
            raise HTTPException(422, "the name of the file is missing or not a name; send it as ?name=walk.bvh")
        self._viewer.folders.find(run)
        async with self._uploads.content(request) as content:
            moved = await self._work(request, lambda: self._viewer.retarget(run, file_name, content))
        return _bytes(moved, TENSORS)

    async def _capture(self, request: Request, run: str) -> Response:
        return _json(await self._work(request, lambda: self._viewer.capture(run)))

    async def _picture(self, request: Request, run: str, camera: str, frame: str) -> Response:
        png = await self._pictures(request, lambda: self._viewer.picture(run, camera, frame))
        return _bytes(png, "image/png")

    async def _coverage(self, request: Request, run: str) -> Response:
        return _bytes(await self._work(request, lambda: self._viewer.coverage(run)), TENSORS)

    async def _metrics(self, request: Request, run: str) -> Response:
        return _json(await self._pictures(request, lambda: self._viewer.folders.find(run).metrics()))

    async def _events(self, request: Request, run: str) -> Response:
        return _json(await self._pictures(request, lambda: self._viewer.folders.find(run).events()))

    async def _page(self, request: Request, run: str) -> Response:
        page = await self._work(request, lambda: self._viewer.page(run))
        saved_as = f"attachment; filename*=utf-8''{quote(run, safe='')}.html"
        return _bytes(page, "text/html", {"Content-Disposition": saved_as})

    async def _live(self, socket: WebSocket, run: str) -> None:
        try:
            found = await to_thread.run_sync(self._viewer.folders.find, run)
        except (FileNotFoundError, OSError):
            await socket.close(1008)
            return
        await self._followers.serve(socket, found)


def _json(value: object, status: int = 200) -> Response:
    return Response(as_json(value), status, media_type="application/json")


def _bytes(content: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """In parts, so that a client that reads slowly holds no copy of it."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]

    sized = {"Content-Length": str(len(content)), **(headers or {})}
    return StreamingResponse(parts(), media_type=media_type, headers=sized)


def _file(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(content, media_type=media_type)

    return answer


def _reports(status: int) -> Callable[[Request, Exception], Response]:
    return lambda request, error: _json({"detail": " ".join(str(error).split())}, status)


def _report_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HttpError)
    answer = _json({"detail": str(error.detail)}, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _report_failure(request: Request, error: Exception) -> Response:
    return _json({"detail": "the server failed; its terminal says why"}, 500)
