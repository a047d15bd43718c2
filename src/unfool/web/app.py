"""The server: the page's files, one socket a page, pictures dropped on it. torch is the desk's business."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ..errors import InputError, UnfoolError
from .assets import assets
from .calls import Act, answer_of
from .desk import Desk
from .guard import Guard
from .line import Line, awaited

MOST_PAGES = 32
TICKETS = 8
"""How many reports may be open, the latest."""
ALONE = "; ".join(
    (
        "sandbox allow-scripts allow-popups",
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "script-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
    )
)
"""What a report may do: nothing but show itself."""
MOST_BYTES = 32 << 20
"""Of a picture's file."""


class Studio:
    """What the routes share: the desk, what it does, and how many pages are open."""

    def __init__(self, act: Act):
        self.act, self.desk, self.pages, self.uploads = act, Desk(), 0, 0
        self.tickets: dict[str, Path] = {}

    async def page(self, socket: WebSocket) -> None:
        await socket.accept(subprotocol="unfool")
        if self.pages >= MOST_PAGES:
            return await socket.close(1013, f"{MOST_PAGES} pages are open already: close some")
        self.pages += 1
        try:
            await Line(socket, self.desk, self.act).talk()
        finally:
            self.pages -= 1

    async def picture(self, request: Request) -> Response:
        """A picture file as the body, its name in a header; an answer as over the socket."""
        if self.uploads >= 2:
            return _refused(InputError("two pictures are on their way already", "one after the other"), 429)
        self.uploads += 1
        try:
            content = await _body(request)
            name = unquote(request.headers.get("x-name", "picture"))[:200]
            words = {"do": "adopt", "with": {"name": name, "model": int(request.headers.get("x-model", 0))}}
            found = await awaited(self.desk, lambda job: self.act(job, words, {"content": content}))
            return JSONResponse(answer_of({}, found)[0], 200 if not isinstance(found, Exception) else 422)
        except ValueError as error:
            return _refused(
                error if isinstance(error, UnfoolError) else InputError("x-model must be a number"), 413
            )
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self.uploads -= 1

    async def ticket(self, request: Request) -> Response:
        """An address at which a run's report can be opened by a browser, which sends no token there."""
        words = {"do": "report_of", "with": {"run": request.query_params.get("run", "")}}
        found = await awaited(self.desk, lambda job: self.act(job, words, {}))
        if isinstance(found, Exception):
            return JSONResponse(answer_of({}, found)[0], 404)
        ticket = token_urlsafe(24)
        self.tickets[ticket] = Path(found[0]["path"])
        while len(self.tickets) > TICKETS:
            del self.tickets[next(iter(self.tickets))]
        return JSONResponse({"ok": True, "address": f"report/{ticket}"})

    async def report(self, request: Request) -> Response:
        path = self.tickets.get(request.path_params["ticket"])
        if path is None or not path.is_file():
            return Response("this address is out of date: open the report from the studio", 404)
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": ALONE})


async def _body(request: Request) -> bytes:
    """All of it, unless it is too large: read no further then."""
    said = request.headers.get("content-length", "0")
    content = bytearray()
    if said.isdecimal() and int(said) <= MOST_BYTES:
        async for part in request.stream():
            content += part
            if len(content) > MOST_BYTES:
                break
        else:
            return bytes(content)
    raise InputError(f"a picture's file may have {MOST_BYTES >> 20} MB at most", "make it smaller first")


def _refused(error: UnfoolError, status: int) -> Response:
    return JSONResponse(
        {"ok": False, "error": str(error), "hint": error.hint}, status, {"connection": "close"}
    )


def make_app(act: Act, token: str, port: int, page: str = "unfool.web") -> Starlette:
    """The server's application; it closes its desk when it ends."""
    studio, files = Studio(act), assets(page)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncGenerator[None]:
        yield
        studio.desk.close()

    async def file(request: Request) -> Response:
        found = files[request.url.path]
        return Response(found.content, media_type=found.kind)

    routes = [Route(path, file) for path in files]
    routes += [Route("/report", studio.ticket, methods=["POST"]), Route("/report/{ticket}", studio.report)]
    routes += [Route("/picture", studio.picture, methods=["POST"]), WebSocketRoute("/socket", studio.page)]
    guard = Middleware(Guard, token=token, port=port, public=frozenset(files))
    app = Starlette(routes=routes, middleware=[guard], lifespan=life)
    app.router.redirect_slashes = False
    app.state.studio = studio
    return app
