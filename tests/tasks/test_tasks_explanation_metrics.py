"""The steps that say what the reasons are worth, and the report's share of it."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect import flow

from recsys_core.artifacts import ArtifactStore
from recsys_core.columns import (
    ATTRIBUTIONS,
    EVIDENCE,
    INTERACTIONS,
    ITEM_PROFILES,
    ITEMS,
    LLM_CALLS,
    METRIC,
    METRICS,
    PROTOCOL,
    RECOMMENDATIONS,
    USER_PROFILES,
    VALUE,
    check,
)
from recsys_core.config import RunConfig, load_config
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.evaluation.llm_judge import JUDGE_METRICS
from recsys_core.explanations.evaluation.metrics import EXPLANATION_METRICS, EXPLANATIONS
from recsys_core.explanations.explainer import explain
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.providers.rules import RulesProvider
from tasks.explanation_judge import explanation_judge
from tasks.explanation_metrics import explanation_metrics
from tasks.report import judging_calls
from tasks.runtime.references import (
    AttributionsRef,
    DatasetRef,
    ItemProfilesRef,
    RecommendationsRef,
    Results,
    SplitRef,
    UserProfilesRef,
)
from tasks.runtime.runs.run_log import RunLog, StepRecord, run_log
from tests.fake_openai import FakeOpenAI, Received
from tests.made_artifacts import put
from tests.rerank_world import ranked, world


@pytest.fixture
def made(tmp_path: Path) -> tuple[ArtifactStore, Results]:
    """A store with everything that explained lists are made from."""
    tables, evidence = world(n_users=5)
    causes = assumed(evidence, ranked(tables))
    reasons, _ = asyncio.run(
        explain(
            ranked(tables), history=tables.history, items=tables.items,
            item_profiles=tables.item_profiles, user_profiles=tables.user_profiles,
            attributions=causes, liking=evidence["user_id"].unique(),
            provider=RulesProvider(), config=ExplanationConfig(), titles=20,
        )
    )  # fmt: skip
    store = ArtifactStore(root=str(tmp_path / "artifacts"))
    made = Results()
    made.data = put(store, "data", {"items": (tables.items, ITEMS)}).as_type(DatasetRef)
    made.split = put(
        store, "split", {"train": (tables.history, INTERACTIONS)},
        learned="train", shown="train",
    ).as_type(SplitRef)  # fmt: skip
    profiles = (tables.item_profiles, ITEM_PROFILES)
    made.item_profiles = put(store, "items", {"item_profiles": profiles}).as_type(ItemProfilesRef)
    made.user_profiles = put(store, "users", {
        "user_profiles": (tables.user_profiles, USER_PROFILES), "evidence": (evidence, EVIDENCE),
    }).as_type(UserProfilesRef)  # fmt: skip
    explained = put(store, "reasons", {"recommendations": (reasons, RECOMMENDATIONS)})
    made.attributions = put(store, "causes", {"attributions": (causes, ATTRIBUTIONS)}).as_type(
        AttributionsRef
    )
    made.recommendations = explained.as_type(RecommendationsRef)
    return store, made


def config(**llm: Any) -> RunConfig:
    return load_config(
        None, {"evaluation": {"bootstrap": 50}, "llm": llm, "explanations": {"judge": bool(llm)}}
    )


def run(
    made: tuple[ArtifactStore, Results], config: RunConfig
) -> tuple[list[pl.DataFrame], RunLog]:
    store, lists = made
    given = {
        "catalogue": lists.data.catalogue, "split": lists.split, "items": lists.item_profiles,
        "users": lists.user_profiles, "recommendations": lists.recommendations,
        "ratings": RatingScale(), "bootstrap": config.evaluation.bootstrap, "seed": config.seed,
    }  # fmt: skip

    @flow
    def measuring() -> list[pl.DataFrame]:
        found = [explanation_metrics(store, **given)]
        if config.explanations.judge:
            judged = config.explanations.judge_users
            found.append(
                explanation_judge(
                    store,
                    llm=config.llm,
                    judged_users=judged,
                    attributions=lists.attributions,
                    **given,
                )
            )
        return [one.table("metrics") for one in found]

    with run_log() as log:
        return measuring(), log


@pytest.mark.usefixtures("prefect_server")
def test_reasons_are_measured_and_on_demand_judged(
    made: tuple[ArtifactStore, Results], tmp_path: Path
) -> None:
    measured, log = run(made, config())
    assert [one.step for one in log.steps] == ["explanation_metrics"]
    table = check(measured[0], METRICS, table="metrics")
    assert set(table[PROTOCOL]) == {EXPLANATIONS}
    assert set(table[METRIC]) == set(EXPLANATION_METRICS)
    assert set(table["method"]) == {"rules"}
    assert set(table["k"]) == {10, 20}
    grounded = table.filter(pl.col(METRIC) == "grounded")
    assert grounded[VALUE].to_list() == [1.0, 1.0]
    assert grounded["ci_low"].null_count() == 0

    def answer(received: Received) -> dict[str, Any]:
        ids = json.loads(received.text.rpartition("Judge these ids: ")[2])
        return {"verdicts": [{"id": one, "supported": True, "convincing": 1} for one in ids]}

    with FakeOpenAI(tmp_path / "requests.jsonl", answer=answer) as server:
        asked = config(model="openai/judge", api_base=server.url)
        (_, judged), log = run(made, asked)
        _, again = run(made, asked)
    assert [one.cached for one in log.steps] == [True, False]
    assert judged[METRIC].to_list() == list(JUDGE_METRICS)
    assert judged[VALUE].to_list() == [1.0, 0.0]
    assert judged["method"].unique().to_list() == ["rules, judged by openai/judge"]
    assert log.steps[1].ref.table("llm_calls").height == 5
    assert [one.cached for one in again.steps] == [True, True]


def test_the_costs_are_those_of_the_measured_lists(tmp_path: Path) -> None:
    """Whichever run made the calls; the validation sample and a refit do not count."""
    store = ArtifactStore(root=str(tmp_path))

    def record(step: str, subject: str) -> StepRecord:
        row = dict.fromkeys(LLM_CALLS, 1) | {
            "subject": subject, "purpose": "relevancy", "started_at": datetime.now(UTC),
        }  # fmt: skip
        schema = dict(LLM_CALLS)
        row |= {
            name: "x" for name, kind in schema.items() if kind == pl.String and name != "subject"
        }
        ref = put(store, subject, {"llm_calls": (pl.DataFrame([row], schema=schema), LLM_CALLS)})
        return StepRecord(step=step, seconds=0, peak_memory_mib=0, rows=1, cached=True, ref=ref)

    steps = [record("rerank_valid", "a"), record("rerank", "b"), record("rerank", "c")]
    assert judging_calls(RunLog(steps=steps))["subject"].to_list() == ["b"]
    assert judging_calls(RunLog()).height == 0
