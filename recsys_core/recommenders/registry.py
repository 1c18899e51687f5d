"""Every baseline with its candidates: the same number for each, so each has the same budget.

The candidates span what did best on validation splits of MovieLens 100K; the choice among them
is made anew on the validation split of the data at hand (`tuning.tuned`, `cold`).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import polars as pl

from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.als import Als
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.bpr import Bpr
from recsys_core.recommenders.content_based import TextPopularity, TextRidge
from recsys_core.recommenders.ease import REGULARISATION, Ease
from recsys_core.recommenders.item_knn import ItemKNN
from recsys_core.recommenders.lightgcn.config import GraphSettings
from recsys_core.recommenders.lightgcn.recommenders import LightGcn, Ngcf
from recsys_core.recommenders.popularity import Popularity

Builders = Mapping[str, Callable[[], MatrixRecommender]]

BUDGET: Final = len(REGULARISATION)
"""Candidates per method; popularity has nothing to choose."""

_KNN: Final = (
    {"neighbours": 100, "normalisation": 0.8},
    {"neighbours": 200, "normalisation": 0.8},
    {"neighbours": 200, "normalisation": 0.6},
    {"neighbours": 200, "normalisation": 1.0},
)
_PRIOR: Final = (
    {"regularisation": 200.0, "prior": 0.05},
    {"regularisation": 300.0, "prior": 0.05},
    {"regularisation": 200.0, "prior": 0.1},
    {"regularisation": 300.0, "prior": 0.1},
)
_ALS: Final = (
    {"factors": 16, "alpha": 1.0, "regularisation": 10.0},
    {"factors": 32, "alpha": 1.0, "regularisation": 10.0},
    {"factors": 64, "alpha": 1.0, "regularisation": 10.0},
    {"factors": 32, "alpha": 4.0, "regularisation": 10.0},
)
_BPR: Final = (
    {"learning_rate": 0.02, "regularisation": 0.03},
    {"learning_rate": 0.02, "regularisation": 0.1},
    {"learning_rate": 0.05, "regularisation": 0.05},
    {"factors": 16, "iterations": 20, "negatives": "popular"},
)
_LIGHTGCN: Final = (
    {"learning_rate": 0.03, "steps": 60},
    {"learning_rate": 0.03, "steps": 120},
    {"learning_rate": 0.03, "steps": 120, "temperature": 0.17},
    {"learning_rate": 0.03, "steps": 120, "temperature": 0.23},
)
_LIGHTGCN_BPR: Final = (
    {"learning_rate": 0.02, "steps": 150},
    {"learning_rate": 0.02, "steps": 250},
    {"learning_rate": 0.01, "steps": 250},
    {"learning_rate": 0.02, "steps": 250, "decay": 0.01},
)
_NGCF: Final = (
    {"learning_rate": 0.01, "steps": 60},
    {"learning_rate": 0.01, "steps": 100},
    {"learning_rate": 0.02, "steps": 60},
    {"learning_rate": 0.01, "steps": 150, "loss": "bpr", "weighted": False},
)
_PENALTIES: Final = (3.0, 10.0, 30.0, 100.0)


def baselines(config: RatingScale, *, seed: int = 0) -> dict[str, Builders]:
    """Method -> candidate -> makes an unfitted recommender; every one is inductive.

    Args:
        config: rating thresholds.
        seed: of the methods that draw.
    """

    def graph(network: type[LightGcn | Ngcf], choices: Any, **fixed: Any) -> Builders:
        name = fixed.pop("name", None)
        return {
            _label(choice): partial(
                network, config, GraphSettings(seed=seed, **fixed, **choice), name=name
            )
            for choice in choices
        }

    plain = {"loss": "bpr", "weighted": False, "dimensions": 64, "name": "lightgcn_bpr"}
    return {
        "popularity": {"-": partial(Popularity, config)},
        "item_knn": _each(ItemKNN, config, _KNN),
        "ease": _each(Ease, config, [{"regularisation": value} for value in REGULARISATION]),
        "ease_popularity": _each(Ease, config, _PRIOR),
        "als": _each(Als, config, _ALS, seed=seed),
        "bpr": _each(Bpr, config, _BPR, seed=seed),
        "lightgcn": graph(LightGcn, _LIGHTGCN),
        "lightgcn_bpr": graph(LightGcn, _LIGHTGCN_BPR, **plain),
        "ngcf": graph(Ngcf, _NGCF, dimensions=64),
    }


def text_baselines(
    config: RatingScale, texts: pl.DataFrame, *, seed: int = 0
) -> dict[str, Builders]:
    """The same for the methods that need a text vector of every item (`columns.vectors`)."""
    penalties = [{"penalty": value} for value in _PENALTIES]
    return {
        "text_popularity": _each(TextPopularity, config, penalties, texts=texts),
        "text_ridge": _each(TextRidge, config, penalties, texts=texts, seed=seed),
    }


def select(builders: Mapping[str, Builders], names: list[str]) -> dict[str, Builders]:
    """The methods of these names.

    Raises:
        ConfigError: there is no method of that name.
    """
    unknown = [name for name in names if name not in builders]
    if unknown:
        raise ConfigError(
            f"No baseline is called {', '.join(unknown)}.", expected=f"of {', '.join(builders)}."
        )
    return {name: builders[name] for name in names}


def _each(
    kind: Callable[..., MatrixRecommender], config: RatingScale, choices: Any, **fixed: Any
) -> Builders:
    return {_label(choice): partial(kind, config, **fixed, **choice) for choice in choices}


def _label(choice: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in choice.items())
