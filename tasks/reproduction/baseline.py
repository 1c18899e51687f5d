"""Step `baseline`: the lists of one tuned baseline on one fold."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.methods import builders, grid_of
from tasks.baselines import tuned_on
from tasks.runtime.references import ItemIdsRef, ListsRef, SplitRef, UsersRef
from tasks.runtime.step import HOUR, step


@step(
    "baseline",
    version="8",
    returns=ListsRef,
    timeout_seconds=6 * HOUR,
    rests_on=lambda inputs: {"grid": grid_of(inputs["method"])},
    libraries=("implicit", "scipy"),
)
def baseline(
    out: ArtifactWriter,
    *,
    known_users: UsersRef,
    item_ids: ItemIdsRef,
    split: SplitRef,
    method: str,
    ratings: RatingScale,
    k: int,
    seed: int,
) -> None:
    """Choose among a baseline's hyperparameters on validation, refit the best, rank.

    Args:
        out: table `candidates` (`columns.CANDIDATES`).
        known_users: all users.
        item_ids: all items.
        split: train and valid; test is not looked at.
        method: name in `recommenders.methods.BASELINES`.
        ratings: thresholds.
        k: length of the lists.
        seed: of the methods that draw.
    """
    found = tuned_on(split, item_ids.ids, method, builders(method, ratings, seed=seed), ratings)
    lists = found.recommender.recommend(
        known_users.table("users")[USER], k, exclude=split.masked, among=item_ids.candidate_items
    )
    out.table("candidates", lists, CANDIDATES)
    out.fact("choice", found.choice)
    out.fact("valid_ndcg", found.valid_ndcg)
