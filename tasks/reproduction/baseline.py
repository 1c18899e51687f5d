"""Step `baseline`: the lists of one tuned baseline on one fold."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES, ITEM, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.methods import builders
from recsys_core.recommenders.tuning import tuned
from tasks.baselines import as_served
from tasks.runtime.references import DatasetRef, ListsRef, SplitRef
from tasks.runtime.step import HOUR, step


@step("baseline", version="2", returns=ListsRef, timeout_seconds=6 * HOUR)
def baseline(
    out: ArtifactWriter,
    *,
    data: DatasetRef,
    split: SplitRef,
    method: str,
    ratings: RatingScale,
    k: int,
    seed: int,
) -> None:
    """Choose among a baseline's hyperparameters on validation, refit the best, rank.

    Args:
        out: table `candidates` (`columns.CANDIDATES`).
        data: the ingested data set.
        split: train and valid; test is not looked at.
        method: name in `recommenders.methods.BASELINES`.
        ratings: thresholds.
        k: length of the lists.
        seed: of the methods that draw.
    """
    train, valid, items = split.table("train"), split.table("valid"), data.table("items")[ITEM]
    candidates = builders(method, ratings, seed=seed)
    found = tuned(candidates, train, valid, items, like_from=ratings.like_from)
    lists = as_served(found.recommender, split, items).recommend(
        data.table("users")[USER], k, exclude=split.masked, among=data.candidate_items
    )
    out.table("candidates", lists, CANDIDATES)
    out.fact("choice", found.choice)
    out.fact("valid_ndcg", found.valid_ndcg)
