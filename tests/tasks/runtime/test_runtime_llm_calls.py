"""How a step asks a model: whose key it takes, and what stands in its artifact."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prefect import flow
from prefect.blocks.system import Secret
from pydantic import BaseModel

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import ITEM, ITEM_PROFILES, VERDICT
from recsys_core.errors import ConfigError
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.request.templates import load_prompt
from recsys_core.profiles.items import ITEM_PROFILE, profile_items
from tasks.runtime.llm_calls import LEDGER, ask, prompts_in_use
from tasks.runtime.step import step
from tests.fake_openai import FakeOpenAI
from tests.small_data import small_items

pytestmark = pytest.mark.usefixtures("prefect_server")

KEY = "sk-from-a-secret-block-0123456789"
ITEMS = small_items().head(3)


@step("asked", version="1", returns=ArtifactRef)
def asked(out: ArtifactWriter, *, llm: LLMConfig) -> None:
    """Profiles of three items."""
    out.table("profiles", ask(out, llm, lambda model: profile_items(ITEMS, model)), ITEM_PROFILES)


@flow(name="asks")
def asks(store: ArtifactStore, llm: LLMConfig) -> ArtifactRef:
    return asked(store, llm=llm)


class OtherAnswer(BaseModel):
    """Another schema of the same question's answer."""

    overview: str


def test_a_steps_key_holds_prompts_and_the_schema_of_their_answers() -> None:
    asking = LLMConfig(model="openai/fake")
    other = replace(ITEM_PROFILE, answer=OtherAnswer)
    now, then = prompts_in_use(asking, ITEM_PROFILE), prompts_in_use(asking, other)
    assert now["prompts"] == then["prompts"]
    assert now["schemas"] != then["schemas"]
    assert now == prompts_in_use(asking, ITEM_PROFILE)
    assert set(prompts_in_use(LLMConfig(), ITEM_PROFILE)) == {"rules"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(tmp_path / "requests.jsonl") as fake:
        yield fake


def config(server: FakeOpenAI, **fields: object) -> LLMConfig:
    return LLMConfig.model_validate({"model": "openai/fake", "api_base": server.url} | fields)


def test_the_key_comes_from_the_block_and_goes_nowhere_else(
    server: FakeOpenAI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: set[str] = set()
    server.rule = lambda received: seen.add(received.authorization) or "ok"
    Secret(value=KEY).save("llm-key", overwrite=True)
    root = tmp_path / "artifacts"
    made = asks(ArtifactStore(root=str(root)), config(server, api_key_block="llm-key"))
    assert seen == {f"Bearer {KEY}"}
    assert made.table("profiles")[ITEM].to_list() == ITEMS[ITEM].to_list()
    assert made.table(LEDGER)[VERDICT].to_list() == ["ok"] * 3
    assert made.manifest.facts["answers"] == {"item_profile": 3}
    assert json.dumps(made.manifest.parameters).count("llm-key") <= 1
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in caplog.text


def test_a_block_that_is_not_there_is_said_before_any_call(
    server: FakeOpenAI, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no-such-block"):
        asks(ArtifactStore(root=str(tmp_path)), config(server, api_key_block="no-such-block"))
    assert server.requests() == []


def test_several_items_per_call_arrive_as_one_request(server: FakeOpenAI, tmp_path: Path) -> None:
    def answer(received: object) -> dict[str, object]:
        profile = {"overview": "o", "genres": [], "tags": [], "description": "d", "dislikes": []}
        return {"profiles": [{"id": str(n), "profile": profile} for n in (1, 2, 3)]}

    server.answer = answer

    @step("several", version="1", returns=ArtifactRef)
    def several(out: ArtifactWriter, *, llm: LLMConfig) -> None:
        """Profiles of three items by one request."""
        found = ask(out, llm, lambda model: profile_items(ITEMS, model, per_call=3))
        out.table("profiles", found, ITEM_PROFILES)

    @flow(name="asks-for-several")
    def run() -> ArtifactRef:
        return several(ArtifactStore(root=str(tmp_path)), llm=config(server))

    table = run().table("profiles")
    assert table["overview"].to_list() == ["o"] * 3
    (request,) = server.requests()
    assert request["max_tokens"] == 3 * load_prompt("item_profiles").max_tokens
