"""A run to report about, made up: plausible numbers, and a variant full of hostile text."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from recsys_core.columns import (
    ATTEMPTS,
    ATTRIBUTE_EVIDENCE,
    ATTRIBUTIONS,
    BPR_LOSS,
    CAUSE,
    CI_HIGH,
    CI_LOW,
    COMPARISONS,
    COSINE_LOSS,
    COST,
    CURVES,
    DIFFERENCE,
    EPOCH,
    EXPLANATION,
    GRAPH_SCORE,
    ITEM,
    KEY,
    KIND,
    LATENCY,
    LEARNING_RATE,
    LIKED_EVIDENCE,
    LLM_CALLS,
    LLM_SCORE,
    LOSS,
    METHOD,
    METRIC,
    METRICS,
    MODEL,
    P_ADJUSTED,
    P_VALUE,
    PHASE,
    PLACE,
    PLACE_WITHOUT,
    PROMPT_VERSION,
    PROTOCOL,
    PURPOSE,
    RANK,
    RECOMMENDATIONS,
    REFERENCE,
    SCORE,
    SHARE,
    STARTED,
    STRATEGY,
    SUBJECT,
    TITLE,
    TOKENS_IN,
    TOKENS_OUT,
    USER,
    USERS,
    VALID_NDCG,
    VALUE,
    VERDICT,
    WAITED,
    YEAR,
    K,
)
from recsys_core.config import RunConfig
from recsys_core.report.data import HistoryRow, RecommendationRow, ReportData, UserSample
from recsys_core.report.figures import figures
from recsys_core.report.sections.user_lists import UserLists, user_lists
from recsys_core.report.summary import DataSummary, LLMSummary, StepSummary, Summary

METHODS = {
    "served": 0.437, "gat": 0.431, "gat+relevancy": 0.352, "ease": 0.485, "als": 0.431,
    "lightgcn": 0.464, "knn": 0.402, "bpr": 0.371, "popularity": 0.288,
}  # fmt: skip
CUTOFFS = (1, 5, 10, 20, 30, 40, 50)
SHAPES = {
    "ndcg": (0.0, 0.02), "precision": (0, 0), "recall": (-0.3, 0.12), "map": (-0.2, 0.05),
    "mrr": (0.2, 0.0), "hit_rate": (0.4, 0.01), "coverage": (-0.2, 0.02), "gini": (0.5, -0.01),
}  # fmt: skip
PROFILE = """## Overview
Enjoys heartfelt dramas and clever science fiction; looks for stories about identity and courage.

## Attributes
- **Genre**: Drama, Sci-Fi, Thriller
- **Tags**: friendship, time travel, moral dilemma, underdog

## Description
Slow-burning stories with strong characters, from courtroom dramas to quiet space adventures.

## Dislikes
slasher, broad comedy"""
EVIL = (
    "\"><script>alert(1)</script><img src=x onerror=alert(2)> javascript:alert(3) '"
    " {{ 7*7 }} \u202e"
)
FILMS = [
    ("Contact", 1997), ("Gattaca", 1997), ("The Shawshank Redemption", 1994), ("Fargo", 1996),
    ("L.A. Confidential", 1997), ("Il Postino", 1994), ("Twelve Monkeys", 1995), ("Sabrina", None),
    ("The Cook, the Thief, His Wife & Her Lover", 1989), ("Spawn", 1997),
]  # fmt: skip
STEPS = {
    "ingest": (1.2, 210, 101_682), "split": (0.3, 180, 100_000), "item_profiles": (4.9, 260, 1682),
    "user_profiles": (9.8, 310, 943), "embeddings": (31.0, 720, 2625), "graph": (0.9, 540, 2625),
    "train": (74.2, 1350, 2625), "candidates": (0.7, 690, 47_150), "rerank": (11.4, 480, 18_860),
    "explain": (7.3, 420, 18_860), "evaluate": (6.2, 640, 3528),
}  # fmt: skip


def _value(metric: str, k: int, base: float) -> float:
    if metric == "precision":
        return base * 0.9 / (1 + k / 25)
    shift, slope = SHAPES[metric]
    return max(base + shift + slope * (k / 10 - 1), 0.02)


def metrics(protocols: tuple[str, ...] = ("full", "full/cold<10", "condensed")) -> pl.DataFrame:
    rows = [
        {
            METHOD: method, PROTOCOL: protocol, K: k, METRIC: metric, VALUE: value,
            CI_LOW: value - 0.018, CI_HIGH: value + 0.018, USERS: 6 if "cold" in protocol else 453,
        }
        for protocol in protocols
        for method, base in METHODS.items()
        for metric in SHAPES
        for k in CUTOFFS
        for value in [_value(metric, k, base + (0.2 if protocol == "condensed" else 0))]
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(METRICS))


def curves() -> pl.DataFrame:
    rows = [
        {
            PHASE: phase, EPOCH: epoch, LOSS: 0.7 / epoch**0.4 + (0.02 if phase == "final" else 0),
            BPR_LOSS: 0.5, COSINE_LOSS: 0.2, LEARNING_RATE: 0.001,
            VALID_NDCG: 0.2 + 0.21 * (1 - 0.93**epoch) if phase == "search" else None,
        }
        for phase in ("search", "final")
        for epoch in range(1, 61)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(CURVES))


def calls(n: int = 12) -> pl.DataFrame:
    rows = [
        {
            KEY: f"{row:02x}", PURPOSE: ("user_profile", "relevancy")[row % 2], SUBJECT: "user:1",
            MODEL: "openai/gpt-4.1-mini", PROMPT_VERSION: "1", TOKENS_IN: 812, TOKENS_OUT: 240,
            COST: 0.0007, LATENCY: 1.4, WAITED: 0.0, ATTEMPTS: 1,
            VERDICT: "ok" if row % 5 else "repaired", STARTED: datetime(2026, 1, 2, tzinfo=UTC),
        }
        for row in range(n)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(LLM_CALLS))


def user(ident: int | str = 405, interactions: int = 212) -> UserSample:
    picks = [
        RecommendationRow(
            rank=rank, title=title, year=year, score=1 - rank / 11, model="rules",
            causes=("liked: Gattaca", "genre:Drama"),
            explanation=f"You gave five stars to Gattaca and Contact; {title} shares their"
            " drama and the theme of moral dilemma.",
        )
        for rank, (title, year) in enumerate(FILMS[:8], 1)
    ]  # fmt: skip
    return UserSample(
        user=ident,
        interactions=interactions,
        history=[
            HistoryRow(title=title, year=year, rating=float(5 - row // 3))
            for row, (title, year) in enumerate(FILMS)
        ],
        profile=PROFILE,
        profile_model="rules",
        recommendations=picks,
    )


def summary(model: str = "rules") -> Summary:
    return Summary(
        run_name="20260102T030405-ml-100k",
        flow_run_id="f",
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=148.3,
        folder="runs/20260102T030405-ml-100k",
        data_source="recbole 1.2.1 (MovieLens 100K), sha256 0f3a",
        data=DataSummary(name="ml-100k", fingerprint="ab12", users=943, items=1682,
                         interactions=100_000),
        models={"llm": model, "embedding": "all-MiniLM-L6-v2", "embedding_backend": "openvino f32"},
        steps=[
            StepSummary(step=name, seconds=seconds, peak_memory_mib=memory, rows=rows,
                        cached=name in ("ingest", "split"), artifact=f"artifacts/{name}/ab")
            for name, (seconds, memory, rows) in STEPS.items()
        ],
        llm=LLMSummary(model=model, calls=0, tokens_in=0, tokens_out=0, cost_usd=0.0),
        headline={},
        facts={
            "ingest": {"source": "wheel", "items_without_overview": 93},
            "train": {"device": "cpu", "epochs": 60, "valid": {"ndcg": 0.4117}},
            "rerank": {"order_kept_after_bad_answer": 0, "judgements": 11316},
        },
        config=RunConfig().model_dump(mode="json"),
    )  # fmt: skip


def comparisons() -> pl.DataFrame:
    rows = [
        {METHOD: method, REFERENCE: "ease", DIFFERENCE: difference, CI_LOW: difference - 0.01,
         CI_HIGH: difference + 0.01, P_VALUE: 0.0002, P_ADJUSTED: 0.0006, USERS: 453}
        for method, difference in (("served", -0.048), ("gat", -0.054))
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(COMPARISONS))


def recommendations(users: list[str], title: str = "Contact") -> pl.DataFrame:
    rows = [
        {USER: user, ITEM: item, RANK: rank, SCORE: 1 / rank, TITLE: title, EXPLANATION: title,
         LIKED_EVIDENCE: [7], ATTRIBUTE_EVIDENCE: ["genre:Drama"], GRAPH_SCORE: 0.5,
         LLM_SCORE: None, STRATEGY: "none", MODEL: "rules"}
        for user in users for rank, item in enumerate((7, 8), 1)
    ]  # fmt: skip
    schema = {**RECOMMENDATIONS, USER: pl.String, ITEM: pl.Int64, LIKED_EVIDENCE: pl.List(pl.Int64)}
    return pl.DataFrame(rows, schema=schema)


def attributions(users: list[str]) -> pl.DataFrame:
    """Of the first entry: a liked title, without which it would stand lower, and popularity."""
    rows = [
        {USER: user, ITEM: 7, CAUSE: cause, KIND: kind, SHARE: share, PLACE: 1,
         PLACE_WITHOUT: place}
        for user in users
        for cause, kind, share, place in ((7, "liked", 0.7, 1234), (None, "popularity", 0.3, None))
    ]  # fmt: skip
    schema = {**ATTRIBUTIONS, USER: pl.String, ITEM: pl.Int64, CAUSE: pl.Int64}
    return pl.DataFrame(rows, schema=schema)


def catalogue(title: str = "Contact") -> pl.DataFrame:
    return pl.DataFrame({ITEM: [7, 8], TITLE: [title, "Fargo"], YEAR: [1997, None]})


def lists(users: tuple[str, ...] = ("31", "405"), title: str = "Contact") -> UserLists:
    return user_lists(recommendations(list(users), title), catalogue(title))


@pytest.fixture
def run() -> ReportData:
    people = [user("new-user", 0), user(31, 21), user(405, 212)]
    people[0] = replace(people[0], history=[], profile="", profile_model="")
    ours = ("served", "gat", "gat+relevancy")
    return ReportData(
        summary=summary(), metrics=metrics(), curves=curves(), calls=calls(0), samples=people,
        ours=ours, figures=figures(metrics(), curves(), ours), comparisons=comparisons(),
        lists=lists(),
    )  # fmt: skip


@pytest.fixture
def with_calls(run: ReportData) -> ReportData:
    told = run.summary.model_copy(
        update={"llm": LLMSummary(model="openai/gpt-4.1-mini", calls=12, tokens_in=9744,
                                  tokens_out=2880, cost_usd=0.0084)}
    )  # fmt: skip
    return replace(run, summary=told, calls=calls())


@pytest.fixture
def bare(run: ReportData) -> ReportData:
    """Nothing measured, nothing recorded, nobody to show."""
    empty = {"steps": [], "facts": {}, "seconds": 0.0}
    return ReportData(
        summary=run.summary.model_copy(update=empty),
        metrics=run.metrics.clear(),
        curves=run.curves.clear(),
        figures=run.figures.clear(),
        calls=run.calls.clear(),
    )


@pytest.fixture
def hostile(run: ReportData) -> ReportData:
    """Every text that comes from outside is an attack."""
    sample = UserSample(
        user=EVIL, interactions=1, profile=f"# {EVIL}\n- **{EVIL}**: {EVIL}\n{EVIL}",
        profile_model=EVIL, history=[HistoryRow(title=EVIL, year=None, rating=5.0)],
        recommendations=[
            RecommendationRow(rank=1, title=EVIL, year=1, score=1.0, explanation=EVIL, model=EVIL)
        ],
    )  # fmt: skip
    told = run.summary.model_copy(
        update={
            "run_name": EVIL, "data_source": EVIL,
            "data": run.summary.data.model_copy(update={"name": EVIL, "fingerprint": EVIL}),
            "models": {EVIL: EVIL},
            "facts": {EVIL: {EVIL: EVIL, "list": [EVIL]}},
            "config": {"data": {EVIL: EVIL}, "x": EVIL},
            "steps": [run.summary.steps[0].model_copy(update={"step": EVIL})],
            "llm": run.summary.llm.model_copy(update={"model": EVIL}),
            "headline": {EVIL: {"ndcg": 0.5}},
        }
    )  # fmt: skip
    renamed = run.metrics.with_columns(
        pl.col(METHOD).replace({"gat": EVIL}), pl.col(PROTOCOL).replace({"condensed": EVIL})
    )
    curves = run.curves.with_columns(pl.col(PHASE).replace({"search": EVIL}))
    return replace(
        run, summary=told, metrics=renamed, samples=[sample],
        calls=calls().with_columns(pl.lit(EVIL).alias(name) for name in (PURPOSE, MODEL)),
        lists=lists((EVIL,), EVIL), ours=[EVIL], curves=curves,
        figures=figures(renamed, curves, [EVIL]),
    )  # fmt: skip
