"""Who may ask: pages of this server on this machine, with the token that was printed."""

from hmac import compare_digest
from secrets import token_urlsafe

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PROTOCOL = "unfool"
"""The socket's; the token is offered as a second one, since a page cannot set headers there."""
PUBLIC = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def fresh_token() -> str:
    return token_urlsafe(24)


class Guard:
    """Lets through what comes from this machine's own pages; every answer says what a page may load: its own files.

    ``Host`` must be loopback, so that no other name can be made to point here, and ``Origin``, where there is one, this
    server. Everything but the page's own files needs the token.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, public: frozenset[str]):
        self.app, self.token, self.public = app, token, public
        self.hosts = {f"{name}:{port}" for name in LOOPBACK}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if reason := self._refusal(scope):
            return await self._refuse(scope, receive, send, reason)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in PUBLIC.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, sent)

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self.hosts:
            return "this server answers to 127.0.0.1 only"
        if "origin" in headers and headers["origin"].removeprefix("http://") not in self.hosts:
            return "this server answers to its own pages only"
        if scope["type"] == "http" and self._is_open(scope["path"]) and scope["method"] in ("GET", "HEAD"):
            return ""
        if not compare_digest(_offered(headers).encode(), self.token.encode()):
            return "the token is missing or wrong: open the address that unfool studio printed"
        return ""

    def _is_open(self, path: str) -> bool:
        """The page's files; and reports, whose addresses are as hard to guess as the token."""
        return path in self.public or path.startswith("/report/")

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, reason: str) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await PlainTextResponse(reason, 403, headers={**PUBLIC, "connection": "close"})(
                scope, receive, send
            )


def _offered(headers: Headers) -> str:
    """The token of a request: an Authorization header's, or a socket's second protocol."""
    protocols = [part.strip() for part in headers.get("sec-websocket-protocol", "").split(",")]
    if protocols[0] == PROTOCOL and len(protocols) == 2:
        return protocols[1]
    return headers.get("authorization", "").removeprefix("Bearer ")
