"""A TMDB on loopback: API v3's documented answers, real sockets, failures on request."""

import asyncio
import gzip
import http.server
import json
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
from pydantic import SecretStr

from recsys_core.columns import GENRES, ITEM, OVERVIEW, TITLE, YEAR
from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.tmdb.cache import ResponseCache
from recsys_core.datasets.tmdb.client import TmdbClient

V3_KEY = "0123456789abcdef0123456789abcdef"
V4_KEY = f"eyJhbGciOiJIUzI1NiJ9.{'c2VjcmV0' * 20}.{'c2lnbmVk' * 5}"


def film(
    tmdb_id: int, title: str, released: str, *, original: str | None = None,
    popularity: float = 1.0, overview: str | None = None, language: str = "en",
) -> dict[str, Any]:  # fmt: skip
    """A film as `/search/movie` lists it."""
    return {
        "adult": False, "backdrop_path": None, "genre_ids": [18], "id": tmdb_id,
        "original_language": language, "original_title": original or title,
        "overview": f"What happens in {title}." if overview is None else overview,
        "popularity": popularity, "poster_path": f"/{tmdb_id}.jpg", "release_date": released,
        "title": title, "video": False, "vote_average": 7.1, "vote_count": 1200,
    }  # fmt: skip


def details(found: dict[str, Any]) -> dict[str, Any]:
    """A film as `/movie/{id}?append_to_response=keywords,credits` answers."""
    n = found["id"]
    cast = [
        {
            "adult": False, "gender": 1, "id": 1000 * n + i, "known_for_department": "Acting",
            "name": f"Actor {i} of {n}", "original_name": f"Actor {i} of {n}", "popularity": 3.2,
            "profile_path": None, "cast_id": i, "character": f"Role {i}",
            "credit_id": f"52fe{n}{i}", "order": i,
        }
        for i in (6, 5, 4, 3, 2, 1, 0)
    ]  # fmt: skip
    crew = [
        {"adult": False, "gender": 2, "id": 9 * n + i, "name": f"{job} of {n}", "department": "X",
         "job": job, "credit_id": f"9{n}{i}", "profile_path": None}
        for i, job in enumerate(("Writer", "Director", "Director of Photography"))
    ]  # fmt: skip
    return {key: value for key, value in found.items() if key != "genre_ids"} | {
        "belongs_to_collection": None, "budget": 0, "genres": [{"id": 18, "name": "Drama"}],
        "homepage": "", "imdb_id": f"tt{n:07}", "runtime": 110, "status": "Released", "tagline": "",
        "keywords": {"keywords": [{"id": 1, "name": "friendship"}, {"id": 2, "name": f"k{n}"}]},
        "credits": {"cast": cast, "crew": crew},
    }  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    at: float
    path: str
    query: dict[str, str]
    authorization: str | None

    @property
    def address(self) -> str:
        rest = {name: value for name, value in self.query.items() if name != "api_key"}
        return f"{self.path}?{sorted(rest.items())}"


@dataclass
class FakeTmdb:
    """Its films, its behaviour, and what it saw.

    `faults` are used up one per request: a status; (status, headers); "reset", "cut" (half a
    body), "garbage" (no JSON), "shape" (other JSON), "slow" (no answer for a while).
    """

    films: list[dict[str, Any]]
    url: str = ""
    keys: frozenset[str] = frozenset({V3_KEY, V4_KEY})
    faults: list[Any] = field(default_factory=list)
    delay_s: float = 0.0
    slow_s: float = 0.4
    log: Path | None = None
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arrived(self, seen: Seen) -> Any:
        with self.lock:
            self.seen.append(seen)
            return self.faults.pop(0) if self.faults else None

    def answered(self, seen: Seen) -> None:
        if self.log:
            with self.lock, self.log.open("a") as stream:
                stream.write(f"{seen.address}\n")

    def answer(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        key = seen.query.get("api_key") or (seen.authorization or "").removeprefix("Bearer ")
        if key not in self.keys:
            said = f"Invalid API key: You must be granted a valid key, not {key}."
            return 401, {"status_code": 7, "status_message": said, "success": False}
        if seen.path.endswith("/search/movie"):
            return 200, self.search(seen.query)
        wanted = re.search(r"/movie/(\d+)$", seen.path)
        for one in self.films:
            if wanted and one["id"] == int(wanted[1]):
                return 200, details(one)
        said = "The resource you requested could not be found."
        return 404, {"success": False, "status_code": 34, "status_message": said}

    def search(self, query: dict[str, str]) -> dict[str, Any]:
        words = set(re.findall(r"\w+", query["query"].lower()))
        found = [
            one for one in self.films
            if words <= set(re.findall(r"\w+", f"{one['title']} {one['original_title']}".lower()))
            and query.get("year") in (None, (one["release_date"] or "")[:4])
        ]  # fmt: skip
        return {
            "page": 1, "results": found[:20], "total_pages": 1, "total_results": len(found),
        }  # fmt: skip


@contextmanager
def serving(films: list[dict[str, Any]]) -> Iterator[FakeTmdb]:
    """Run a fake TMDB until the context ends."""
    state = FakeTmdb(films)
    httpd = _Server(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}/3"
    try:
        yield state
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(state: FakeTmdb) -> Callable[..., http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            at, parts = time.monotonic(), urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            seen = Seen(at, parts.path, query, self.headers.get("Authorization"))
            fault = state.arrived(seen)
            time.sleep(state.slow_s if fault == "slow" else state.delay_s)
            if isinstance(fault, int | tuple):
                status, headers = fault if isinstance(fault, tuple) else (fault, {})
                said = {"success": False, "status_code": 25, "status_message": "No."}
                self.reply(status, json.dumps(said).encode(), headers)
            elif fault == "reset":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            else:
                status, answer = state.answer(seen)
                body = json.dumps(answer).encode()
                garbled = {"garbage": b"<html>busy</html>", "shape": b'{"page": 1}'}
                plain = "identity", garbled.get(str(fault), body)
                encoding, body = PACKED.get(str(fault), plain)
                headers = {"Content-Encoding": encoding}
                self.reply(status, body, headers, cut=fault == "cut")
                if fault is None:
                    state.answered(seen)

        def reply(
            self, status: int, body: bytes, headers: dict[str, str], cut: bool = False
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json;charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = self.close_connection or cut

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


_ZEROS = b" " * 2**26
PACKED = {
    "bomb": ("gzip", gzip.compress(_ZEROS)),
    "deflated bomb": ("deflate", zlib.compress(_ZEROS)),
    "no gzip": ("gzip", b"plain"),
    "zstd": ("zstd", b"(\xb5/\xfd"),
    "packed twice": ("gzip, gzip", gzip.compress(gzip.compress(_ZEROS))),
}
"""Faults that are bodies of a few thousand bytes, and how they are packed: 64 MiB unpacked."""

FILMS = [
    film(862, "Toy Story", "1995-11-22", popularity=80.0),
    film(807, "Se7en", "1995-09-22", popularity=70.0),
    film(902, "The City of Lost Children", "1995-05-17", original="La Cité des enfants perdus"),
    film(659, "The Tin Drum", "1979-05-03", original="Die Blechtrommel"),
    film(949, "Heat", "1995-12-15", popularity=40.0),
    film(950, "Heat", "1986-11-13"),
    film(951, "Bare", "1999-01-01", overview=""),
]


def with_client(
    config: TmdbConfig, work: Callable[[TmdbClient], Coroutine[Any, Any, Any]], key: str = V3_KEY
) -> tuple[Any, TmdbClient]:
    """The result of `work` with an open client, and the client."""

    async def main() -> tuple[Any, TmdbClient]:
        with ResponseCache(Path(config.cache_file)) as cache:
            async with TmdbClient(config, SecretStr(key), cache) as client:
                return await work(client), client

    return asyncio.run(main())


def items(*rows: tuple[Any, ...], **more: pl.Series) -> pl.DataFrame:
    """Items from (id, title, year, overview)."""
    frame = pl.DataFrame(
        [(n, title, year, [], overview) for n, title, year, overview in rows],
        schema={ITEM: pl.Int64, TITLE: pl.String, YEAR: pl.Int32, GENRES: pl.List(pl.String),
                OVERVIEW: pl.String}, orient="row",
    )  # fmt: skip
    return frame.with_columns(**more)
