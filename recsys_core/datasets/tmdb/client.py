"""A client of The Movie Database (TMDB), API v3, with rate limit, retries and a response cache.

    with ResponseCache(path) as cache:
        async with TmdbClient(config, key, cache) as client:
            films = await client.search("Heat", 1995)
            film = await client.film(films[0].id)

The key is added below the HTTP client, on the way to the socket. So no request or address that a
log, an error or the cache can get hold of contains it.
"""

import asyncio
import logging
import os
import re
import urllib.request
from collections.abc import Mapping
from typing import Final, Self, TypeVar
from weakref import WeakValueDictionary

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.tmdb.cache import ResponseCache
from recsys_core.datasets.tmdb.schemas import Candidate, Film, SearchPage
from recsys_core.errors import ConfigError, RecsysError, SourceUnavailable
from recsys_core.http.backoff import backoff, retry_after
from recsys_core.http.bounded import ACCEPT, bound
from recsys_core.http.rate_limit import shared_limit

S = TypeVar("S", bound=BaseModel)

logger = logging.getLogger(__name__)

_NOT_FOUND: Final = frozenset({400, 404, 422})
"""TMDB has nothing for this title or id: cached like any other answer."""
_RETRIED: Final = frozenset({408, 425, 429})
WINDOW_S: Final = 10.0
"""The window of `TmdbConfig.requests_per_10_s`."""
BACKOFF_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
"""Longest wait between attempts; a longer Retry-After ends the step."""
MAX_ATTEMPTS: Final = 6
"""Attempts per request at time-outs, resets, 429 and 5xx."""
TIMEOUT_S: Final = 20.0
"""Longest wait for one answer, in seconds."""
MAX_BODY: Final = 4 * 2**20
"""Bytes of an answer, unpacked; the longest credits take some hundred thousand."""
MAX_IN_FLIGHT: Final = 8
"""Items looked up at a time."""
_EMPTY: Final = b""


def api_key(config: TmdbConfig) -> SecretStr | None:
    """The key in the environment; None where TMDB is switched off or no key is set.

    Raises:
        ConfigError: the variable holds something that cannot be a key.
    """
    value = os.environ.get(config.api_key_env, "").strip()
    if not config.enabled or not value:
        return None
    if not re.fullmatch(r"[!-~]+", value):
        raise ConfigError(
            f"The environment variable {config.api_key_env} holds white space or letters beyond"
            " ASCII within its value.",
            expected="TMDB's API key (v3) or API read access token (v4), and nothing else.",
            fix=f"copy the key again into {config.api_key_env}.",
        )
    return SecretStr(value)


class TmdbClient:
    """Searches and reads films; an async context manager for one event loop.

    Attributes:
        requests: HTTP requests made, failed attempts among them.
        retries: attempts beyond the first.
        cached: answers that came from the disk.

    Its methods raise `ConfigError` where TMDB refuses the key or the address (no retries),
    `SourceUnavailable` where it gives no answer after all attempts, and `StorageError` where
    the cache cannot be used. Every answer that came before stays in the cache.

    Args:
        config: address, limits, patience.
        key: v3 API key, or v4 read access token.
        cache: answers on disk.
    """

    def __init__(self, config: TmdbConfig, key: SecretStr, cache: ResponseCache) -> None:
        self.requests = self.retries = self.cached = 0
        self._config, self._cache = config, cache
        self._base = config.base_url.rstrip("/")
        self._limit = shared_limit(self._base, config.requests_per_10_s, WINDOW_S)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rest_until = 0.0
        self._http = httpx.AsyncClient(
            transport=_KeyTransport(key, self._base, MAX_IN_FLIGHT),
            timeout=TIMEOUT_S,
            headers={"Accept": "application/json", "Accept-Encoding": ACCEPT},
            event_hooks={"response": [_bounded]},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def search(self, title: str, year: int | None = None) -> tuple[Candidate, ...]:
        """Films whose title resembles `title`, in TMDB's order; at most 20.

        Args:
            title: in any language.
            year: of a release; None searches all years.
        """
        query = {"query": title, "include_adult": "false", "language": self._config.language}
        if year is not None:
            query["year"] = str(year)
        page = await self._get("/search/movie", query, SearchPage)
        return page.results if page else ()

    async def film(self, tmdb_id: int) -> Film | None:
        """Overview, keywords and credits of a film; None where TMDB has no film of this id."""
        query = {"append_to_response": "keywords,credits", "language": self._config.language}
        return await self._get(f"/movie/{tmdb_id}", query, Film)

    async def _get(self, path: str, query: Mapping[str, str], shape: type[S]) -> S | None:
        url = str(httpx.URL(self._base + path, params=sorted(query.items())))
        turn = self._turns.setdefault(url, asyncio.Lock())
        async with turn:  # two items that ask the same at once share one request
            body = self._cache.get(url)
            if body is None:
                body = await self._ask(url, shape)
                self._cache.put(url, body)
            else:
                self.cached += 1
        return None if body == _EMPTY else shape.model_validate_json(body)

    async def _ask(self, url: str, shape: type[BaseModel]) -> bytes:
        """The body that `url` gives, after as many attempts as it takes and is allowed."""
        attempt = 1
        while True:
            try:
                return await self._attempt(url, shape)
            except _Retryable as failure:
                wait = failure.wait or 0.0
                if attempt >= MAX_ATTEMPTS or wait > BACKOFF_MAX_S:
                    raise _unavailable(url, failure, attempt) from None
                await self._pause(url, failure, attempt)
                attempt += 1
                self.retries += 1

    async def _pause(self, url: str, failure: "_Retryable", attempt: int) -> None:
        now = asyncio.get_running_loop().time()
        if failure.wait is not None:  # Retry-After holds for all requests, not for this one
            self._rest_until = max(self._rest_until, now + failure.wait)
        wait = backoff(attempt, first_s=BACKOFF_S, longest_s=BACKOFF_MAX_S)
        extra = {"url": url, "cause": str(failure), "attempt": attempt, "wait_s": wait}
        logger.warning("TMDB gave no answer, trying again", extra=extra)
        await asyncio.sleep(wait)

    async def _attempt(self, url: str, shape: type[BaseModel]) -> bytes:
        async with self._limit.slot():
            while (rest := self._rest_until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(rest)
            self.requests += 1
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    response = await self._http.get(url)
            except (TimeoutError, httpx.TimeoutException):
                raise _Retryable(f"no answer within {TIMEOUT_S:g} s") from None
            except httpx.RequestError as error:
                raise _Retryable(f"{type(error).__name__}: {error}") from None
        return self._read(response, url, shape)

    def _read(self, response: httpx.Response, url: str, shape: type[BaseModel]) -> bytes:
        status = response.status_code
        if status in _NOT_FOUND:
            return _EMPTY
        if status in _RETRIED or status >= 500:
            raise _Retryable(f"HTTP {status}", retry_after(response.headers))
        if status != httpx.codes.OK:
            raise _refused(url, status, self._config.api_key_env)
        try:
            shape.model_validate_json(response.content)
        except ValidationError as error:
            # Its own text would quote the body, and a server may echo the key.
            place = ".".join(map(str, error.errors()[0]["loc"])) or "body"
            raise _Retryable(f"the answer is not of the documented form at {place}") from None
        return response.content


async def _bounded(response: httpx.Response) -> None:
    bound(response, MAX_BODY, _Retryable)


class _Retryable(Exception):
    """No answer, but the next attempt may get one; `wait` is what TMDB asked for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class _KeyTransport(httpx.AsyncHTTPTransport):
    """Adds the API key to the request below the client, so that no log or error can show it."""

    def __init__(self, key: SecretStr, base_url: str, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, keepalive_expiry=30)
        super().__init__(proxy=_proxy(base_url), limits=limits)
        self._key = key

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        secret, url, headers = self._key.get_secret_value(), request.url, request.headers.copy()
        if secret.count(".") == 2:  # a JSON Web Token
            headers["Authorization"] = f"Bearer {secret}"
        else:
            url = url.copy_merge_params({"api_key": secret})
        keyed = httpx.Request(request.method, url, headers=headers, extensions=request.extensions)
        return await super().handle_async_request(keyed)


def _proxy(base_url: str) -> str | None:
    # A client with a transport of its own does not look for proxies in the environment.
    url, proxies = httpx.URL(base_url), urllib.request.getproxies()
    if urllib.request.proxy_bypass(url.host):
        return None
    return proxies.get(url.scheme) or proxies.get("all")


def _refused(url: str, status: int, variable: str) -> RecsysError:
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ConfigError(
            f"TMDB refuses the key in {variable} (HTTP {status}).",
            expected="a valid API key (v3) or API read access token (v4).",
            fix=f"set {variable} to a key from themoviedb.org, Settings, API; or unset it to go on"
            " without TMDB.",
        )
    return ConfigError(
        f"TMDB refuses {url} (HTTP {status}).",
        expected="the answer of TMDB's API v3.",
        fix="correct --tmdb.base_url.",
    )


def _unavailable(url: str, failure: _Retryable, attempts: int) -> SourceUnavailable:
    asked = f"; it asks to wait {failure.wait:g} s" if failure.wait else ""
    return SourceUnavailable(
        f"TMDB gave no answer to {url} in {attempts} attempts: {failure}{asked}.",
        expected="an answer.",
        fix="check the network and the proxy settings and run again later: every answer so far is"
        " kept and not asked for again. To go on without TMDB, unset its key.",
    )
