"""Hyperparameter choice on the validation split, then a refit on all that is learned from."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import polars as pl

from recsys_core.columns import USER
from recsys_core.errors import ConfigError
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import judge
from recsys_core.evaluation.significance import means
from recsys_core.recommenders.base import Recommender

R = TypeVar("R", bound=Recommender)

OnFit = Callable[[int, int], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tuned(Generic[R]):
    """The winner, refitted, and what every candidate reached.

    Attributes:
        recommender: the winner.
        choice: its name among the candidates.
        valid_ndcg: candidate -> NDCG@k on validation (NaN where validation has nothing relevant);
            empty where there is one candidate only.
    """

    recommender: R
    choice: str
    valid_ndcg: dict[str, float]


def tuned(
    builders: Mapping[str, Callable[[], R]],
    train: pl.DataFrame,
    valid: pl.DataFrame,
    items: pl.Series,
    *,
    like_from: float,
    k: int = 10,
    learned: pl.DataFrame | None = None,
    on_fit: OnFit | None = None,
) -> Tuned[R]:
    """Fit each candidate on train, keep the one with the best `full` NDCG@k on validation.

    The test split is not an argument, so nothing can be tuned on it.

    Args:
        builders: name -> makes an unfitted recommender; with equal results the first wins.
        train: training interactions.
        valid: validation interactions.
        items: ids of all items of the data set.
        like_from: lowest rating that counts as relevant.
        k: cut-off.
        learned: what the winner is refitted on; None: train and valid.
        on_fit: called with (fits done, fits in all).

    Raises:
        ConfigError: there is no candidate.
    """
    final = pl.concat([train, valid]) if learned is None else learned

    def reached(recommender: R) -> float:
        return _ndcg(recommender.fit(train, items), train, valid, like_from, k)

    return choose(builders, reached, lambda recommender: recommender.fit(final, items), on_fit)


def choose(
    builders: Mapping[str, Callable[[], R]],
    reached: Callable[[R], float],
    refitted: Callable[[R], R],
    on_fit: OnFit | None = None,
) -> Tuned[R]:
    """Build each candidate, measure it, refit a fresh copy of the best.

    Args:
        builders: name -> makes an unfitted recommender; with equal results the first wins.
        reached: fits a candidate and measures it, on data other than test.
        refitted: fits the winner for good.
        on_fit: called with (fits done, fits in all) after each candidate.

    Raises:
        ConfigError: there is no candidate.
    """
    if not builders:
        raise ConfigError("There is nothing to choose from.", expected="at least one candidate.")
    if len(builders) == 1:  # nothing to choose, so nothing to measure
        ((only, build),) = builders.items()
        return Tuned(recommender=refitted(build()), choice=only, valid_ndcg={})
    results: dict[str, float] = {}
    for name, build in builders.items():
        results[name] = reached(build())
        if on_fit:
            on_fit(len(results), len(builders) + 1)
    # NaN compares false with everything: a NaN never replaces the first candidate.
    choice = max(results, key=lambda name: results[name])
    logger.info("tuned %s", choice, extra={"choice": choice, "valid_ndcg": results})
    return Tuned(recommender=refitted(builders[choice]()), choice=choice, valid_ndcg=results)


def _ndcg(
    recommender: Recommender, train: pl.DataFrame, valid: pl.DataFrame, like_from: float, k: int
) -> float:
    ranking = recommender.recommend(valid[USER].unique().sort(), k, exclude=train)
    judged = judge(
        ranking, train, valid, method=recommender.name, protocol="full", cutoffs=(k,),
        like_from=like_from,
    )  # fmt: skip
    return float(means(judged.values[NDCG])[0][0])
