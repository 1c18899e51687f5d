"""A fake model that profiles, ranks and explains, and the pipeline's command line.

Every prompt is kept as the server got it, so that tests count, compare and search what was asked.
"""

import contextlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from flows.personalize import main
from recsys_core.columns import USER
from recsys_core.config import RunConfig, load_config
from tests.fake_openai import FakeOpenAI, Received
from tests.oracle import Oracle
from tests.small_data import write_small

ROOT = Path(__file__).resolve().parents[2]
N_USERS = 16
KEY = "sk-never-to-be-seen-0123456789abcdef"
KEY_ENV = "FAKE_LLM_KEY"
_ASKED = {"<item>": "item_profile", "<liked>\n": "user_profile", "<recommended>": "explanation"}


@dataclass(frozen=True)
class Prompt:
    """One request as it arrived."""

    model: str
    purpose: str
    text: str
    tokens_in: int
    attempt: int
    repair: bool

    @property
    def shown(self) -> frozenset[str]:
        """Titles in the prompt."""
        return frozenset(re.findall(r'"title": "([^"]*)"', self.text))


def purpose_of(text: str) -> str:
    if "<candidates>" in text:
        return "prompt_level"
    return next(name for mark, name in _ASKED.items() if mark in text and not _both(text, mark))


def _both(text: str, mark: str) -> bool:
    return mark == "<liked>\n" and "<recommended>" in text


def answer(received: Received) -> dict[str, Any]:
    """A valid answer that depends on the whole prompt, so that a change shows in what follows."""
    text = received.body["messages"][1]["content"]
    purpose, trace = purpose_of(text), f"{zlib.crc32(text.encode()):08x}"
    if purpose == "prompt_level":
        return Oracle({}).answer("", text)
    if purpose == "explanation":
        ids = json.loads(text.rpartition("Explain these ids: ")[2])
        return {"reasons": [{"id": one, "sentence": f"Because {trace}."} for one in ids]}
    return {
        "overview": f"This user enjoys {trace}." if purpose == "user_profile" else f"On {trace}.",
        "genres": ["Drama"], "tags": [trace], "description": "Described.", "dislikes": [],
    }  # fmt: skip


def troubled(received: Received) -> str:
    """A word per request: some fail once, one is repaired, one is never valid."""
    text = received.body["messages"][1]["content"]
    if "<item>" not in text:
        return "ok"
    repair = len(received.body["messages"]) > 2
    if 'No. 7"' in text:
        return ("500", "429/0.05", "ok")[min(received.attempt, 3) - 1]
    if 'No. 9"' in text or ('No. 11"' in text and not repair):
        return "empty"
    return "fenced" if 'No. 13"' in text else "ok"


@dataclass
class Endpoint:
    """The server, and every prompt so far."""

    place: Path
    word: Callable[[Received], str] = troubled
    prompts: list[Prompt] = field(default_factory=list)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __enter__(self) -> "Endpoint":
        self.server = FakeOpenAI(self.place / "requests.jsonl", rule=self._rule, answer=answer)
        self.server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)

    def _rule(self, received: Received) -> str:
        text, model = received.body["messages"][1]["content"], received.body["model"]
        self.attempts[model, received.text] += 1
        received = replace(received, attempt=self.attempts[model, received.text])
        self.prompts.append(
            Prompt(
                model=model, purpose=purpose_of(text), text=text,
                tokens_in=len(received.text) // 4, attempt=received.attempt,
                repair=len(received.body["messages"]) > 2,
            )
        )  # fmt: skip
        return self.word(received)

    def since(self, mark: int, purpose: str | None = None) -> list[Prompt]:
        return [one for one in self.prompts[mark:] if purpose in (None, one.purpose)]

    def values(self, **more: str) -> dict[str, str]:
        """Parameters of a small run that asks this endpoint, under their dotted names."""
        return {
            "data.source": str(self.place / "data"), "data.rating_min": "1",
            "data.rating_max": "10", "artifact_root": str(self.place / "artifacts"),
            "runs_root": str(self.place / "runs"), "graph.max_epochs": "4", "graph.hidden": "8",
            "graph.effort": "quick",
            "graph.heads": "2", "evaluation.bootstrap": "20", "llm.model": "openai/fake",
            "llm.api_base": self.server.url, "llm.api_key_env": KEY_ENV, "llm.max_in_flight": "4",
            "llm.backoff_max_s": "0.2", "rerank.strategy": "prompt-level",
            "rerank.candidates": "8", "fan_out.shard_users": "8", **more,
        }  # fmt: skip

    def config(self, **more: str) -> RunConfig:
        nested: dict[str, Any] = {}
        for name, value in self.values(**more).items():
            section, _, leaf = name.rpartition(".")
            (nested.setdefault(section, {}) if section else nested)[leaf] = value
        return load_config(None, nested)

    def arguments(self, **more: str) -> list[str]:
        return [f"--{name}={value}" for name, value in self.values(**more).items()]


def write_data(folder: Path) -> Path:
    """The small data set, its first users only."""
    path = write_small(folder) / "interactions.parquet"
    users = [f"u{number:02}" for number in range(N_USERS)]
    pl.read_parquet(path).filter(pl.col(USER).is_in(users)).write_parquet(path)
    return folder


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How the command line ended, what it printed, and what was logged on the way."""

    status: int
    printed: str
    logged: str

    def error(self, name: str) -> str:
        """The one message of an error of this name."""
        assert self.printed.count(f"{name}: ") == 1, self.printed
        assert "Traceback" not in self.printed + self.logged
        return self.printed.partition(f"{name}: ")[2]


def command(arguments: Sequence[str]) -> Ended:
    """Run the command line in this process."""
    printed, logged = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(logged)
    handler.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            status = main(arguments)
    finally:
        logging.getLogger().removeHandler(handler)
    return Ended(status=status, printed=printed.getvalue(), logged=logged.getvalue())


def killed(endpoint: Endpoint, arguments: Sequence[str], *, after: Callable[[], bool]) -> str:
    """Run the command line in a process of its own and kill it -9; what it said until then."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    here = {
        "PREFECT_API_URL": str(settings.api.url), KEY_ENV: KEY,
        "PREFECT_LOCAL_STORAGE_PATH": str(settings.results.local_storage_path),
    }  # fmt: skip
    said = endpoint.place / "killed.log"
    with said.open("w") as log, subprocess.Popen(
        [sys.executable, "-m", "flows.personalize", *arguments], cwd=ROOT, stdout=log, stderr=log,
        env=os.environ | here, start_new_session=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        try:
            while not after():
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.01)
        finally:  # leaving `with` waits for it
            os.killpg(process.pid, signal.SIGKILL)
    return said.read_text()


def repeated(prompts: Sequence[Prompt]) -> int:
    """Requests that asked again for what an earlier one (not a failed attempt of it) had asked."""
    counted = Counter((one.model, one.text, one.repair) for one in prompts)
    return sum(counted.values()) - len(counted)
