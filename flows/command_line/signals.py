"""SIGINT and SIGTERM: nothing further is bought, and the process ends within five seconds."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final

from flows.command_line import temporary_server
from recsys_core.concurrency import stopping

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)
END_S: Final = 4.0
"""Seconds after the signal at which the process ends, whatever still hangs."""
_ARRIVE_S: Final = 2.0
MESSAGE: Final = "Interrupted. Finished steps are kept; the same command goes on from there."


class _State:
    """What the process knows of its signals."""

    first: int | None = None
    depth = 0
    said = False


def interrupted() -> int | None:
    """Exit status of the signal that ended the run in progress (130, 143); None without one."""
    return None if _State.first is None else 128 + _State.first


def say() -> None:
    """Say once what is kept, on standard error."""
    if not _State.said:
        _State.said = True
        print(f"\n{MESSAGE}", file=sys.stderr, flush=True)


@contextmanager
def stop_on_signal() -> Iterator[None]:
    """Stop what buys answers as soon as a signal comes, then do what was done before.

    Also inside of a flow: there Prefect has a handler of its own, which only ends the main thread.
    Outside of the main thread, which alone can have handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _State.depth == 0:
        stopping.clear()
        _State.first, _State.said = None, False
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number, handler in before.items():
        signal.signal(number, partial(_stop, handler))
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(before: Any, number: int, frame: FrameType | None) -> None:
    if _State.first is None:
        _State.first = number
        stopping.set()
        threading.Thread(target=_end, args=(number,), daemon=True).start()
    _before(before)(number, frame)


def _before(handler: Any) -> Callable[[int, FrameType | None], Any]:
    # Python's default for SIGTERM would end the process without a word.
    found: Callable[[int, FrameType | None], Any] = (
        handler if callable(handler) else signal.default_int_handler
    )
    return found


def end_now(status: int, message: str) -> None:
    """End the process with a message, from any thread; answers under way have seconds to arrive."""
    stopping.set()
    if _State.depth == 0:
        return  # the run ended in the meantime
    time.sleep(_ARRIVE_S)
    print(message, file=sys.stderr, flush=True)
    temporary_server.kill()
    os._exit(status)


def _end(number: int) -> None:
    """End the process when it has not ended by itself: a thread or a connection hangs."""
    main = threading.main_thread()
    main.join(END_S)
    if _State.depth == 0 and main.is_alive():
        return  # who called goes on (a test, a notebook)
    say()
    temporary_server.kill()
    os._exit(128 + number)
