import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import (
    GRAPH_SCORE,
    ITEM,
    LLM_SCORE,
    RANK,
    RERANKED,
    SCORE,
    STRATEGY,
    USER,
    check,
)  # fmt: skip
from recsys_core.rerank.fusion import SCALES, Scale, fuse, fused_by_user, fused_lists

rows = st.lists(
    st.tuples(st.floats(-1e3, 1e3, width=32), st.none() | st.integers(0, 100)), max_size=12
)


def judged(users: list[list[tuple[float, float | None]]]) -> pl.DataFrame:
    """Rows per user of (graph score, LLM score); sorted by graph score, item = graph rank."""
    return pl.DataFrame(
        [
            (user, rank, rank, graph, llm)
            for user, pairs in enumerate(users)
            for rank, (graph, llm) in enumerate(sorted(pairs, key=lambda pair: -pair[0]), start=1)
        ],
        schema={
            USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int32, GRAPH_SCORE: pl.Float32,
            LLM_SCORE: pl.Float32,
        },
        orient="row",
    )  # fmt: skip


def order(frame: pl.DataFrame, user: int = 0) -> list[int]:
    return frame.filter(pl.col(USER) == user).sort(RANK)[ITEM].to_list()


@given(st.lists(rows, max_size=4), st.floats(0, 1), st.sampled_from(SCALES))
def test_a_permutation_with_scores_that_never_rise(
    users: list[list[tuple[float, float | None]]], weight: float, scale: Scale
) -> None:
    before = judged(users)
    after = fuse(before, weight=weight, scale=scale)
    assert after.select(USER, ITEM).sort(USER, ITEM).equals(before.select(USER, ITEM))
    for _, own in after.group_by(USER):
        assert own[RANK].to_list() == list(range(1, own.height + 1))
        assert own[SCORE].is_between(0, 1).all()
        assert own[SCORE].is_sorted(descending=True)


@given(rows, st.floats(0, 1), st.sampled_from(SCALES))
def test_without_llm_scores_the_graph_order_stays(
    pairs: list[tuple[float, float | None]], weight: float, scale: Scale
) -> None:
    before = judged([[(graph, None) for graph, _ in pairs]])
    assert order(fuse(before, weight=weight, scale=scale)) == before[ITEM].to_list()


@given(rows, st.sampled_from(SCALES))
def test_all_llm_scores_equal_leaves_the_graph_order(
    pairs: list[tuple[float, float | None]], scale: Scale
) -> None:
    before = judged([[(graph, 50.0) for graph, _ in pairs]])
    assert order(fuse(before, weight=0.8, scale=scale)) == before[ITEM].to_list()


@pytest.mark.parametrize("scale", SCALES)
def test_weight_decides_who_has_the_last_word(scale: Scale) -> None:
    before = judged([[(3.0, 10), (2.0, 20), (1.0, 30)]])
    assert order(fuse(before, weight=1.0, scale=scale)) == [3, 2, 1]
    assert order(fuse(before, weight=0.0, scale=scale)) == [1, 2, 3]


def test_rank_fusion_by_hand() -> None:
    # graph by rank 1, 1/2, 0; LLM 20, 90, 20: mean ranks 1.5, 3, 1.5, so 0, 1, 0 on the scale
    fused = fuse(judged([[(9.0, 20), (8.0, 90), (1.0, 20)]]), weight=0.8, scale="rank")
    assert order(fused) == [2, 1, 3]
    assert fused[SCORE].to_list() == pytest.approx(
        [0.8 * 1 + 0.2 * 1 / 2, 0.8 * 0 + 0.2 * 1, 0.8 * 0 + 0.2 * 0]
    )


def test_score_fusion_by_hand() -> None:
    fused = fuse(judged([[(9.0, 20), (8.0, 90), (1.0, 34)]]), weight=0.8)
    assert fused.sort(ITEM)[SCORE].to_list() == pytest.approx(
        [0.8 * 0 + 0.2 * 1, 0.8 * 1 + 0.2 * 7 / 8, 0.8 * 14 / 70 + 0.2 * 0]
    )


def test_an_item_without_llm_score_stands_at_its_graph_value() -> None:
    before = judged([[(9.0, None), (8.0, 90), (7.0, 10), (1.0, None)]])
    fused = fuse(before, weight=0.8, scale="rank")
    assert fused.sort(ITEM)[SCORE].to_list() == pytest.approx(
        [1, 0.8 * 1 + 0.2 * 2 / 3, 0.8 * 0 + 0.2 * 1 / 3, 0]
    )


def test_ranks_are_not_moved_by_outliers_but_scores_are() -> None:
    pairs: list[tuple[float, float | None]] = [(3.0, 88), (2.0, 90), (1.0, 0)]
    assert order(fuse(judged([pairs]), weight=0.6, scale="rank")) == [2, 1, 3]
    assert order(fuse(judged([pairs]), weight=0.6, scale="score")) == [1, 2, 3]


def test_zscores_by_hand() -> None:
    # graph 3, 2, 1: sd sqrt(2/3); LLM 0, 0, 90: mean 30, sd sqrt(1800)
    pairs: list[tuple[float, float | None]] = [(3.0, 0), (2.0, 0), (1.0, 90)]
    fused = fuse(judged([pairs]), weight=0.4, scale="zscore")
    one = 0.6 / (2 / 3) ** 0.5 - 0.4 * 30 / 1800**0.5
    two = -0.4 * 30 / 1800**0.5
    three = -0.6 / (2 / 3) ** 0.5 + 0.4 * 60 / 1800**0.5
    low, high = min(one, two, three), max(one, two, three)
    assert fused.sort(ITEM)[SCORE].to_list() == pytest.approx(
        [(value - low) / (high - low) for value in (one, two, three)]
    )


def test_judgements_that_disagree_weigh_less_on_the_absolute_scale() -> None:
    sure: list[tuple[float, float | None]] = [(3.0, 0), (2.0, 50), (1.0, 100)]
    unsure: list[tuple[float, float | None]] = [(3.0, 45), (2.0, 50), (1.0, 55)]
    assert order(fuse(judged([sure]), weight=0.6, scale="absolute")) == [3, 2, 1]
    assert order(fuse(judged([unsure]), weight=0.6, scale="absolute")) == [1, 2, 3]
    assert order(fuse(judged([unsure]), weight=0.6, scale="score")) == [3, 2, 1]


def test_every_user_has_weight_and_scale_of_its_own() -> None:
    before = lists_of(3, 10)
    served = pl.DataFrame({USER: ["u0", "u1"], "weight": [1.0, 0.0], "scale": ["rank", "score"]})
    after = fused_by_user(before, judged_top(before, 4), served)
    firsts = after.filter(pl.col(RANK) == 1).sort(USER)
    assert firsts[ITEM].to_list() == ["i4", "i1", "i1"]
    assert firsts[STRATEGY].to_list() == ["relevancy", "relevancy", "none"]


def test_users_have_their_own_scales() -> None:
    alone = fuse(judged([[(3.0, 1), (2.0, 2)]]), weight=0.8, scale="score")
    both = fuse(
        judged([[(3.0, 1), (2.0, 2)], [(300.0, 99), (100.0, 50)]]), weight=0.8, scale="score"
    )
    assert both.filter(pl.col(USER) == 0).equals(alone)


def lists_of(n_users: int, depth: int) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"u{user}", f"i{rank}", rank, float(-rank)) for user in range(n_users)
         for rank in range(1, depth + 1)],
        schema={USER: pl.String, ITEM: pl.String, RANK: pl.Int32, SCORE: pl.Float32},
        orient="row",
    )  # fmt: skip


def judged_top(lists: pl.DataFrame, top: int) -> pl.DataFrame:
    """The model likes the graph's order upside down."""
    return lists.filter(pl.col(RANK) <= top).select(
        USER, ITEM, RANK, pl.col(SCORE).alias(GRAPH_SCORE),
        pl.col(RANK).cast(pl.Float32).alias(LLM_SCORE), pl.lit("relevancy").alias(STRATEGY),
        pl.lit(None, pl.Float32).alias("agreement"),
    )  # fmt: skip


def test_lists_are_whole_and_only_the_chosen_users_change() -> None:
    before = lists_of(3, 10)
    after = fused_lists(before, judged_top(before, 4), pl.Series(["u1"]), weight=1.0)
    check(after, RERANKED, table="reranked")
    assert after.columns == list(RERANKED)
    assert (
        after.select(USER, ITEM).sort(USER, ITEM).equals(before.select(USER, ITEM).sort(USER, ITEM))
    )
    for user, expected, strategy in (
        ("u0", range(1, 11), "none"), ("u1", (4, 3, 2, 1, *range(5, 11)), "relevancy"),
        ("u2", range(1, 11), "none"),
    ):  # fmt: skip
        own = after.filter(pl.col(USER) == user)
        assert own[ITEM].to_list() == [f"i{place}" for place in expected]
        assert own[RANK].to_list() == list(range(1, 11))
        assert own[SCORE].is_sorted(descending=True)
        assert set(own[STRATEGY]) == {strategy}
        if strategy == "none":
            assert own[SCORE].to_list() == own[GRAPH_SCORE].to_list(), "the graph's own"
        else:
            assert own[SCORE][:4].is_between(0, 1).all()
            assert (own[SCORE][4:] < 0).all()
        assert own[LLM_SCORE].null_count() == 6  # what the model said stays to be seen


def test_users_that_nobody_judged_keep_the_graphs_order() -> None:
    before = lists_of(2, 5)
    judged = judged_top(before, 5).filter(pl.col(USER) == "u0")
    after = fused_lists(before, judged, before[USER].unique(), weight=1.0)
    assert after.filter(pl.col(USER) == "u1")[ITEM].to_list() == [f"i{n}" for n in range(1, 6)]
    assert set(after.filter(pl.col(USER) == "u1")[STRATEGY]) == {"none"}
    assert after[ITEM][0] == "i5"
