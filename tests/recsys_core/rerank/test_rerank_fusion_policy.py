import numpy as np
import polars as pl
import pytest

from recsys_core.columns import (
    CANDIDATES,
    CHOSEN,
    DIFFERENCE,
    GRAPH_SCORE,
    INTERACTIONS,
    JUDGED,
    LLM_SCORE,
    POLICIES,
    POLICY,
    RANK,
    SCORE,
    STRATEGY,
    USER,
    USERS,
    VALUE,
    WEIGHT,
    check,
)  # fmt: skip
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion_policy import (
    Policy,
    choose,
    chosen,
    cold_users,
    fixed,
    reranked_users,
    sampled_users,
)
from tests.rerank_world import frame

COLD, WARM, DEPTH = 6, 14, 20
USERS_ALL = [f"u{n:02}" for n in range(COLD + WARM)]  # the first six are cold
LIKED = "i15"


def interactions(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    named = [{"user_id": u, "item_id": i, "rating": r, "timestamp": None} for u, i, r in rows]
    return frame(INTERACTIONS, named, str)


TRAIN = interactions(
    [(user, f"t{n}", 4.0) for at, user in enumerate(USERS_ALL)
     for n in range(3 if at < COLD else 12)]
)  # fmt: skip
VALID = interactions([(user, LIKED, 5.0) for user in USERS_ALL])
LISTS = frame(
    CANDIDATES,
    [{"user_id": user, "item_id": f"i{rank}", "rank": rank, "score": -float(rank)}
     for user in USERS_ALL for rank in range(1, DEPTH + 1)],
    str,
)  # fmt: skip


def judged(helps: list[str], hurts: list[str]) -> pl.DataFrame:
    """The model puts the liked item (15th of the graph) first for some, last for others."""
    score = (
        pl.when(pl.col("item_id") != LIKED).then(50.0)
        .when(pl.col(USER).is_in(helps)).then(100.0).otherwise(0.0)
    )  # fmt: skip
    some = pl.col(USER).is_in(helps + hurts)
    return LISTS.filter(some).select(
        "user_id", "item_id", "rank", pl.col(SCORE).alias(GRAPH_SCORE),
        score.cast(pl.Float32).alias(LLM_SCORE), pl.lit("relevancy").alias(STRATEGY),
        pl.lit(None, pl.Float32).alias("agreement"),
    ).select(list(JUDGED))  # fmt: skip


def decided(table: pl.DataFrame) -> Policy:
    check(table, POLICIES, table="policies")
    assert table[CHOSEN].sum() == 1
    return chosen(table)


# The graph has the liked item at 15, outside of the first ten: it can only be helped. So the
# lists for "hurts" have it at 5.
NEAR = LISTS.with_columns(
    pl.when(pl.col(RANK) == 15).then(5).when(pl.col(RANK) == 5).then(15).otherwise(RANK)
    .cast(pl.Int32).alias(RANK)
).sort(USER, RANK).with_columns((-pl.col(RANK)).cast(pl.Float32).alias(SCORE))  # fmt: skip


def run(helps: list[str], hurts: list[str], **config: object) -> pl.DataFrame:
    return choose(
        NEAR, judged(helps, hurts), TRAIN, VALID, like_from=4.0,
        config=FusionConfig.model_validate(config), seed=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("helps", "hurts", "policy"),
    [
        (USERS_ALL, [], "all"),
        (USERS_ALL[:COLD], USERS_ALL[COLD:], "cold-only"),
        ([], USERS_ALL, "none"),
        (USERS_ALL[COLD:], USERS_ALL[:COLD], "all"),
    ],
)
def test_the_best_on_validation_is_chosen(
    helps: list[str], hurts: list[str], policy: Policy
) -> None:
    assert decided(run(helps, hurts)) == policy


def test_a_tie_goes_to_the_graph() -> None:
    same = judged([], USERS_ALL).with_columns(pl.lit(50, pl.Float32).alias(LLM_SCORE))
    table = choose(NEAR, same, TRAIN, VALID, like_from=4.0, config=FusionConfig(), seed=0)
    assert decided(table) == "none"
    assert table[DIFFERENCE].abs().max() == 0


def test_the_sweep_by_hand() -> None:
    table = run(USERS_ALL, [], llm_weight=1.0)
    rows = {(row[POLICY], row[WEIGHT]): row for row in table.iter_rows(named=True)}
    assert len(rows) == 1 + 2 * 10
    graph = 1 / np.log2(5 + 1)  # one relevant item, fifth
    assert rows["none", 0.0][VALUE] == pytest.approx(graph)
    assert rows["all", 1.0][VALUE] == pytest.approx(1.0)  # first
    assert rows["cold-only", 1.0][VALUE] == pytest.approx((6 * 1 + 14 * graph) / 20)
    assert rows["all", 1.0][DIFFERENCE] == pytest.approx(1 - graph)
    assert rows["all", 1.0][USERS] == 20
    assert rows["cold-only", 1.0]["ci_low"] < rows["cold-only", 1.0][DIFFERENCE]


def test_a_sample_with_many_cold_users_speaks_for_the_population() -> None:
    # All six cold ones are helped, two of fourteen warm ones are hurt: `all` is bad for the
    # fourteen, although six of the eight that were judged gain.
    table = run(USERS_ALL[:COLD], USERS_ALL[COLD : COLD + 2], llm_weight=1.0)
    rows = {(row[POLICY], row[WEIGHT]): row[DIFFERENCE] for row in table.iter_rows(named=True)}
    graph = 1 / np.log2(6)
    assert rows["cold-only", 1.0] == pytest.approx(6 / 20 * (1 - graph))
    assert rows["all", 1.0] == pytest.approx(6 / 20 * (1 - graph) - 14 / 20 * graph)
    assert decided(table) == "cold-only"


def test_other_weights_do_not_choose() -> None:
    table = run([], USERS_ALL, llm_weight=0.8)
    assert decided(table) == "none"
    assert sorted(table[WEIGHT].unique()) == pytest.approx([n / 10 for n in range(11)])
    assert decided(run(USERS_ALL, [], llm_weight=0.75)) == "all"
    assert 0.75 in run(USERS_ALL, [], llm_weight=0.75)[WEIGHT]


def test_nobody_to_ask_leaves_the_graph() -> None:
    nobody = judged([], [])
    table = choose(NEAR, nobody, TRAIN, VALID, like_from=4.0, config=FusionConfig(), seed=0)
    assert decided(table) == "none"
    empty = choose(
        NEAR, judged(USERS_ALL, []), TRAIN, VALID.clear(), like_from=4.0, config=FusionConfig(),
        seed=0,
    )  # fmt: skip
    assert decided(empty) == "none"


@pytest.mark.parametrize("policy", ["none", "cold-only", "all"])
def test_a_configured_policy_is_taken_as_it_is(policy: Policy) -> None:
    assert decided(fixed(policy, FusionConfig())) == policy


def test_cold_users_are_those_with_few_interactions_or_none() -> None:
    users = pl.Series(USER, [*USERS_ALL, "new"])
    assert cold_users(users, TRAIN, 10).to_list() == [*USERS_ALL[:COLD], "new"]
    assert cold_users(users, TRAIN, 3).to_list() == ["new"]
    config = FusionConfig(cold_below=10)
    assert reranked_users("all", users, TRAIN, config).to_list() == users.to_list()
    assert reranked_users("none", users, TRAIN, config).to_list() == []
    assert reranked_users("cold-only", users, TRAIN, config).len() == COLD + 1


def sample(most: int, seed: int = 0, valid: pl.DataFrame = VALID) -> list[str]:
    users = sampled_users(LISTS, TRAIN, valid, like_from=4.0, cold_below=10, most=most, seed=seed)
    return users.to_list()


def test_the_sample_takes_cold_users_first_and_is_seeded() -> None:
    assert set(sample(4)) < set(USERS_ALL[:COLD])
    assert set(sample(10)) > set(USERS_ALL[:COLD])
    assert len(sample(10)) == 10
    assert sample(10) == sample(10)
    assert len({tuple(sample(10, seed)) for seed in range(5)}) > 1
    assert sample(100) == USERS_ALL


def test_only_users_with_a_liked_validation_item_and_a_list_are_sampled() -> None:
    rows = [("u00", LIKED, 5.0), ("u01", LIKED, 2.0), ("stranger", LIKED, 5.0)]
    assert sample(100, valid=interactions(rows)) == ["u00"]
