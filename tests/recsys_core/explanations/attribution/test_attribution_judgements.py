"""A reranked list tells the judgement's part from the graph's."""

import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.explanations.attribution.judgements import with_judgements
from recsys_core.explanations.attribution.kinds import JUDGEMENT, LIKED

ATTRIBUTIONS = pl.DataFrame(
    {
        c.USER: [1, 1, 1, 2], c.ITEM: [10, 10, 11, 10], c.CAUSE: [7, 8, 7, 9],
        c.KIND: [LIKED] * 4, c.SHARE: [0.6, 0.4, 1.0, 1.0], c.SIGN: [1] * 4,
        c.CONTRIBUTION: [0.6, 0.4, 1.0, 1.0], c.DROP: [0.5] * 4, c.PLACE: [3, 3, 1, 1],
        c.PLACE_WITHOUT: [9, None, None, 4], c.PEOPLE: [5] * 4, c.PEOPLE_BOTH: [2] * 4,
        c.STRENGTH: ["main", "strong", "main", "main"],
    },
    schema={**c.ATTRIBUTIONS, c.USER: pl.Int64, c.ITEM: pl.Int64, c.CAUSE: pl.Int64},
)  # fmt: skip
RERANKED = pl.DataFrame(
    {
        c.USER: [1, 1, 2], c.ITEM: [10, 11, 10], c.RANK: [1, 2, 1], c.SCORE: [0.9, 0.5, 0.0],
        c.GRAPH_SCORE: [1.0, 2.0, 1.0], c.LLM_SCORE: [90.0, 10.0, None],
        c.STRATEGY: ["prompt-level", "prompt-level", "none"],
    },
    schema={**c.RERANKED, c.USER: pl.Int64, c.ITEM: pl.Int64},
)  # fmt: skip
SERVED = pl.DataFrame({c.USER: [1], c.WEIGHT: [0.25], c.SCALE: ["rank"]})


def test_the_judgement_has_its_weight_and_the_graph_what_is_left():
    found = c.check(with_judgements(ATTRIBUTIONS, RERANKED, SERVED), c.ATTRIBUTIONS, table="t")
    own = found.filter(pl.col(c.KIND) == JUDGEMENT).sort(c.ITEM)
    assert own.select(c.USER, c.ITEM).rows() == [(1, 10), (1, 11)]
    assert own[c.SHARE].to_list() == [0.25, 0.25]
    assert own[c.SIGN].to_list() == [1, -1], "one rose from 3 to 1, the other fell from 1 to 2"
    assert own[c.CAUSE].null_count() == own[c.DROP].null_count() == 2
    assert own[c.STRENGTH].null_count() == 2
    shares = found.group_by(c.USER, c.ITEM).agg(pl.col(c.SHARE).sum())[c.SHARE]
    assert shares.to_list() == pytest.approx([1.0] * 3)


def test_lists_in_the_graphs_order_stay_as_they_are():
    same = with_judgements(ATTRIBUTIONS, RERANKED.tail(1), SERVED)
    assert same.equals(ATTRIBUTIONS)
