"""Connections of the service, spread over its processes.

Processes that listen at one socket are woken together, and asyncio accepts whatever waits at once:
of 16 connections one process got 15 (docs/experiments.md, 2026-11-30), and their requests waited
for one another beside an idle core.
"""

import asyncio
import os
import socket
from typing import Any


class _OneByOne(socket.socket):
    """A listening socket that gives a connection per turn of the event loop.

    A busy process, whose turns take long, takes fewer.
    """

    _gave = False

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`.

        Raises:
            BlockingIOError: one was accepted in this turn, or none waits.
        """
        self._gave = not self._gave
        if not self._gave:
            raise BlockingIOError
        try:
            return super().accept()
        except OSError:
            self._gave = False
            raise


class SharingLoop(asyncio.SelectorEventLoop):
    """An event loop of one of several processes that listen at the same socket."""

    async def create_server(self, *args: Any, **more: Any) -> asyncio.Server:
        """As of asyncio; a socket that is given is listened at through a copy."""
        if (given := more.get("sock")) is not None:
            more["sock"] = _OneByOne(fileno=os.dup(given.fileno()))
        return await super().create_server(*args, **more)
