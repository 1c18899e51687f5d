"""Every baseline, once: its class, what is tried for it on validation, where it is measured.

The choices of the configuration, the contract tests, the reproduction, its figures and the names
explained in the reports follow from `BASELINES`. A new baseline is a module of its own and an
entry here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders import als, bpr, content_based, ease, item_knn, popularity
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.lightgcn import gcn_recommenders as gcn

Builders = Mapping[str, Callable[[], MatrixRecommender]]
"""Candidate -> makes an unfitted recommender."""
Need = Literal["seed", "texts"]
"""What a constructor takes beside the rating scale: a random seed, a text vector of every item."""
Held = Literal["users", "items"]
"""What a cold-start protocol holds out of training."""

BUDGET: Final = 5
"""Candidates a method may try on validation, so that none wins by more tries. EASE takes the most:
it is what the graph model is held against."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline and its candidates.

    Attributes:
        recommender: the class; every one of them is inductive.
        family: what kind of method it is, for readers of the reports.
        grid: hyperparameters of the candidates, `BUDGET` at most. They span what did best on
            validation splits of MovieLens 100K (EASE: of sparse review data, too); the choice is
            made anew on the data at hand.
        fixed: hyperparameters that all candidates share.
        needs: what the constructor takes beside the rating scale.
        max_items: the largest catalogue that it is made for; None for any.
        in_every_run: whether each run of the pipeline measures it, not the reproduction alone.
        cold_start: the cold-start protocols of the reproduction that measure it.
        figure_2: whether the reproduction's Figure 2 draws it.
        table_1: the row of the paper's Table 1 that it is the counterpart of.
    """

    recommender: Callable[..., MatrixRecommender]
    family: str
    grid: Sequence[Mapping[str, Any]] = ({},)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()
    max_items: int | None = None
    in_every_run: bool = False
    cold_start: frozenset[Held] = frozenset()
    figure_2: bool = False
    table_1: str | None = None


_SEED: Final[frozenset[Need]] = frozenset({"seed"})
_TEXTS: Final[frozenset[Need]] = frozenset({"texts"})
_NEW_USERS: Final[frozenset[Held]] = frozenset({"users"})
# Without a text there is nothing to tell new items apart by.
_NEW_ITEMS: Final[frozenset[Held]] = frozenset({"items"})

BASELINES: Final[Mapping[str, Baseline]] = {
    "popularity": Baseline(
        recommender=popularity.Popularity, family="the most popular items, the same for everybody",
        in_every_run=True, cold_start=_NEW_USERS, figure_2=True,
    ),
    "popularity_lately": Baseline(
        recommender=popularity.RecentPopularity, grid=popularity.WEEKS_GRID,
        family="the most popular items of the last weeks", cold_start=_NEW_USERS,
    ),
    "item_knn": Baseline(
        recommender=item_knn.ItemKNN, grid=item_knn.GRID, family="item neighbourhood (kNN)",
        cold_start=_NEW_USERS,
    ),
    "ease": Baseline(
        recommender=ease.Ease, grid=ease.GRID, family="linear item-to-item model (Steck 2019)",
        max_items=ease.MAX_ITEMS, in_every_run=True, cold_start=_NEW_USERS, figure_2=True,
    ),
    "ease_popularity": Baseline(
        recommender=ease.Ease, grid=ease.PRIOR_GRID, family="EASE with a popularity prior",
        max_items=ease.MAX_ITEMS, cold_start=_NEW_USERS,
    ),
    "als": Baseline(
        recommender=als.Als, grid=als.GRID, family="matrix factorisation, weighted least squares",
        needs=_SEED, cold_start=_NEW_USERS, figure_2=True, table_1="als",
    ),
    "bpr": Baseline(
        recommender=bpr.Bpr, grid=bpr.GRID, family="matrix factorisation, pairwise ranking loss",
        needs=_SEED,
    ),
    "lightgcn": Baseline(
        recommender=gcn.LightGcn, grid=gcn.LIGHTGCN_GRID, needs=_SEED,
        family="graph convolution without transformations, softmax loss",
        cold_start=_NEW_USERS, figure_2=True,
    ),
    "lightgcn_bpr": Baseline(
        recommender=gcn.LightGcn, grid=gcn.LIGHTGCN_BPR_GRID, fixed=gcn.LIGHTGCN_BPR, needs=_SEED,
        family="graph convolution without transformations, BPR loss as in its paper",
        table_1="lightgcn",
    ),
    "ngcf": Baseline(
        recommender=gcn.Ngcf, grid=gcn.NGCF_GRID, fixed=gcn.NGCF, needs=_SEED,
        family="graph convolution with transformations", figure_2=True, table_1="ngcf",
    ),
    "text_popularity": Baseline(
        recommender=content_based.TextPopularity, grid=content_based.GRID, needs=_TEXTS,
        family="popularity, predicted from the text of an item", cold_start=_NEW_ITEMS,
    ),
    "text_ridge": Baseline(
        recommender=content_based.TextRidge, grid=content_based.GRID, needs=_SEED | _TEXTS,
        family="matrix factorisation with vectors predicted from text", cold_start=_NEW_ITEMS,
    ),
}  # fmt: skip


def builders(
    name: str, scale: RatingScale, *, seed: int = 0, texts: pl.DataFrame | None = None
) -> Builders:
    """The candidates of one baseline.

    Args:
        name: of `BASELINES`.
        scale: rating thresholds.
        seed: of the methods that draw.
        texts: item and vector of every item (`columns.vectors`), for the methods that need them.

    Raises:
        ConfigError: there is no baseline of that name, or it needs texts and there are none.
    """
    if name not in BASELINES:
        raise ConfigError(
            f"No baseline is called {name!r}.", expected=f"one of {', '.join(BASELINES)}."
        )
    one = BASELINES[name]
    if "texts" in one.needs and texts is None:
        raise ConfigError(f"{name} needs the text vectors of the items, and got none.")
    given: dict[Need, Any] = {"seed": seed, "texts": texts}
    fixed: dict[str, Any] = {**one.fixed, **{str(need): given[need] for need in one.needs}}

    def build(choice: Mapping[str, Any]) -> Callable[[], MatrixRecommender]:
        return lambda: one.recommender(scale, **fixed, **choice).called(name)

    return {_label(choice): build(choice) for choice in one.grid}


def grid_of(name: str) -> list[object]:
    """The candidates of one baseline as plain values: its tuned lists rest on them."""
    return [dict(BASELINES[name].fixed), *map(dict, BASELINES[name].grid)]


def _label(choice: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in choice.items()) or "-"
