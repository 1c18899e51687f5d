"""The same behaviour through litellm, and batch files; slow, since litellm's import is."""

import asyncio
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from recsys_core import columns as c
from recsys_core.errors import LLMDown, LLMRefused
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.transport import batch as batch_transport
from recsys_core.llm.transport.base import SendFailed
from recsys_core.llm.transport.batch_endpoint import LiteLLMBatches
from recsys_core.llm.transport.batch_files import results
from recsys_core.llm.transport.litellm import failure_of
from tests.fake_openai import FakeOpenAI
from tests.recsys_core.llm.llm_world import echo, script

pytestmark = pytest.mark.slow
Make = Callable[..., LLMConfig]


def ask_all(config: LLMConfig, words: list[str]) -> tuple[list[Any], Any]:
    async def main() -> tuple[list[Any], Any]:
        async with open_provider(config) as provider:
            asked = [provider.ask(script(one)) for one in words]
            return await asyncio.gather(*asked, return_exceptions=True), provider.usage()

    return asyncio.run(main())


CASES = {
    "ok": ("ok", 1), "500 500 ok": ("ok", 3), "429/0.3 ok": ("ok", 2), "reset ok": ("ok", 2),
    "close ok": ("ok", 2), "halfbody ok": ("ok", 2), "html ok": ("ok", 2),
    "nochoices ok": ("ok", 2), "409 ok": ("ok", 2), "408 ok": ("ok", 2), "empty": ("failed", 1),
    "refusal": ("failed", 1), "400": ("failed", 1), "422": ("failed", 1), "noformat": ("ok", 2),
    "nousage": ("ok", 1),
}  # fmt: skip


def test_litellm_behaves_like_the_direct_way(server: FakeOpenAI, config: Make) -> None:
    through = config(transport="litellm", schema_mode="never", temperature=None)
    replies, usage = ask_all(through, list(CASES))
    found = {words: reply.status for words, reply in zip(CASES, replies, strict=True)}
    assert found == {words: status for words, (status, _) in CASES.items()}
    attempts: Counter[str] = Counter()
    for one in usage.calls.iter_rows(named=True):
        if one[c.VERDICT] not in {"failed", "repaired"}:
            attempts[one[c.SUBJECT]] += one[c.ATTEMPTS]
    expected = {f"word:[fake: {words}] "[:25]: count for words, (_, count) in CASES.items()}
    expected["word:[fake: noformat] "[:25]] = 1
    assert attempts == expected
    assert usage.calls[c.ATTEMPTS].sum() == len(server.requests())


def test_litellm_sends_the_schema_and_reports_errors(server: FakeOpenAI, config: Make) -> None:
    through = config(transport="litellm", max_attempts=3, timeout_s=2.0)
    replies, usage = ask_all(through, ["noformat", "hang ok", "500"])
    assert [getattr(reply, "status", type(reply)) for reply in replies] == ["ok", "ok", LLMDown]
    assert usage.calls[c.ATTEMPTS].sum() == len(server.requests())
    replies, _ = ask_all(through, ["401"])
    assert isinstance(replies[0], LLMRefused)


@pytest.mark.parametrize("model", ["openai/fake", "hosted_vllm/fake", "deepseek/fake"])
def test_no_client_of_litellm_follows_a_redirect_with_a_prompt(
    server: FakeOpenAI, config: Make, tmp_path: Path, model: str
) -> None:
    """The first by the OpenAI SDK, the others by litellm's own client."""
    with FakeOpenAI(tmp_path / "elsewhere.jsonl") as other:
        server.elsewhere = other.url
        replies, _ = ask_all(config(transport="litellm", model=model), ["redirect"])
        assert isinstance(replies[0], LLMRefused)
        assert "no prompt follows" in str(replies[0])
        assert other.requests() == []
    assert len(server.requests()) == 1


@pytest.mark.parametrize("model", ["openai/fake", "hosted_vllm/fake"])
def test_what_litellm_can_never_read_is_set_aside_unread(
    server: FakeOpenAI, config: Make, model: str
) -> None:
    through = config(transport="litellm", model=model)
    ask_all(through, ["ok"])
    tracemalloc.start()
    replies, usage = ask_all(through, ["bomb/64", "huge/64", "deep", "packed"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [reply.status for reply in replies] == ["failed", "failed", "failed", "ok"]
    assert peak < 500 * 2**20, "the server in this process has the bodies, too"
    assert usage.facts["set_aside"] == 3
    assert usage.calls[c.ATTEMPTS].sum() == len(server.requests()) - 1


def batch(config: Make, **fields: Any) -> LLMConfig:
    return config(**({"batch": True} | fields))


@pytest.fixture(autouse=True)
def _batches_are_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_transport, "POLL_S", 0.1)


def test_batches_answer_like_single_calls(server: FakeOpenAI, config: Make) -> None:
    server.rule = lambda received: (
        "ok" if "not valid" in received.text or received.attempt > 1
        else received.text.rpartition("Echo ")[2]
    )  # fmt: skip
    words = ["ok", "empty", "500", "400", "lost"]

    async def main() -> tuple[list[Any], Any]:
        async with open_provider(batch(config, input_price=1, output_price=1)) as provider:
            asked = [provider.ask(echo(one)) for one in words]
            return await asyncio.gather(*asked, return_exceptions=True), provider.usage()

    replies, usage = asyncio.run(main())
    assert [reply.status for reply in replies] == ["ok", "repaired", "ok", "failed", "ok"]
    assert len(server.batches) >= 2
    first = server.files[server.batches["batch_1"]["input_file_id"]]
    assert first.count(b"custom_id") == 5
    assert usage.calls[c.ATTEMPTS].sum() == len(server.requests())


def test_results_larger_than_so_many_calls_can_have_are_never_read(
    server: FakeOpenAI, config: Make, caplog: pytest.LogCaptureFixture
) -> None:
    replies, usage = ask_all(batch(config), ["huge/12"])
    assert replies[0].status == "failed"
    assert usage.facts["set_aside"] == 1
    assert any("is larger than 8388608 bytes" in str(vars(one)) for one in caplog.records)


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_files_through_litellm_have_the_same_bound(server: FakeOpenAI, provider: str) -> None:
    server.files["file-1"] = b" " * (9 << 20)

    async def content(most: int) -> bytes:
        endpoint = LiteLLMBatches(provider, api_base=server.url, api_key=SecretStr("k"))
        await endpoint.prepare()
        try:
            return await endpoint.content("file-1", most)
        finally:
            await endpoint.close()

    assert len(asyncio.run(content(10 << 20))) == 9 << 20
    with pytest.raises(Exception, match=r".") as failed:
        asyncio.run(content(1))
    assert "is larger than 8388608 bytes" in str(failure_of(failed.value, 1))


def test_a_line_of_results_that_cannot_be_read_loses_no_other() -> None:
    body = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}
    good = {"custom_id": "good", "response": {"status_code": 200, "body": body}}
    broken = [
        "[" * 100_000, "{}", "7", "null", '{"custom_id": 7, "response": {}}', "{",
        json.dumps({"custom_id": "bad", "response": [1]}), '{"custom_id": "none"}',
        json.dumps({"custom_id": "odd", "response": {"status_code": 200, "body": [[]]}}),
    ]  # fmt: skip
    found = dict(results("\n".join([*broken, json.dumps(good)]).encode()))
    assert {key: isinstance(one, SendFailed) for key, one in found.items()} == {
        "bad": True, "none": True, "odd": True, "good": False,
    }  # fmt: skip
    assert found["good"].text == "yes"


def test_a_batch_is_found_again_after_a_kill(server: FakeOpenAI, config: Make) -> None:
    server.batch_looks = 10**6

    async def give_up() -> None:
        async with open_provider(batch(config)) as provider:
            asked = [asyncio.create_task(provider.ask(echo(f"{i}"))) for i in range(4)]
            while not server.batches:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def again() -> tuple[list[Any], Any]:
        async with open_provider(batch(config)) as provider:
            asked = [provider.ask(echo(f"{i}")) for i in range(5)]
            return await asyncio.gather(*asked, return_exceptions=True), provider.usage()

    asyncio.run(give_up())
    assert len(server.batches) == 1
    server.batch_looks = 1
    replies, _ = asyncio.run(again())
    assert [reply.status for reply in replies] == ["ok"] * 5
    assert len(server.batches) == 2
    second = server.files[server.batches["batch_2"]["input_file_id"]]
    assert second.count(b"custom_id") == 1
    replies, usage = asyncio.run(again())
    assert usage.facts["cached_answers"] == 5
    assert len(server.batches) == 2


def test_a_batch_whose_id_was_never_written_down_is_found_by_its_label(
    server: FakeOpenAI, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys_core.llm.transport.batch_files import BatchRecord

    server.batch_looks = 10**6

    async def killed() -> None:
        async with open_provider(batch(config)) as provider:
            asked = asyncio.create_task(provider.ask(echo("once")))
            while not server.batches:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    with monkeypatch.context() as patch:
        patch.setattr(BatchRecord, "sent", lambda *_: None)
        asyncio.run(killed())
    server.batch_looks = 1
    replies, _ = ask_again(batch(config))
    assert replies[0].status == "ok"
    assert len(server.batches) == 1


def ask_again(config: LLMConfig) -> tuple[list[Any], Any]:
    async def main() -> tuple[list[Any], Any]:
        async with open_provider(config) as provider:
            return [await provider.ask(echo("once"))], provider.usage()

    return asyncio.run(main())
