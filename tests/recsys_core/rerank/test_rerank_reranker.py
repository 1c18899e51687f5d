import asyncio
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from recsys_core.columns import CANDIDATES, JUDGED, check
from recsys_core.errors import BudgetExceeded, DataError, LLMUnavailable
from recsys_core.llm.providers.base import Provider, Request
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.prompt_context.tables import item_facts, recent_items
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.fusion import Scale, fused_lists
from recsys_core.rerank.reranker import mean_agreement, rerank
from recsys_core.rerank.strategies.registry import STRATEGIES
from recsys_core.rerank.strategies.relevancy import ItemScore, RelevancyAnswer
from recsys_core.rerank.user_context import RerankTables, UserContexts, similarities
from tests.rerank_world import Scripted, world


def run(
    tables: RerankTables, provider: Provider | None = None, seed: int = 0, **config: Any
) -> tuple[pl.DataFrame, dict[str, Any]]:
    settings = RerankConfig(**{"strategy": "relevancy", **config})
    return asyncio.run(
        rerank(tables, provider=provider or RulesProvider(), config=settings, seed=seed)
    )


def served(tables: RerankTables, judged: pl.DataFrame, scale: Scale = "score") -> pl.DataFrame:
    everybody = tables.candidates["user_id"].unique()
    lists = fused_lists(tables.candidates, judged, everybody, weight=0.8, scale=scale)
    return lists.select("user_id", "item_id", "rank")


def graph_order(tables: RerankTables) -> pl.DataFrame:
    return tables.candidates.sort("user_id", "rank").select("user_id", "item_id", "rank")


def hundred(request: Request[Any, Any]) -> RelevancyAnswer:
    return RelevancyAnswer(
        scores=tuple(ItemScore(id=one.id, score=100) for one in request.variables.candidates)
    )


def failing(request: Request[Any, Any]) -> RelevancyAnswer:
    raise LLMUnavailable("503")


@pytest.mark.parametrize("id_type", [int, str])
def test_a_complete_permutation_that_keeps_its_contract(id_type: type) -> None:
    tables, _ = world(id_type=id_type)
    found, facts = run(tables)
    check(found, JUDGED, table="judged")
    assert found.columns == list(JUDGED)
    pairs = found.select("user_id", "item_id").sort("user_id", "item_id")
    assert pairs.equals(tables.candidates.select("user_id", "item_id").sort("user_id", "item_id"))
    for _, own in found.group_by("user_id"):
        assert own["rank"].to_list() == list(range(1, 21))
    assert found["llm_score"].is_between(0, 100).all()
    assert set(found["strategy"]) == {"relevancy"}
    assert facts["users"] == 4
    assert facts["answers_by_model"] == {"rules": 4 * 12}
    assert (facts["fallback_users"], facts["fallback_items"], facts["failed_requests"]) == (0, 0, 0)


def test_graph_scores_stay_with_their_items() -> None:
    tables, _ = world()
    joined = run(tables)[0].join(tables.candidates, on=["user_id", "item_id"])
    assert joined.height == tables.candidates.height
    assert joined["graph_score"].equals(joined["score"], check_names=False)


def test_one_seed_one_result() -> None:
    tables, _ = world()
    assert run(tables)[0].equals(run(tables)[0])
    # The rules judge each item by itself, so that shuffles change nothing.
    assert run(tables, seed=0)[0].equals(run(tables, seed=1)[0])


def test_a_users_shuffles_do_not_depend_on_the_other_users() -> None:
    tables, _ = world()

    def prompts(candidates: pl.DataFrame, seed: int = 0) -> list[list[str]]:
        provider = Scripted(hundred)
        run(replace(tables, candidates=candidates), provider, seed)
        return [
            [one.id for one in asked.variables.candidates]
            for asked in provider.asked
            if asked.subject == "user:2"
        ]

    alone = tables.candidates.filter(pl.col("user_id") == 2)
    assert prompts(alone) == prompts(tables.candidates) != prompts(tables.candidates, seed=1)


def test_none_passes_the_graphs_order_through() -> None:
    tables, _ = world()
    provider = Scripted(hundred)
    found, facts = run(tables, provider, strategy="none")
    assert found["llm_score"].null_count() == found.height
    assert served(tables, found).equals(graph_order(tables))
    assert provider.asked == []
    assert facts["strategy"] == "none"


@pytest.mark.parametrize("scale", ["rank", "score"])
@pytest.mark.parametrize("answer", [failing, hundred])
def test_an_all_failing_or_indifferent_model_gives_the_graph_ranking(
    answer: Any, scale: Scale
) -> None:
    tables, _ = world()
    found, facts = run(tables, Scripted(answer))
    assert served(tables, found, scale).equals(graph_order(tables))
    failed = 4 if answer is failing else 0
    assert facts["fallback_users"] == failed
    assert facts["fallback_items"] == failed * 20


def test_one_users_failure_does_not_harm_another() -> None:
    tables, _ = world()

    def moody(request: Request[Any, Any]) -> RelevancyAnswer:
        if request.subject == "user:3":
            raise LLMUnavailable("reset")
        return request.purpose.rule(request.variables)  # type: ignore[no-any-return]

    found, facts = run(tables, Scripted(moody))
    others = pl.col("user_id") != 3
    assert found.filter(others).equals(run(tables)[0].filter(others))
    own = served(tables, found).filter(~others)
    assert own.equals(graph_order(tables).filter(~others))
    assert (facts["fallback_users"], facts["fallback_items"]) == (1, 20)
    assert facts["failed_requests"] == 12


def test_the_end_of_the_budget_ends_the_run() -> None:
    tables, _ = world()

    def broke(request: Request[Any, Any]) -> RelevancyAnswer:
        raise BudgetExceeded("5 dollars are spent")

    with pytest.raises(BudgetExceeded, match="5 dollars"):
        run(tables, Scripted(broke))


def test_only_the_top_is_judged() -> None:
    tables, _ = world(depth=20)
    found, facts = run(tables, candidates=8)
    assert facts["items"] == 4 * 8 == found.height
    before = graph_order(tables).filter(pl.col("rank") <= 8)
    assert found.select("user_id", "item_id", "rank").equals(before)


@pytest.mark.parametrize("depth", [1, 2, 5, 6])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fewer_candidates_than_a_batch(depth: int, strategy: str) -> None:
    tables, _ = world(n_items=9, depth=depth)
    found, facts = run(tables, strategy=strategy)
    assert found.height == 4 * depth
    assert facts["fallback_items"] == 0
    assert found["llm_score"].null_count() == 0


def test_no_candidates_at_all() -> None:
    tables, _ = world()
    found, facts = run(replace(tables, candidates=tables.candidates.clear()))
    check(found, JUDGED, table="judged")
    assert found.is_empty()
    assert served(tables, found).equals(graph_order(tables))
    assert facts["users"] == 0


def test_unknown_tastes_texts_and_times() -> None:
    tables, _ = world()
    bare = replace(
        tables,
        items=tables.items.with_columns(
            pl.lit(None, pl.Int32).alias("year"),
            pl.lit([], pl.List(pl.String)).alias("genres"),
        ),
        history=tables.history.with_columns(pl.lit(None, pl.Int64).alias("timestamp")),
        item_profiles=tables.item_profiles.clear(),
        user_profiles=tables.user_profiles.clear(),
        user_vectors=tables.user_vectors.clear(),
    )
    found, facts = run(bare)
    assert set(found["llm_score"]) == {50.0}
    assert served(tables, found).equals(graph_order(tables))
    assert facts["users_without_profile"] == facts["users_without_vector"] == 4
    assert facts["items_without_profile"] == tables.candidates["item_id"].n_unique()


def test_only_training_data_enter_a_prompt() -> None:
    tables, _ = world(n_items=60)
    hidden = tables.items.join(tables.history, on="item_id", how="anti").join(
        tables.candidates, on="item_id", how="anti"
    )
    assert hidden.height > 0
    provider = Scripted(hundred)
    run(tables, provider)
    for asked in provider.asked:
        user = int(asked.subject.removeprefix("user:"))
        own = tables.history.filter(pl.col("user_id") == user).join(tables.items, on="item_id")
        assert {one.title for one in asked.variables.recent} <= set(own["title"])
        offered = tables.candidates.filter(pl.col("user_id") == user)["item_id"]
        assert {int(one.id) for one in asked.variables.candidates} <= set(offered)


def test_recent_items_are_the_latest_ones() -> None:
    tables, _ = world(n_users=1)
    recent = recent_items(tables.history, tables.items)["recent"][0].to_list()
    expected = tables.history.sort("timestamp", descending=True).join(
        tables.items, on="item_id", maintain_order="left"
    )
    assert [one["title"] for one in recent] == expected["title"].to_list()
    order = pl.int_range(pl.len(), 0, -1).alias("position")
    placed = tables.history.with_columns(order, pl.lit(None, pl.Int64).alias("timestamp"))
    first = placed.join(tables.items, on="item_id", maintain_order="left")["title"].to_list()
    found = recent_items(placed, tables.items)["recent"][0].to_list()
    assert [one["title"] for one in found] == first, "positions order data without times"


def test_item_facts_take_the_metadatas_genres_first_and_cut_texts() -> None:
    tables, _ = world(n_items=3)
    items = tables.items.with_columns(
        pl.Series("genres", [["War"], [], None], pl.List(pl.String)),
        pl.Series("title", ["x" * 500, "", None], pl.String),
        pl.Series("overview", ["", "", "y" * 5000], pl.String),
    )
    profiles = tables.item_profiles[:2].with_columns(
        pl.Series("genres", [["Drama"]] * 2), pl.lit("z" * 900).alias("description")
    )
    facts = item_facts(items, profiles).sort("item_id")
    assert facts["genres"].to_list() == [["War"], ["Drama"], []]
    assert facts["title"].str.len_chars().to_list() == [120, 0, 0]
    assert facts["description"].to_list() == ["z" * 300, "z" * 300, "y" * 300]
    assert facts["tags"][2].to_list() == []


def test_similarity_is_the_cosine() -> None:
    vector = pl.Array(pl.Float32, 2)
    users = pl.DataFrame({"user_id": [2, 1], "vector": pl.Series([[3, 4], [1, 0]], dtype=vector)})
    items = pl.DataFrame({"item_id": [9, 8], "vector": pl.Series([[0, 2], [0, 0]], dtype=vector)})
    pool = pl.DataFrame({"user_id": [1, 2, 2, 2, 3], "item_id": [9, 9, 8, 7, 9]})
    cosines = similarities(pool, users, items)["similarity"].to_list()
    assert cosines == [0, pytest.approx(4 / 5), 0, None, None]


def test_cases_come_in_order_and_one_by_one() -> None:
    tables, _ = world()
    contexts = UserContexts(tables.candidates.sort("user_id", "rank"), tables)
    assert len(contexts) == 4
    assert [context.user for context in contexts] == ["1", "2", "3", "4"]
    for context in contexts:
        own = graph_order(tables).filter(pl.col("user_id") == int(context.user))
        assert [int(one.id) for one in context.candidates] == own["item_id"].to_list()
        assert all(one.similarity is not None for one in context.candidates)


BAD_CANDIDATES: list[tuple[dict[str, list[Any]], str]] = [
    ({"item_id": [999]}, "1 rows name an item that the items table does not have"),
    ({"score": [float("nan")]}, "1 rows have no finite score"),
    ({"score": [float("-inf")]}, "1 rows have no finite score"),
    ({"score": [None]}, "1 rows have no finite score"),
    ({"item_id": [101, 101], "score": [1, 2]}, "2 rows name an item twice"),
]


@pytest.mark.parametrize(("columns", "message"), BAD_CANDIDATES)
def test_bad_candidates_are_named(columns: dict[str, list[Any]], message: str) -> None:
    tables, _ = world()
    length = max(map(len, columns.values()))
    row = {"user_id": [1] * length, "item_id": [101], "rank": list(range(length)), "score": [1.0]}
    schema = {name: dtype or pl.Int64 for name, dtype in CANDIDATES.items()}
    with pytest.raises(DataError, match=message):
        replace(tables, candidates=pl.DataFrame(row | columns, schema=schema, strict=False))


def test_an_id_too_long_for_an_answer_is_named() -> None:
    tables, _ = world(id_type=str)
    items = tables.items.with_columns(pl.col("item_id") + "x" * 300)
    candidates = tables.candidates.with_columns(pl.col("item_id") + "x" * 300)
    with pytest.raises(DataError, match="id of more than 200 characters"):
        replace(tables, items=items, candidates=candidates)


def test_progress_is_told() -> None:
    tables, _ = world()
    told: list[int] = []
    asyncio.run(
        rerank(tables, provider=RulesProvider(), config=RerankConfig(), seed=0, on_user=told.append)
    )
    assert told == [1, 2, 3, 4]


def test_agreement_of_looks_stands_beside_every_user() -> None:
    tables, _ = world()
    found, _ = run(tables, strategy="prompt-level", looks=4)
    assert set(found["agreement"]) == {1.0}, "the rules give one order in every look"
    assert mean_agreement(found) == 1.0
    assert mean_agreement(run(tables)[0]) is None
