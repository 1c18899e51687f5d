"""The language model's part in a list that it reranked, told apart from the graph's."""

import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import JUDGEMENT
from recsys_core.rerank.fusion import GRAPH_ONLY


def with_judgements(
    attributions: pl.DataFrame, reranked: pl.DataFrame, served: pl.DataFrame
) -> pl.DataFrame:
    """The attributions with a row per judged item.

    The judgement's share is its weight in the fused score; the shares of all other causes, which
    are parts of the graph's score, shrink to what is left. Its sign says whether the item stands
    higher or lower than by the graph's score alone.

    Args:
        attributions: `columns.ATTRIBUTIONS`.
        reranked: `columns.RERANKED`.
        served: `columns.RERANKED_USERS`.
    """
    judged = (
        reranked.filter((pl.col(c.STRATEGY) != GRAPH_ONLY) & pl.col(c.LLM_SCORE).is_not_null())
        .join(served.select(c.USER, c.WEIGHT), on=c.USER)
        .select(c.USER, c.ITEM, c.RANK, c.WEIGHT)
    )
    if judged.is_empty():
        return attributions
    rows = attributions.join(judged, on=[c.USER, c.ITEM], how="left", maintain_order="left")
    left = pl.col(c.SHARE) * (1 - pl.col(c.WEIGHT).fill_null(0.0))
    own = (
        rows.filter(pl.col(c.WEIGHT).is_not_null())
        .group_by(c.USER, c.ITEM, maintain_order=True)
        .first()
        .with_columns(
            pl.lit(None, attributions.schema[c.CAUSE]).alias(c.CAUSE),
            pl.lit(JUDGEMENT).alias(c.KIND),
            pl.col(c.WEIGHT).cast(pl.Float32).alias(c.SHARE),
            (pl.col(c.PLACE) - pl.col(c.RANK)).sign().cast(pl.Int8).alias(c.SIGN),
            *(pl.lit(None, attributions.schema[name]).alias(name)
              for name in (c.CONTRIBUTION, c.DROP, c.PLACE_WITHOUT, c.PEOPLE, c.PEOPLE_BOTH,
                           c.STRENGTH)),
        )
    )  # fmt: skip
    graph = rows.with_columns(left.cast(pl.Float32).alias(c.SHARE))
    return pl.concat([graph, own]).select(list(c.ATTRIBUTIONS))
