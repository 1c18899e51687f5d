"""A fake endpoint, an echo purpose, and a configuration for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys_core.llm.config import LLMConfig
from recsys_core.llm.execution import executor
from recsys_core.llm.request import templates as prompts
from recsys_core.llm.transport import batch
from tests.fake_openai import FakeOpenAI
from tests.recsys_core.llm.llm_world import ECHO


@pytest.fixture(autouse=True)
def echo_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "echo.yaml").write_text(ECHO)
    monkeypatch.setattr(prompts, "FOLDER", folder)
    monkeypatch.setattr(executor, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(batch, "QUIET_S", 0.2)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(tmp_path / "requests.jsonl") as fake:
        yield fake


@pytest.fixture
def config(server: FakeOpenAI, tmp_path: Path) -> Callable[..., LLMConfig]:
    def make(**fields: object) -> LLMConfig:
        usual = {
            "model": "openai/fake",
            "api_base": server.url,
            "cache_url": f"sqlite:///{tmp_path / 'llm.sqlite'}",
            "timeout_s": 5.0,
            "max_failed_share": 1.0,
        }
        return LLMConfig.model_validate(usual | fields)

    return make
