"""Responses of httpx are read up to a bound, unpacked: few bytes can unpack to many.

httpx itself unpacks whatever comes, without bound.
"""

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx

PACKED: Final = frozenset({"gzip", "deflate"})
"""What is unpacked here; nothing else is asked for."""
ACCEPT: Final = ", ".join(sorted(PACKED))
Failed = Callable[[str], Exception]
"""Makes the error of what it is told."""


def bound(response: httpx.Response, most: int, failed: Failed) -> None:
    """Let the body of a response, not read yet, fail where it has more than `most` bytes, unpacked.

    Raises:
        Exception: (by `failed`) it is packed in a way that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in PACKED | {"", "identity"}:
        raise failed(f"the response is packed by {encoding!r}")
    if encoding in PACKED:  # below, within the bound, and not by httpx
        del response.headers["content-encoding"]
    response.stream = _Bounded(response.stream, most, failed, packed=encoding in PACKED)


class _Bounded(httpx.AsyncByteStream):
    """The bytes of a response, unpacked, until there are too many, or they cannot be unpacked."""

    def __init__(self, stream: Any, most: int, failed: Failed, *, packed: bool) -> None:
        self._stream, self._most, self._failed = stream, most, failed
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            data = chunk if self._unpack is None else self._unpacked(chunk, self._most - size + 1)
            size += len(data)
            if size > self._most:
                raise self._failed(f"the response is larger than {self._most} bytes")
            yield data

    def _unpacked(self, chunk: bytes, most: int) -> bytes:
        try:
            return self._unpack.decompress(chunk, most) if self._unpack else chunk
        except zlib.error as error:
            raise self._failed(f"the response cannot be unpacked: {error}") from None

    async def aclose(self) -> None:
        await self._stream.aclose()
