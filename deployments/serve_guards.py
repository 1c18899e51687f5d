"""Who may ask the service, and how much at once."""

import hmac
from typing import Final

from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 2**20
"""Of a request: ten thousand ratings take half of it."""
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_OPEN: Final = frozenset({"/", "/health"})
"""Paths that ask for no token: the page asks for it itself."""


def sentence(status: int, text: str) -> JSONResponse:
    """An answer that says what is wrong."""
    return JSONResponse({"error": " ".join(text.split())}, status)


class Guarded:
    """Lets requests in: those with the token, or (without one) those to this machine's names."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] == "http" and (refused := self._refused(scope)) is not None:
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        if self._token is None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
            if name.strip("[]") in self._hosts:
                return None
            return sentence(400, "This service answers to the names of this machine alone.")
        if scope["path"] in _OPEN:
            return None
        shown = headers.get(b"authorization", b"")
        if hmac.compare_digest(shown, f"Bearer {self._token}".encode()):
            return None
        found = sentence(401, "Show the token: `Authorization: Bearer TOKEN`.")
        found.headers["WWW-Authenticate"] = "Bearer"
        return found


class Bounded:
    """Refuses bodies of more than `MOST_BYTES`, before they are read, or while they come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        refusal = sentence(413, f"The body is longer than {MOST_BYTES:,} bytes.")
        refusal.headers["Connection"] = "close"
        if not told.isdigit() or int(told) > MOST_BYTES:
            await refusal(scope, receive, send)
            return
        await self._counted(scope, receive, send, refusal)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, refusal: Response) -> None:
        read, over, begun = 0, False, False

        async def counted() -> Message:
            nonlocal read, over
            message = await receive()
            read += len(message.get("body", b""))
            over = over or read > MOST_BYTES
            return {"type": "http.disconnect"} if over else message

        async def told(message: Message) -> None:
            nonlocal begun
            if not over or begun:
                begun = True
                await send(message)

        try:
            await self._app(scope, counted, told)
        except Exception:
            if not over:
                raise
        if over and not begun:
            await refusal(scope, receive, send)
