"""Learned score fusion: the weight of the LLM score and the scale, found on validation users.

Every setting (a weight and a scale) is tried on every judged validation user. What the *choice*
is worth is measured by cross-fitting: the users are cut into folds, the setting for a fold is
chosen on the others, so that no user's gain is measured with a setting that they helped to
choose, and the interval covers the selection. A setting must gain more than its standard error,
else the graph's order stays; another scale than that of the scores must gain more than its weight
there by the standard error of the difference: four scales of one weight differ mostly by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import INDEX, ITEM, JUDGED, LLM_SCORE, RANK, USER, check
from recsys_core.evaluation.metrics import Bools, Floats, hits_of, ndcg
from recsys_core.interactions.feedback import is_liked
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion import SCALES, Scale, fuse
from recsys_core.rerank.reranker import in_graph_order

K: Final = 10
_FOLDS: Final = 5
_WEIGHTS: Final = tuple(step / 10 for step in range(1, 11))
_HIT: Final = "hit"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How LLM scores and graph scores are fused."""

    weight: float
    scale: Scale


def settings(config: FusionConfig) -> tuple[Setting, ...]:
    """What is tried: all weights and scales that the configuration leaves open."""
    weights = _WEIGHTS if config.llm_weight is None else (config.llm_weight,)
    scales = SCALES if config.scale is None else (config.scale,)
    return tuple(Setting(weight=weight, scale=scale) for weight, scale in product(weights, scales))


def of_plain_scale(tried: Sequence[Setting]) -> Bools:
    """`(n_settings,)` which settings take the scores as they are spread."""
    return np.array([one.scale == "score" for one in tried])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the settings would do to every judged user's list.

    Attributes:
        users: ids, `(n,)`.
        graph: NDCG@10 of the graph's own lists, `(n,)`.
        gains: change of it by every setting, `(n, n_settings)`.
    """

    users: pl.Series
    graph: Floats
    gains: Floats


def measure(
    candidates: pl.DataFrame,
    judged: pl.DataFrame,
    valid: pl.DataFrame,
    tried: Sequence[Setting],
    *,
    like_from: float,
) -> Measured:
    """NDCG@10 on validation of every judged user with a liked validation item.

    Args:
        candidates: `columns.CANDIDATES` of the model fitted on training ratings alone.
        judged: `columns.JUDGED` of these candidates.
        valid: validation interactions; liked ones are the relevant items.
        tried: the settings.
        like_from: lowest rating that counts as liked.

    Raises:
        DataError: a table breaks its contract.
    """
    check(judged, JUDGED, table="judged")
    liked = valid.filter(is_liked(like_from)).select(USER, ITEM).unique()
    relevant = liked.group_by(USER).len().join(judged, on=USER, how="semi").sort(USER)
    index = relevant.select(USER).with_row_index(INDEX)
    rows = (
        in_graph_order(candidates)
        .join(index, on=USER)
        .join(judged.select(USER, ITEM, LLM_SCORE), on=[USER, ITEM], how="left")
        .join(liked.with_columns(pl.lit(True).alias(_HIT)), on=[USER, ITEM], how="left")
        .join(judged.select(USER, ITEM), on=[USER, ITEM], how="semi")
    )
    below = in_graph_order(candidates).join(liked, on=[USER, ITEM]).join(index, on=USER)
    below = below.join(rows, on=[USER, ITEM], how="anti")
    total = relevant["len"].cast(pl.Int64).to_numpy()
    width = max(K, int(rows[RANK].max() or 0))  # type: ignore[arg-type]

    def measured(ranked: pl.DataFrame) -> Floats:
        hits: Bools = np.zeros((total.size, width), np.bool_)
        for part in (ranked.filter(_HIT), below.filter(pl.col(RANK) <= width)):
            hits[part[INDEX].to_numpy(), part[RANK].to_numpy() - 1] = True
        return ndcg(hits_of(hits, total, (K,)))[:, 0]

    graph = measured(rows)
    found = [measured(fuse(rows, weight=one.weight, scale=one.scale)) - graph for one in tried]
    return Measured(users=relevant[USER], graph=graph, gains=np.stack(found, axis=1))


def select(
    gains: Floats, *, fixed: bool, sure: bool = True, plain: Bools | None = None
) -> int | None:
    """The setting with the highest mean gain, if it exceeds its standard error; else None.

    Args:
        gains: `(n, n_settings)`, settings by rising weight; of equal ones the first is taken.
        fixed: there is one setting, which is not to be chosen but measured.
        sure: whether a gain must exceed its standard error, or any gain will do.
        plain: `(n_settings,)` which settings are preferred (the scores' own scale).
    """
    if fixed:
        return 0
    if gains.shape[0] < 2:
        return None
    means = gains.mean(axis=0).round(9)
    best = int(means.argmax())
    if plain is not None and plain.any() and not plain[best]:
        usual = int(np.where(plain, means, -np.inf).argmax())
        more = gains[:, best] - gains[:, usual]
        if more.mean() <= more.std(ddof=1) / more.size**0.5:
            best = usual
    error = gains[:, best].std(ddof=1) / gains.shape[0] ** 0.5
    return best if means[best] > (max(error, 0.0) if sure else 0.0) else None


def cross_fitted(gains: Floats, rng: np.random.Generator, plain: Bools | None = None) -> Floats:
    """Every user's gain by the setting that was chosen on the other folds' users, `(n,)`.

    Args:
        gains: `(n, n_settings)`.
        rng: of the folds.
        plain: of `select`.
    """
    users, tried = gains.shape
    folds = rng.permutation(users) % _FOLDS
    found = np.zeros(users)
    for fold in range(_FOLDS):
        chosen = select(gains[folds != fold], fixed=tried == 1, plain=plain)
        if chosen is not None:
            found[folds == fold] = gains[folds == fold, chosen]
    return found
