"""A small service of a finished model, and a page to try it.

    python -m deployments.serve                      # the promoted run, http://127.0.0.1:8400
    python -m deployments.serve --run latest --port 9000
    RECSYS_SERVE_TOKEN=... python -m deployments.serve --host 0.0.0.0

Lists for known users and for whoever sends ratings, with reasons; similar items; nothing is trained
and nobody else is asked. It reads the folder of a served model (docs/serving.md) and takes a newer
one without dropping a request. On loopback only, unless a host is named: then a token is needed.
"""

import argparse
import json
import logging
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from deployments.answering import Asked, Models
from deployments.serve_guards import LOOPBACK_NAMES, Bounded, Guarded, sentence
from recsys_core import __version__
from recsys_core.columns import MAX_ID_CHARS
from recsys_core.config.run import runs_place
from recsys_core.errors import DataError, RecsysError
from recsys_core.serving.people import known_item
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.product.pointer import SERVED
from recsys_core.serving.similar import similar_items

TOKEN: Final = "RECSYS_SERVE_TOKEN"  # noqa: S105 - the name of the variable
_OPTIONS: Final = "RECSYS_SERVE_OPTIONS"
"""Variable in which the options reach further processes."""
PAGE: Final = Path(__file__).with_name("serve.html")
_MOST_PROCESSES: Final = 64
_INLINE: Final = 200
"""Ratings up to which an answer takes a few milliseconds, and no thread."""
logger = logging.getLogger("recsys.serve")


def application(
    models: Models, *, token: str | None = None, hosts: frozenset[str] = LOOPBACK_NAMES
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
        model = models.answering.model
        return {
            "status": "ok", "model": model.content_hash, "items": model.items.height,
            "users": model.user_ids.len(), "rating": _scale(model),
        }  # fmt: skip

    @app.post("/recommend")
    async def recommend(asked: Asked) -> Response:
        """The best items for a user, each with a reason."""
        answering = models.answering
        if asked.history is not None and len(asked.history) > _INLINE:
            text = await run_in_threadpool(answering.answer, asked)
        else:
            text = answering.answer(asked)
        return Response(text, media_type="application/json")

    @app.get("/similar/{item}")
    async def similar(
        item: Annotated[str, Field(max_length=MAX_ID_CHARS)],
        k: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> dict[str, Any]:
        """The items that the model holds most alike, and what they share."""
        model = models.answering.model
        found = similar_items(model, _known_item(model, item), k)
        return {"items": [asdict(one) for one in found]}

    @app.get("/titles")
    async def titles(
        q: Annotated[str, Query(max_length=200)], k: Annotated[int, Query(ge=1, le=50)] = 10
    ) -> dict[str, Any]:
        """Items whose titles hold these words."""
        return {"items": models.answering.model.titles.search(q, k)}

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


async def _not_valid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return sentence(422, f"{where}: {first['msg'][:200].removesuffix('.')}.")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for it
    return sentence(error.status_code, str(error.detail))


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RecsysError)  # noqa: S101 - registered for it
    if isinstance(error, DataError):
        return sentence(422, f"{error.seen} Expected: {error.expected}")
    logger.error("%s", error)
    return sentence(500, "The model cannot answer; the log of the service says why.")


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

    uri = models.answering.model.uri
    logger.info("Serving %s at http://%s:%d", uri, options.host, options.port)
    more = {
        "host": options.host, "port": options.port, "log_level": "warning", "access_log": False,
        "server_header": False,
    }  # fmt: skip
    if options.processes == 1:
        uvicorn.run(_watched(models, options.look_every, token), **more)
        models.stop()
    else:
        del models  # it can be opened; each of the processes does so for itself
        os.environ[_OPTIONS] = json.dumps([options.run, options.runs_root, options.look_every])
        several, loop = "deployments.serve:of_process", "deployments.serve_processes:SharingLoop"
        uvicorn.run(several, factory=True, workers=options.processes, loop=loop, **more)
    return 0


def of_process() -> ASGIApp:
    """The routes in one of several processes that listen at the same port."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    run, runs_root, look_every = json.loads(os.environ[_OPTIONS])
    return _watched(Models(run, runs_root), look_every, os.environ.get(TOKEN) or None)


def _watched(models: Models, look_every: float, token: str | None) -> ASGIApp:
    # A request's products are small: threads of BLAS would mostly wait for one another, and those
    # of several processes for the cores.
    threadpool_limits(1)
    # What a single request lacks (an order, ratings) is no news in a service's log.
    logging.getLogger("recsys_core").setLevel(logging.ERROR)
    models.watch(look_every)
    return application(models, token=token)


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
    text = "processes that answer, each with the model in its memory (%(default)s)"
    add("--processes", type=_count, default=1, metavar="N", help=text)
    text = "seconds between two looks for a newer model (%(default)s)"
    add("--look-every", type=float, default=10.0, help=text)
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST_PROCESSES}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
