"""The optional judge of reasons: asks about a sample, keeps what is valid, counts the rest."""

import asyncio
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import ITEM, PEOPLE, PEOPLE_BOTH, RANK, USER
from recsys_core.config import RunConfig, load_config
from recsys_core.errors import BudgetExceeded, ConfigError, LLMUnavailable
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.evaluation.llm_judge import (
    EXPLANATION_JUDGE,
    JUDGE_CONVINCING,
    JUDGE_METRICS,
    JUDGE_SUPPORTED,
    TITLES,
    JudgeAnswer,
    Verdict,
    judge_reasons,
)
from recsys_core.explanations.evaluation.metrics import average_per_user
from recsys_core.explanations.explainer import explain
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Provider, Request
from recsys_core.llm.providers.dry_run import DryRunProvider
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.llm.request.templates import render
from recsys_core.rerank.user_context import RerankTables
from tests.fake_openai import FakeOpenAI, Received
from tests.rerank_world import Scripted, ranked, world

TABLES, EVIDENCE = world(n_users=6)


def reasons(tables: RerankTables = TABLES, evidence: pl.DataFrame = EVIDENCE) -> pl.DataFrame:
    found, _ = asyncio.run(
        explain(
            ranked(tables), history=tables.history, items=tables.items,
            item_profiles=tables.item_profiles, user_profiles=tables.user_profiles,
            attributions=assumed(evidence, ranked(tables)), liking=evidence[USER].unique(),
            provider=RulesProvider(), config=ExplanationConfig(), titles=20,
        )
    )  # fmt: skip
    return found


def given(
    recommendations: pl.DataFrame,
    provider: Provider,
    *,
    implicit: bool = False,
    causes: pl.DataFrame | None = None,
    **config: int,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    if causes is None:
        causes = assumed(EVIDENCE, ranked(TABLES))
    return asyncio.run(
        judge_reasons(
            recommendations, history=TABLES.history, items=TABLES.items,
            item_profiles=TABLES.item_profiles, user_profiles=TABLES.user_profiles,
            attributions=causes, liking=EVIDENCE[USER].unique(), implicit=implicit,
            provider=provider, config=ExplanationConfig(**config), seed=0,
        )
    )  # fmt: skip


def opinion(request: Request[Any, Any]) -> JudgeAnswer:
    """The first title's reason is false, the others are the better the further down."""
    return JudgeAnswer(
        verdicts=tuple(
            Verdict(id=one.item.id, supported=at > 0, convincing=at + 1)
            for at, one in enumerate(request.variables.reasons)
        )
    )


def test_the_first_five_reasons_of_a_sample_are_judged() -> None:
    provider = Scripted(opinion, checked=True)
    rows, facts = given(reasons(), provider, judge_users=4)
    assert rows[USER].n_unique() == 4
    assert rows.group_by(USER).agg(pl.col(RANK).sort())[RANK].to_list() == [[1, 2, 3, 4, 5]] * 4
    assert facts == {"judged": 20, "unjudged": 0}
    assert len(provider.asked) == 4
    # Titles are shown in the order of their ids, not of their ranks.
    shown = rows.sort(USER, JUDGE_CONVINCING)
    assert shown[JUDGE_SUPPORTED].to_list() == [0, 1, 1, 1, 1] * 4
    assert shown[JUDGE_CONVINCING].to_list() == [0, 0.25, 0.5, 0.75, 1] * 4
    again, _ = given(reasons(), Scripted(opinion), judge_users=4)
    assert again.equals(rows)


def test_the_measures_become_rows_with_intervals() -> None:
    rows, _ = given(reasons(), Scripted(opinion), judge_users=4)
    table = average_per_user(rows, JUDGE_METRICS, "judge", TITLES, 50, 0)
    assert table["metric"].to_list() == list(JUDGE_METRICS)
    assert table["value"].to_list() == pytest.approx([0.8, 0.5])
    assert table["users"].to_list() == [4, 4]


def test_what_gets_no_valid_answer_is_counted_and_never_made_up() -> None:
    def answer(request: Request[Any, Any]) -> JudgeAnswer:
        if request.subject == "user:2":
            raise LLMUnavailable("down")
        return JudgeAnswer(verdicts=opinion(request).verdicts[:2])

    rows, facts = given(reasons(), Scripted(answer))
    assert facts == {"judged": 10, "unjudged": 20}
    assert 2 not in rows[USER].to_list()


def test_the_end_of_the_budget_ends_the_run() -> None:
    def answer(_: Request[Any, Any]) -> JudgeAnswer:
        raise BudgetExceeded("spent")

    with pytest.raises(BudgetExceeded):
        given(reasons(), Scripted(answer))


def test_without_lists_nothing_is_asked() -> None:
    provider = Scripted(opinion)
    rows, facts = given(reasons().clear(), provider)
    assert (rows.height, facts, provider.asked) == (0, {"judged": 0, "unjudged": 0}, [])
    assert (
        average_per_user(rows, JUDGE_METRICS, "judge", TITLES, 50, 0)["value"].to_list()
        == [None] * 2
    )


def test_the_answer_must_name_every_title_once() -> None:
    provider = Scripted(opinion)
    given(reasons(), provider, judge_users=1)
    variables = provider.asked[0].variables
    short = JudgeAnswer(verdicts=opinion(provider.asked[0]).verdicts[1:])
    with pytest.raises(ValueError, match="missing"):
        EXPLANATION_JUDGE.check(variables, short)
    EXPLANATION_JUDGE.check(variables, EXPLANATION_JUDGE.rule(variables))


def test_the_prompt_shows_the_sentence_and_what_it_rests_on() -> None:
    provider, lists = Scripted(opinion), reasons()
    given(lists, provider, judge_users=1)
    request = provider.asked[0]
    text = render(EXPLANATION_JUDGE.name, request.variables)[1]["content"]
    own = lists.filter(pl.col(USER).cast(pl.String) == request.subject.removeprefix("user:"))
    for row in own.sort(RANK).head(TITLES).iter_rows(named=True):
        assert f'"id": "{row[ITEM]}"' in text
        assert row["title"] in text
    assert text.count('"sentence"') == TITLES


def test_the_prompt_shows_the_counts_that_a_sentence_tells() -> None:
    causes = assumed(EVIDENCE, ranked(TABLES)).with_columns(
        pl.lit(212, pl.Int32).alias(PEOPLE), pl.lit(148, pl.Int32).alias(PEOPLE_BOTH)
    )
    provider = Scripted(opinion)
    given(reasons(), provider, causes=causes, judge_users=1)
    text = render(EXPLANATION_JUDGE.name, provider.asked[0].variables)[1]["content"]
    assert '"people": 212' in text
    assert '"of_them": 148' in text


@pytest.mark.parametrize(("implicit", "said", "unsaid"), [(True, "chose", "liked the"),
                                                          (False, "liked", "chose")])  # fmt: skip
def test_the_prompt_says_what_people_did(implicit: bool, said: str, unsaid: str) -> None:
    provider = Scripted(opinion)
    given(reasons(), provider, implicit=implicit, judge_users=1)
    messages = render(EXPLANATION_JUDGE.name, provider.asked[0].variables)
    task = messages[1]["content"].partition("Task: ")[2]
    assert f"titles that this person\n{said}." in task
    assert f"people {said} it" in task
    assert unsaid not in task
    assert "liked" not in messages[0]["content"]


def test_a_judge_needs_a_model_and_is_part_of_the_plan() -> None:
    with pytest.raises(ConfigError, match=r"explanations\.judge needs a language model"):
        load_config(None, {"explanations": {"judge": True}})
    assert load_config(None, {"explanations": {"judge": True}, "llm": {"model": "openai/x"}})
    assert ExplanationConfig(judge=True).identity() == ExplanationConfig().identity()
    assert not RunConfig().explanations.judge
    provider = DryRunProvider(LLMConfig(model="openai/x"))
    given(reasons(), provider, judge_users=3)
    assert [(one.purpose, one.calls) for one in provider.planned()] == [("explanation_judge", 3)]


def test_a_server_is_asked_once(tmp_path: Path) -> None:
    """Through the whole LLM layer: schema, check, cache, ledger."""

    def answer(received: Received) -> dict[str, Any]:
        ids = [line.split('"')[3] for line in received.text.splitlines() if '"sentence": ' in line]
        ids = [one for one in ids if one != "..."]
        return {"verdicts": [{"id": one, "supported": True, "convincing": 5} for one in ids]}

    async def run(url: str) -> tuple[pl.DataFrame, int]:
        llm = LLMConfig(model="openai/judge", api_base=url)
        async with open_provider(llm, root=str(tmp_path)) as provider:
            rows, _ = await judge_reasons(
                lists, history=TABLES.history, items=TABLES.items,
                item_profiles=TABLES.item_profiles, user_profiles=TABLES.user_profiles,
                attributions=assumed(EVIDENCE, ranked(TABLES)), liking=EVIDENCE[USER].unique(),
            provider=provider, config=ExplanationConfig(), seed=0,
            )  # fmt: skip
            return rows, provider.usage().calls.height

    lists = reasons()
    with FakeOpenAI(tmp_path / "requests.jsonl", answer=answer) as server:
        rows, calls = asyncio.run(run(server.url))
        again, more = asyncio.run(run(server.url))
    assert (rows.height, calls, more) == (30, 6, 0)
    assert rows[JUDGE_CONVINCING].to_list() == [1.0] * 30
    assert again.equals(rows)
