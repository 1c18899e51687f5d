"""A small service of a finished model, and a page to try it.

    python -m deployments.serve                      # the promoted run, http://127.0.0.1:8400
    python -m deployments.serve --run latest --port 9000
    RECSYS_SERVE_TOKEN=... python -m deployments.serve --host 0.0.0.0

Lists for known users and for whoever sends ratings, with reasons; similar items; nothing is trained
and nobody else is asked. It reads the folder of a served model (docs/serving.md) and takes a newer
one without dropping a request. On loopback only, unless a host is named: then a token is needed.
"""

import argparse
import hmac
import logging
import os
import secrets
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys_core import __version__
from recsys_core.config.run import runs_place
from recsys_core.errors import DataError, RecsysError
from recsys_core.serving.people import MOST_RATINGS, known_item, known_user, rated_rows
from recsys_core.serving.person import People, PersonalList
from recsys_core.serving.product.model import ServedModel, open_model
from recsys_core.serving.product.pointer import SERVED, product_of
from recsys_core.serving.similar import similar_items
from recsys_core.serving.visitors import FOLDED_IN, KNOWN, NOTHING_KNOWN

TOKEN: Final = "RECSYS_SERVE_TOKEN"  # noqa: S105 - the name of the variable
PAGE: Final = Path(__file__).with_name("serve.html")
MOST_BYTES: Final = 2**20
"""Of a request: ten thousand ratings take half of it."""
_INLINE: Final = 200
"""Ratings up to which an answer takes a few milliseconds, and no thread."""
_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_STATUS: Final = {
    KNOWN: "placed by the training",
    FOLDED_IN: "placed by ratings, without training",
    NOTHING_KNOWN: "nothing is known yet: what is popular",
}
_OPEN: Final = frozenset({"/", "/health"})
"""Paths that ask for no token: the page asks for it itself."""

logger = logging.getLogger("recsys.serve")


class Rated(BaseModel):
    """One rating: of a title or of an item."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=500)] | None = None
    item_id: int | Annotated[str, Field(max_length=200)] | None = None
    rating: float | None = None
    timestamp: int | None = None


class Asked(BaseModel):
    """For whom: a known user, or somebody with a history; both: a user with further ratings."""

    model_config = ConfigDict(extra="forbid")

    user: int | Annotated[str, Field(max_length=200)] | None = None
    history: Annotated[list[Rated], Field(max_length=MOST_RATINGS)] | None = None
    k: Annotated[int, Field(ge=1, le=100)] = 10


class Models:
    """The model that answers, exchanged as a whole when a newer one serves.

    Args:
        place: as `open_model` takes it.
        runs_root: folder of the runs.
    """

    def __init__(self, place: str, runs_root: str) -> None:
        self._place, self._runs_root = place, runs_root
        self._stop = threading.Event()
        self.people = People(open_model(place, runs_root))

    def look(self) -> bool:
        """Load another model if another one serves now; whether it was."""
        try:
            if product_of(self._place, self._runs_root) == self.people.model.uri:
                return False
            self.people = People(open_model(self._place, self._runs_root))
        except RecsysError as error:
            # Whoever is served stays served; the reason is told until it is mended.
            logger.warning("The model stays as it is: %s", error.seen)
            return False
        logger.info("Now serving %s", self.people.model.uri)
        return True

    def watch(self, seconds: float) -> None:
        """Look again and again, in a thread of its own."""

        def run() -> None:
            while not self._stop.wait(seconds):
                self.look()

        threading.Thread(target=run, daemon=True, name="newer-model").start()

    def stop(self) -> None:
        """End the looking."""
        self._stop.set()


def application(
    models: Models, *, token: str | None = None, hosts: frozenset[str] = _LOOPBACK_NAMES
) -> ASGIApp:
    """The routes.

    Args:
        models: who answers.
        token: what callers have to show; None for nothing.
        hosts: names that requests may address; checked where there is no token, so that no page
            from elsewhere can ask through somebody's browser.
    """
    app = FastAPI(
        title="Recommendations", version=__version__, docs_url=None, redoc_url=None,
        description="Lists with reasons from a finished model.",
    )  # fmt: skip

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Which model answers."""
        model = models.people.model
        return {
            "status": "ok", "model": model.content_hash, "items": model.items.height,
            "users": model.user_ids.len(), "rating": _scale(model),
        }  # fmt: skip

    @app.post("/recommend")
    async def recommend(asked: Asked) -> dict[str, Any]:
        """The best items for a user, each with a reason."""
        people = models.people
        if asked.history is not None and len(asked.history) > _INLINE:
            return await run_in_threadpool(answer, people, asked)
        return answer(people, asked)

    @app.get("/similar/{item}")
    async def similar(
        item: Annotated[str, Field(max_length=200)], k: Annotated[int, Query(ge=1, le=100)] = 10
    ) -> dict[str, Any]:
        """The items that the model holds most alike, and what they share."""
        model = models.people.model
        found = similar_items(model, _known_item(model, item), k)
        return {"items": [asdict(one) for one in found]}

    @app.get("/titles")
    async def titles(
        q: Annotated[str, Query(max_length=200)], k: Annotated[int, Query(ge=1, le=50)] = 10
    ) -> dict[str, Any]:
        """Items whose titles hold these words."""
        return {"items": models.people.model.titles.search(q, k)}

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return _page()

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return _docs(app.openapi())

    app.exception_handler(RequestValidationError)(_not_valid)
    app.exception_handler(StarletteHTTPException)(_http_error)
    app.exception_handler(RecsysError)(_refused)
    return Bounded(Guarded(app, token, hosts))


def answer(people: People, asked: Asked) -> dict[str, Any]:
    """The list of a known user, or of whoever sends a history.

    Raises:
        HTTPException: the user is not known, or nobody is named.
        DataError: a rating cannot be used.
    """
    model = people.model
    if asked.user is None and asked.history is None:
        raise HTTPException(422, "Give a `user`, a `history`, or both.")
    user = None
    if asked.user is not None:
        user = known_user(model, asked.user)
        if user is None:
            raise HTTPException(404, f"The model knows no user {asked.user!r}.")
    if user is not None and not asked.history:
        return _told(people.of_user(user, asked.k), model)
    rows = [one.model_dump(exclude_none=True) for one in asked.history or ()]
    return _told(people.of_ratings(rated_rows(model, rows), asked.k, user), model)


def _told(found: PersonalList, model: ServedModel) -> dict[str, Any]:
    return {
        "model": model.content_hash[:16],
        "status": _STATUS[found.status],
        "items": [asdict(one) for one in found.entries],
    }


def _known_item(model: ServedModel, given: str) -> Any:
    item = known_item(model, given)
    if item is None:
        raise HTTPException(404, f"The model has no item {given!r}.")
    return item


def _scale(model: ServedModel) -> dict[str, Any]:
    scale = model.scale
    return {
        "implicit": scale.is_implicit, "lowest": scale.rating_min, "highest": scale.rating_max,
        "like_from": scale.like_from,
    }  # fmt: skip


def _sentence(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": " ".join(text.split())}, status)


async def _not_valid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return _sentence(422, f"{where}: {first['msg'][:200].removesuffix('.')}.")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for it
    return _sentence(error.status_code, str(error.detail))


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RecsysError)  # noqa: S101 - registered for it
    if isinstance(error, DataError):
        return _sentence(422, f"{error.seen} Expected: {error.expected}")
    logger.error("%s", error)
    return _sentence(500, "The model cannot answer; the log of the service says why.")


def _page() -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    return _html(PAGE.read_text("utf-8").replace("{{nonce}}", nonce), nonce)


def _html(text: str, nonce: str) -> HTMLResponse:
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    }  # fmt: skip
    return HTMLResponse(text, headers=headers)


def _docs(schema: dict[str, Any]) -> HTMLResponse:
    """The routes in words; /openapi.json has all of it, and no script from elsewhere is needed."""
    from html import escape

    rows = "".join(
        f"<tr><td><code>{escape(method.upper())} {escape(path)}</code></td>"
        f"<td>{escape(told.get('description') or told.get('summary', ''))}</td></tr>"
        for path, methods in schema["paths"].items()
        for method, told in methods.items()
    )
    body = escape(
        '{"user": 12}  or  {"history": [{"title": "Alien", "rating": 5},'
        ' {"item_id": 50, "rating": 4}], "k": 10}'
    )
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Routes</title>"
        f"<h1>Routes</h1><table>{rows}</table><p>POST /recommend takes <code>{body}</code>.</p>"
        "<p>Errors are <code>{&quot;error&quot;: &quot;one sentence&quot;}</code>."
        ' All of it: <a href="/openapi.json">/openapi.json</a>.</p></html>'
    )
    return _html(text, secrets.token_urlsafe(16))


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
            return _sentence(400, "This service answers to the names of this machine alone.")
        if scope["path"] in _OPEN:
            return None
        shown = headers.get(b"authorization", b"")
        if hmac.compare_digest(shown, f"Bearer {self._token}".encode()):
            return None
        found = _sentence(401, "Show the token: `Authorization: Bearer TOKEN`.")
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
        refusal = _sentence(413, f"The body is longer than {MOST_BYTES:,} bytes.")
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


def main(argv: Sequence[str]) -> int:
    """Serve until interrupted; 2 with one message if it cannot start."""
    options = _parser().parse_args(argv)
    token = os.environ.get(TOKEN) or None
    if not _is_loopback(options.host) and token is None:
        print(
            f"{options.host} is reached from other machines, and there is no token.\n"
            f"  To fix it: put a long secret into the environment variable {TOKEN}, or leave"
            " --host out.",
            file=sys.stderr,
        )
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        models = Models(options.run, options.runs_root)
    except RecsysError as error:
        print(error, file=sys.stderr)
        return 2
    import uvicorn

    models.watch(options.look_every)
    logger.info("Serving %s at http://%s:%d", models.people.model.uri, options.host, options.port)
    # What a single request lacks (an order, ratings) is no news in a service's log.
    logging.getLogger("recsys_core").setLevel(logging.ERROR)
    uvicorn.run(
        application(models, token=token), host=options.host, port=options.port,
        log_level="warning", access_log=False, server_header=False,
    )  # fmt: skip
    models.stop()
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deployments.serve", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    text = "run by name or folder, `latest`, `served`, or the URI of a served model (%(default)s)"
    add("--run", default=SERVED, help=text)
    add("--runs-root", default=runs_place(), help="folder of the runs (%(default)s)")
    add("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    add("--port", type=int, default=8400, help="port (%(default)s)")
    text = "seconds between two looks for a newer model (%(default)s)"
    add("--look-every", type=float, default=10.0, help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
