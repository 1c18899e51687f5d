"""Every item-to-item component that may stand in the sum: what it needs, and what is tried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from recsys_core.graph.components.item_maps import FittedMap
from recsys_core.graph.components.item_to_item import component_fits as fits
from recsys_core.graph.components.item_to_item.fit_data import FitData, Need
from recsys_core.graph.components.settings import LAMBDA, Ladder, Settings


@dataclass(frozen=True, kw_only=True)
class Component:
    """A component.

    Attributes:
        fit: from data and settings to the map.
        grid: parameter -> values that are tried, in the order in which they are searched.
        needs: what the data must have.
        decays: whether its history may decay, and with which others it shares the decay: `sets`
            of items that go together, or `sequences`.
        beside: whether its settings are judged in a sum with the best component, because it is
            not meant to rank items alone.
        cost: passes over the interactions that a fit is worth.
    """

    fit: Callable[[FitData, Settings], FittedMap]
    grid: Mapping[str, Ladder] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()
    decays: Literal["sets", "sequences"] | None = None
    beside: bool = False
    cost: int = 1


_NEIGHBOURS: Final = Ladder(values=(25.0, 50.0, 100.0))
_ROW_POWER: Final = Ladder(values=(0.25, 0.5))

COMPONENTS: Final[Mapping[str, Component]] = {
    "local_ease": Component(
        fit=fits.fit_local_ease, grid={"lambda": LAMBDA, "neighbours": _NEIGHBOURS}, decays="sets"
    ),
    "local_ease_scaled": Component(
        fit=fits.fit_local_ease,
        grid={"row_power": _ROW_POWER, "lambda": LAMBDA, "neighbours": _NEIGHBOURS},
        decays="sets",
    ),
    "exact_ease": Component(
        fit=fits.fit_exact_ease,
        grid={"lambda": Ladder(values=(12.5, 50.0, 200.0, 800.0, 3200.0), geometric=True)},
        needs=frozenset({Need.MEMORY}),
        decays="sets",
    ),
    "local_ease_features": Component(
        fit=fits.fit_local_ease,
        grid={
            "lambda": LAMBDA,
            "likeness": Ladder(values=(2.5, 10.0, 40.0), geometric=True),
            "sharpness": Ladder(values=(1.5, 3.0, 6.0), geometric=True),
            "neighbours": Ladder(values=(50.0,)),
        },
        needs=frozenset({Need.FEATURES}),
        decays="sets",
    ),
    "user_knn": Component(fit=fits.fit_user_knn, decays="sets"),
    "one_hop": Component(fit=fits.fit_one_hop, decays="sets"),
    "transitions": Component(
        fit=fits.fit_transitions,
        grid={
            "power": Ladder(values=(0.0, 0.25, 0.5)),
            "steps": Ladder(values=(3.0, 6.0, 12.0)),
            "step_decay": Ladder(values=(0.4, 0.6, 0.8)),
            "backward": Ladder(values=(0.1, 0.3, 0.6)),
        },
        needs=frozenset({Need.ORDER}),
        decays="sequences",
    ),
    "past_to_future": Component(
        fit=fits.fit_past_to_future,
        grid={
            "lambda": LAMBDA,
            "step_decay": Ladder(values=(0.4, 0.6, 0.8)),
            "neighbours": Ladder(values=(50.0,)),
        },
        needs=frozenset({Need.ORDER}),
        decays="sets",
        cost=4,
    ),
    "low_pass": Component(
        fit=fits.fit_low_pass,
        grid={"rank": Ladder(values=(64.0, 128.0, 256.0))},
        decays="sets",
        cost=4,
    ),
    "als": Component(
        fit=fits.fit_als,
        grid={
            "alpha": Ladder(values=(1.0, 5.0, 20.0), geometric=True),
            "factors": Ladder(values=(64.0, 128.0, 256.0)),
            "lambda": Ladder(values=(1.0, 10.0)),
            "iterations": Ladder(values=(15.0,)),
        },
        decays="sets",
        cost=20,
    ),
    "deviation_ease": Component(
        fit=fits.fit_deviation_ease,
        grid={"lambda": LAMBDA, "neighbours": _NEIGHBOURS},
        needs=frozenset({Need.RATINGS}),
        beside=True,
    ),
    "feature_neighbours": Component(
        fit=fits.fit_feature_neighbours,
        grid={
            "sharpness": Ladder(values=(2.0, 4.0, 8.0), geometric=True),
            "popularity": Ladder(values=(0.0, 0.25, 0.5)),
        },
        needs=frozenset({Need.FEATURES}),
        decays="sets",
        beside=True,
    ),
    "popularity": Component(
        fit=fits.fit_popularity, grid={"power": Ladder(values=(0.25, 0.5, 1.0))}, beside=True
    ),
    "recent_popularity": Component(
        fit=fits.fit_recent_popularity,
        grid={
            "half_life": Ladder(
                values=tuple(2.0**-power for power in range(9, 0, -2)), geometric=True
            ),
            "power": Ladder(values=(0.25, 0.5, 1.0)),
        },
        needs=frozenset({Need.TIMES}),
        beside=True,
    ),
}
"""By name, in the order in which they are searched: the first ones are what others are judged
beside."""
DECAYS: Final[Mapping[str, tuple[float, ...]]] = {
    "sets": (1.0, 0.9, 0.75, 0.5),
    "sequences": (0.75, 0.5, 0.3),
}
"""Decays that the first component of each kind tries; the others of the kind take its choice, so
that the served model reads few inputs."""
