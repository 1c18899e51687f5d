"""What the Prefect server does not answer is asked again for a while; anything else is raised."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from recsys_core.errors import SourceUnavailable, StorageError
from tasks.runtime.server import patience

API = "http://127.0.0.1:4200/api"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(patience, "_WAIT_S", 0.01)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.2)
    with temporary_settings({PREFECT_API_URL: API}):
        yield


def refused(url: str = f"{API}/logs") -> Exception:
    return httpx.ConnectError("refused", request=httpx.Request("POST", url))


def status(code: int) -> Exception:
    request = httpx.Request("POST", API)
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(code))


def no_slot(cause: Exception) -> Exception:
    error = ConcurrencySlotAcquisitionError("Unable to acquire concurrency slots")
    error.__cause__ = cause
    return error


def after(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return call, calls


@pytest.mark.parametrize(
    "error", [refused(), status(503), no_slot(refused()), no_slot(status(500))], ids=repr
)
def test_a_server_that_is_away_for_a_moment_is_waited_for(error: Exception) -> None:
    call, calls = after(3, error)
    assert patience.patiently(call) == "done"
    assert len(calls) == 4


def test_a_server_that_stays_away_is_one_message() -> None:
    call, calls = after(10**6, no_slot(refused()))
    with pytest.raises(SourceUnavailable, match="ConnectError refused") as told:
        patience.patiently(call)
    assert len(calls) > 3
    assert "unset PREFECT_API_URL" in str(told.value)


def test_a_server_that_hangs_has_been_asked_often_enough() -> None:
    hung = httpx.ReadTimeout("timed out", request=httpx.Request("POST", API))
    call, calls = after(10**6, no_slot(hung))
    with pytest.raises(SourceUnavailable, match="ReadTimeout"):
        patience.patiently(call)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "error",
    [refused("http://elsewhere/x"), status(404), no_slot(status(422)), no_slot(TypeError("bug")),
     httpx.ReadTimeout("without a request"), ValueError("a bug")],
    ids=repr,
)  # fmt: skip
def test_what_is_not_the_servers_absence_is_raised_at_once(error: Exception) -> None:
    call, calls = after(1, error)
    with pytest.raises(type(error)):
        patience.patiently(call)
    assert len(calls) == 1


def test_a_server_that_does_not_answer_for_want_of_room_is_told_so(tmp_path: Path) -> None:
    """What it answers then is a 500; to start it anew would not help."""
    (tmp_path / "file").touch()
    with temporary_settings({PREFECT_HOME: tmp_path / "file"}):
        told = patience.server_down(status(500))
    assert isinstance(told, StorageError)
    assert "cannot keep its records" in str(told)
