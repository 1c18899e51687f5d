"""Steps `diversify` and `trade_off`: variety of the served lists, and what it costs."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import RERANKED, TRADE_OFF
from recsys_core.diversity.config import DiversityConfig
from recsys_core.diversity.diversify import diversified
from recsys_core.diversity.diversify import trade_off as measured
from recsys_core.interactions.feedback import RatingScale
from tasks.runtime.references import CandidatesRef, CatalogueRef, RerankedRef, SplitRef, TradeOffRef
from tasks.runtime.step import step


@step("diversify", version="6", returns=RerankedRef)
def diversify(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    split: SplitRef,
    reranked: RerankedRef,
    ratings: RatingScale,
    config: DiversityConfig,
) -> None:
    """Choose the first places of the lists to serve for relevance and variety.

    Args:
        out: table `reranked`; `everybody` as it was.
        catalogue: the items and their genres.
        split: what users liked.
        reranked: the lists after fusion.
        ratings: thresholds.
        config: method, weight, pool, length.
    """
    lists = diversified(
        reranked.table("reranked"), split.table("train"), catalogue.table("items"),
        like_from=ratings.like_from, config=config,
    )  # fmt: skip
    out.table("reranked", lists, RERANKED)
    out.table("everybody", reranked.table("everybody"), RERANKED)


@step("trade_off", version="6", returns=TradeOffRef)
def trade_off(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    split: SplitRef,
    candidates: CandidatesRef,
    ratings: RatingScale,
    pool: int,
) -> None:
    """Accuracy against variety on validation, for every weight.

    Args:
        out: table `trade_off`, empty without a validation split.
        catalogue: the items and their genres.
        split: train and valid.
        candidates: the table `valid_candidates`, by the model that saw no validation row.
        ratings: thresholds.
        pool: titles of a list that the first places are chosen from.
    """
    curve = measured(
        candidates.table("valid_candidates"), split.table("train"), split.table("valid"),
        catalogue.table("items"), like_from=ratings.like_from, pool=pool,
    )  # fmt: skip
    out.table("trade_off", curve, TRADE_OFF)
