"""The TMDB client against a hostile server: retries, rate, disk, secrets."""

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recsys_core.columns import TMDB_ID
from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.tmdb import client as tmdb_client
from recsys_core.datasets.tmdb.cache import ResponseCache
from recsys_core.datasets.tmdb.client import TmdbClient, api_key
from recsys_core.datasets.tmdb.enrich import enrich
from recsys_core.errors import ConfigError, RecsysError, SourceUnavailable, StorageError
from tests.fake_tmdb import PACKED, V3_KEY, V4_KEY, film, items, with_client

ROOT = Path(__file__).resolve().parents[4]


def search(config: TmdbConfig, title: str = "Heat", key: str = V3_KEY) -> tuple[list[int], Any]:
    found, client = with_client(config, lambda client: client.search(title), key)
    return [one.id for one in found], client


class TestClient:
    def test_search_and_film(self, tmdb, tmdb_config) -> None:
        async def work(client: TmdbClient) -> Any:
            return await client.search("Heat", 1995), await client.film(949)

        (found, one), client = with_client(tmdb_config, work)
        assert [(film.id, film.year) for film in found] == [(949, 1995)]
        assert one.overview == "What happens in Heat."
        assert one.keyword_names == ["friendship", "k949"]
        assert one.leads(3) == ["Actor 0 of 949", "Actor 1 of 949", "Actor 2 of 949"]
        assert one.directors == ["Director of 949"]
        assert (client.requests, client.cached) == (2, 0)
        assert tmdb.seen[1].query["append_to_response"] == "keywords,credits"

    def test_a_v3_key_is_a_parameter_and_a_v4_token_a_header(self, tmdb, tmdb_config) -> None:
        assert search(tmdb_config, "Heat", V3_KEY)[0] == [949, 950]
        assert search(tmdb_config, "Toy Story", V4_KEY)[0] == [862]
        assert tmdb.seen[0].query["api_key"] == V3_KEY
        assert tmdb.seen[0].authorization is None
        assert tmdb.seen[1].authorization == f"Bearer {V4_KEY}"
        assert "api_key" not in tmdb.seen[1].query

    @pytest.mark.parametrize(
        "fault", [429, 500, 502, 503, 504, 408, "reset", "cut", "garbage", "shape", "slow"]
    )
    def test_passing_trouble_is_retried(self, tmdb, tmdb_config, fault, monkeypatch) -> None:
        if fault == "slow":  # only it shall meet the time-out, also on a busy machine
            monkeypatch.setattr(tmdb_client, "TIMEOUT_S", 0.2)
        tmdb.faults = [fault, fault]
        found, client = search(tmdb_config)
        assert found == [949, 950]
        assert (client.requests, client.retries) == (3, 2)
        assert len(tmdb.seen) == 3

    @pytest.mark.parametrize("fault", PACKED)
    def test_few_bytes_that_unpack_to_many_are_refused_and_asked_again(
        self, tmdb, tmdb_config, fault, caplog
    ) -> None:
        tmdb.faults = [fault]
        tracemalloc.start()
        try:
            found, client = search(tmdb_config)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found == [949, 950]
        assert client.retries == 1
        assert peak < 3 * tmdb_client.MAX_BODY, f"{peak / 2**20:.0f} MiB"
        (said,) = [one for one in caplog.records if "trying again" in one.message]
        assert "the response" in said.cause

    @pytest.mark.parametrize("fault", [503, "reset", "garbage"])
    def test_lasting_trouble_ends_after_the_attempts(self, tmdb, tmdb_config, fault) -> None:
        tmdb.faults = [fault] * 99
        with pytest.raises(SourceUnavailable, match="in 4 attempts") as caught:
            search(tmdb_config)
        assert caught.value.retryable
        assert len(tmdb.seen) == 4
        tmdb.faults = []
        assert search(tmdb_config)[0] == [949, 950]  # a failure is not remembered as an answer

    def test_retry_after_is_honoured_by_every_request(self, tmdb, tmdb_config) -> None:
        async def work(client: TmdbClient) -> Any:
            first = asyncio.create_task(client.search("Heat"))
            while not client.retries:  # the refusal is known, however slow the machine
                await asyncio.sleep(0.01)
            return await asyncio.gather(first, client.search("Toy Story"))

        tmdb.faults = [(429, {"Retry-After": "0.5"})]
        with_client(tmdb_config, work)
        refused, *others = [seen.at for seen in tmdb.seen]
        assert len(others) == 2
        assert all(at - refused >= 0.5 for at in others)

    def test_a_retry_after_beyond_patience_ends_at_once(self, tmdb, tmdb_config) -> None:
        tmdb.faults = [(429, {"Retry-After": "3600"})]
        with pytest.raises(SourceUnavailable, match="asks to wait 3600 s"):
            search(tmdb_config)
        assert len(tmdb.seen) == 1

    def test_no_such_film_is_an_answer(self, tmdb, tmdb_config) -> None:
        for _ in range(2):
            assert with_client(tmdb_config, lambda client: client.film(1))[0] is None
        assert len(tmdb.seen) == 1

    @pytest.mark.parametrize("fault", [None, 401, 403])
    @pytest.mark.parametrize("key", ["f" * 32, V4_KEY[:-1] + "x"])
    def test_a_refused_key_is_said_without_the_key(self, tmdb, tmdb_config, key, fault) -> None:
        tmdb.faults = [fault]
        with pytest.raises(ConfigError, match="TMDB_API_KEY") as caught:
            search(tmdb_config, key=key)
        assert key not in str(caught.value)
        assert len(tmdb.seen) == 1

    @pytest.mark.parametrize("status", [301, 405, 410])
    def test_a_wrong_address_is_not_retried(self, tmdb, tmdb_config, status) -> None:
        tmdb.faults = [(status, {"Location": "http://127.0.0.1:9/elsewhere"})]
        with pytest.raises(ConfigError, match="base_url"):
            search(tmdb_config)
        assert len(tmdb.seen) == 1

    def test_nobody_there(self, tmdb_config) -> None:
        config = tmdb_config.model_copy(update={"base_url": "http://127.0.0.1:9/3"})
        with pytest.raises(SourceUnavailable, match="ConnectError"):
            search(config)

    def test_equal_requests_at_once_are_one(self, tmdb, tmdb_config) -> None:
        async def work(client: TmdbClient) -> Any:
            return await asyncio.gather(*(client.film(862) for _ in range(20)))

        tmdb.delay_s = 0.05
        films, client = with_client(tmdb_config, work)
        assert {one.id for one in films} == {862}
        assert (client.requests, client.cached, len(tmdb.seen)) == (1, 19, 1)

    def test_the_rate_holds_in_every_window_failures_included(
        self, tmdb, tmdb_config, monkeypatch
    ) -> None:
        async def work(client: TmdbClient) -> Any:
            return await asyncio.gather(*(client.film(n) for n in range(1, 23)))

        tmdb.faults = [None, 503, None, "reset", None, 503]
        monkeypatch.setattr(tmdb_client, "WINDOW_S", 0.3)
        config = tmdb_config.model_copy(update={"requests_per_10_s": 5})
        with_client(config, work)
        times = sorted(seen.at for seen in tmdb.seen)
        assert len(times) == 25
        assert max(sum(a <= b < a + 0.3 for b in times) for a in times) == 5
        assert times[-1] - times[0] >= 4 * 0.3


class TestCache:
    def test_an_answer_on_disk_is_not_asked_again(self, tmdb, tmdb_config) -> None:
        search(tmdb_config)
        found, client = search(tmdb_config)
        assert found == [949, 950]
        assert (client.requests, client.cached, len(tmdb.seen)) == (0, 1, 1)

    def test_another_key_meets_the_same_answers(self, tmdb, tmdb_config) -> None:
        search(tmdb_config, key=V3_KEY)
        assert search(tmdb_config, key=V4_KEY)[1].requests == 0

    def test_another_language_or_year_is_another_question(self, tmdb, tmdb_config) -> None:
        search(tmdb_config)
        search(tmdb_config.model_copy(update={"language": "de-DE"}))
        with_client(tmdb_config, lambda client: client.search("Heat", 1995))
        assert len(tmdb.seen) == 3

    def test_two_at_once_share_a_file(self, tmp_path) -> None:
        with ResponseCache(tmp_path / "c") as one, ResponseCache(tmp_path / "c") as other:
            one.put("http://x", b"answer")
            assert other.get("http://x") == b"answer"
            assert other.get("http://y") is None

    def test_a_file_that_is_no_cache(self, tmp_path) -> None:
        (tmp_path / "c").write_bytes(b"not a database, but long enough to be looked at" * 9)
        with pytest.raises(StorageError, match="remove the file"):
            ResponseCache(tmp_path / "c")

    def test_a_place_that_cannot_be_written(self, tmp_path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StorageError, match="cannot be used"):
            ResponseCache(tmp_path / "file" / "c")

    def test_a_damaged_answer(self, tmp_path) -> None:
        with ResponseCache(tmp_path / "c") as cache:
            cache.put("http://x", b"answer")
            database = sqlite3.connect(tmp_path / "c")
            database.execute("UPDATE answers SET body = x'00'")
            database.commit()
            database.close()
            with pytest.raises(StorageError, match="cannot be used"):
                cache.get("http://x")

    def test_kill_9_loses_no_answer_that_reached_the_disk(
        self, tmdb, tmdb_config, tmp_path
    ) -> None:
        tmdb.films = [film(n, f"Film {n}", "2000-01-01") for n in range(1, 61)]
        tmdb.delay_s = 0.02
        env = os.environ | {"PYTHONPATH": str(ROOT), "CONFIG": tmdb_config.model_dump_json()}
        child = subprocess.Popen([sys.executable, "-c", CHILD], env=env)
        while len(tmdb.seen) < 40:
            assert child.poll() is None
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        database = sqlite3.connect(tmdb_config.cache_file)
        kept = database.execute("SELECT count(*) FROM answers").fetchone()[0]
        database.close()
        time.sleep(0.05)  # what was under way at the kill has arrived
        before = len(tmdb.seen)
        assert before - tmdb_client.MAX_IN_FLIGHT <= kept <= before
        _, client = with_client(
            tmdb_config, lambda client: asyncio.gather(*(client.film(n) for n in range(1, 61)))
        )
        assert client.cached == kept
        assert len(tmdb.seen) - before == 60 - kept
        assert max(Counter(seen.path for seen in tmdb.seen).values()) <= 2


CHILD = f"""
import asyncio, os
from pathlib import Path
from pydantic import SecretStr
from recsys_core.concurrency import map_bounded
from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.tmdb.client import TmdbClient
from recsys_core.datasets.tmdb import client as tmdb_client
from recsys_core.datasets.tmdb.cache import ResponseCache

async def main():
    config = TmdbConfig.model_validate_json(os.environ["CONFIG"])
    with ResponseCache(Path(config.cache_file)) as cache:
        async with TmdbClient(config, SecretStr("{V3_KEY}"), cache) as client:
            await map_bounded(range(1, 61), client.film, at_once=tmdb_client.MAX_IN_FLIGHT)

asyncio.run(main())
"""


class TestSecrets:
    @pytest.mark.parametrize("key", [V3_KEY, V4_KEY])
    @pytest.mark.parametrize("known", [True, False])
    def test_the_key_is_in_no_log_error_or_cache(
        self, tmdb, tmdb_config, caplog, capfd, key, known
    ) -> None:
        tmdb.keys = frozenset({key} if known else ())
        tmdb.faults = [503, "reset"]
        heat, error = items((1, "Heat", 1995, None)), ""
        with caplog.at_level(logging.DEBUG):
            try:
                (full, _), _ = with_client(
                    tmdb_config, lambda client: enrich(heat, client, tmdb_config), key
                )
                assert full[TMDB_ID].item() == 949
            except RecsysError as caught:
                logging.getLogger("test").exception("failed")
                error = f"{caught}{caught!r}"
        assert bool(error) is not known
        records = [f"{record.__dict__}" for record in caplog.records]
        assert any("HTTP Request" in record for record in records)  # httpx did log the address
        output = "".join(capfd.readouterr())
        assert all(key not in text for text in (error, caplog.text, output, *records))
        for path in Path(tmdb_config.cache_file).parent.iterdir():
            assert key.encode() not in path.read_bytes()
        database = sqlite3.connect(tmdb_config.cache_file)
        bodies = [zlib.decompress(row[0]) for row in database.execute("SELECT body FROM answers")]
        database.close()
        assert len(bodies) == (2 if known else 0)
        assert all(key.encode() not in body for body in bodies)

    def test_the_key_comes_from_the_environment(self, monkeypatch) -> None:
        monkeypatch.delenv("TMDB_API_KEY", raising=False)
        assert api_key(TmdbConfig()) is None
        monkeypatch.setenv("TMDB_API_KEY", "  ")
        assert api_key(TmdbConfig()) is None
        monkeypatch.setenv("TMDB_API_KEY", f"{V3_KEY}\n")
        found = api_key(TmdbConfig())
        assert found is not None
        assert found.get_secret_value() == V3_KEY
        assert V3_KEY not in repr(found)
        assert api_key(TmdbConfig(enabled=False)) is None
        assert api_key(TmdbConfig(api_key_env="OTHER")) is None

    @pytest.mark.parametrize("value", ["abc def", "ab\nAuthorization: x", "schlüssel"])
    def test_what_cannot_be_a_key_is_not_repeated(self, monkeypatch, value) -> None:
        monkeypatch.setenv("TMDB_API_KEY", value)
        with pytest.raises(ConfigError, match="TMDB_API_KEY") as caught:
            api_key(TmdbConfig())
        assert value not in str(caught.value)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"base_url": "https://user:secret@host/3"}, {"base_url": "ftp://host/3"},
            {"base_url": "https://host/3?api_key=x"}, {"requests_per_10_s": 0}, {"window_s": 10},
            {"language": "English"}, {"api_key_env": "a.b.c"},
        ],
    )  # fmt: skip
    def test_wrong_parameters(self, wrong) -> None:
        with pytest.raises(ValidationError):
            TmdbConfig(**wrong)
