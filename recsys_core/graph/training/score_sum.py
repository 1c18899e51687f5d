"""The sum of the network and its components: weights from validation, then fitted to all rows.

    score(u, i) = p_u . q_i + item_model(u, i)

p and q hold the network's columns and those of the dot-product components (`components.base`), each
times its weight; the item model holds the item-to-item maps (`components.item_model`). The weights
are learned on validation by coordinate search (`components.stacking`), which starts from the best
single component and may leave any out: on validation the sum is never behind its best component.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recsys_core.errors import DataError
from recsys_core.graph.components.dot_products.base import (
    COMPONENTS,
    NEEDLESS,
    NETWORK,
    with_user_components,
)
from recsys_core.graph.components.dot_products.fitter import Component, Fitter, vectors_of
from recsys_core.graph.components.histories import Histories, InputRows
from recsys_core.graph.components.item_maps import Scorer, Vectors
from recsys_core.graph.components.item_model import BESIDE_ATTRIBUTES, ItemToItemModel
from recsys_core.graph.components.selection.grid_search import ChosenSettings
from recsys_core.graph.components.selection.refit import refit_from
from recsys_core.graph.components.selection.search import search_components
from recsys_core.graph.components.selection.search_result import ComponentSearch
from recsys_core.graph.inference.cold_items import with_cold_items
from recsys_core.graph.interaction_graph import Edges, Floats, Indices, InteractionGraph
from recsys_core.graph.training.described_newcomers import (
    WeightedSum,
    popularity_beside_attributes,
    weight_of_attributes,
)
from recsys_core.graph.training.placed_users import folded_in, network_vectors
from recsys_core.graph.training.spec import Fit, TrainingSpec
from recsys_core.interactions.feedback import RatingScale, rating_weights

CUTOFF: Final = 10
"""Validation measures NDCG at this rank."""
_DAY: Final = 86_400.0
"""Seconds; times within less are positions of a sequence."""
_TIE_BREAK: Final = 1e-4
"""Spread of the network's scores, relative to the sum's, where validation gives it no weight."""
_JUDGED: Final = 100
"""Users whose scores say how large the sum's are."""
_HELD_OUT: Final = 0.1
"""Share of the training edges that choices are made on, where no validation rows are given."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What validation chose; as JSON in the facts of a model, for a training without validation.

    Attributes:
        weights: of the network and of the dot-product components; 0 leaves one out.
        settings: of the dot-product components.
        item_model: settings and weights of the item-to-item maps.
    """

    weights: dict[str, float]
    settings: dict[str, dict[str, float]]
    item_model: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "weights": self.weights,
            "settings": self.settings,
            "item_model": self.item_model,
        }


@dataclass(frozen=True, kw_only=True)
class ScoreSum:
    """A fitted sum.

    Attributes:
        user_vectors: (n_users, d) weighted columns of the network, then of the components.
        item_vectors: (n_items, d).
        components: the dot-product components with a weight, in the order of their columns.
        weights: of the network and of those components.
        item_model: the item-to-item maps; None for none.
    """

    user_vectors: Floats
    item_vectors: Floats
    components: dict[str, Component]
    weights: dict[str, float]
    item_model: ItemToItemModel | None

    def users(self, network: Floats, edges: Edges, attributes: Floats) -> Floats:
        """Vectors (n_new, d) of later users, whose network vectors are `network` (n_new, d)."""
        return with_user_components(network, self.components, self.weights, edges, attributes)


def histories_of(
    edges: Edges, shape: tuple[int, int], neutral_weight: float, scale: RatingScale
) -> Histories:
    """Edges as the histories that item-to-item maps read."""
    weights = rating_weights(edges.ratings, scale, neutral_weight)
    found = Histories.from_edges(edges, shape, weights=weights, like_from=scale.like_from)
    if found.times is None or not len(edges) or np.ptp(found.times) >= _DAY:
        return found
    return replace(found, times=None)  # positions: an order, and no clock


def item_scores(
    model: ItemToItemModel, inputs: InputRows, attributes: bool, users: Indices
) -> Floats:
    """(b, n_items) what the item-to-item maps add for some users (b,).

    Args:
        model: the maps.
        inputs: `model.rows` of the users' histories.
        attributes: whether attributes of users are known. Users without ratings are then ranked
            by these, and by the popularity that the maps fall back to as far as that was found to
            help (`ItemToItemModel.described_newcomers`).
        users: rows of the histories.
    """
    added = model.scores(inputs, users)
    if attributes:
        counts = np.bincount(inputs.histories.users, minlength=inputs.histories.shape[0])
        added[counts[users] == 0] = model.described_newcomers
    return added


def network_alone(spec: TrainingSpec, fitted: Fit) -> ScoreSum:
    """The network without components."""
    items = with_cold_items(
        fitted.item_vectors, spec.item_text, _rated(spec.graph), spec.config.cold_item_ridge
    )
    return ScoreSum(
        user_vectors=network_vectors(spec, fitted), item_vectors=items, components={},
        weights={NETWORK: 1.0}, item_model=None,
    )  # fmt: skip


def choose(
    spec: TrainingSpec, fitted: Fit, valid: Edges, memory: int
) -> tuple[Choice, ScoreSum, dict[str, Any]]:
    """Choose the components on validation.

    Args:
        spec: of the network's training, whose edges hold no validation row.
        fitted: the network.
        valid: validation edges.
        memory: bytes that the components may hold.

    Returns:
        (the choice, the sum fitted without validation rows, facts: what each component is worth
        alone, its weight and settings, what the sum loses without it, and why one is missing).
    """
    train, held_out = _histories(spec, spec.graph.edges), _histories(spec, valid)
    own = network_alone(spec, fitted)
    found = search_components(
        train, held_out, features=spec.item_text, k=CUTOFF, effort=spec.config.effort,
        seed=spec.seed, memory=memory,
    )  # fmt: skip
    network = Vectors(users=own.user_vectors, items=own.item_vectors)
    components, settings, skipped = _components_of(spec, found, network)
    vectors = {NETWORK: network}
    vectors |= {name: vectors_of(one, spec.graph) for name, one in components.items()}
    learned = found.learn_weights(external=vectors)
    model = found.refit(train, learned, features=spec.item_text)
    weights = {name: float(learned.weights.get(name, 0.0)) for name in vectors}
    least = _tie_breaks(vectors, weights, model, train)
    weights[NETWORK] = weights[NETWORK] or least[NETWORK]
    if weights.get("ease") == 0 and spec.graph.user_attributes.shape[1]:
        weights["ease"] = weight_of_attributes(vectors, weights, least, model, found.target)
    if found.newcomers is not None and spec.graph.user_attributes.shape[1]:
        beside = popularity_beside_attributes(vectors, weights, model, found.newcomers)
        model = replace(model, facts={**model.facts, BESIDE_ATTRIBUTES: beside})
    kept = {name: dict(some.settings) for name, some in settings.items() if weights[name]}
    choice = Choice(weights=weights, settings=kept, item_model=dict(model.facts))
    facts = {
        "components": found.facts() | {"chosen": _facts_of({**found.chosen, **settings})},
        "components_missing": skipped | dict(found.skipped),
        "valid_ndcg_alone": learned.alone,
        "valid_ndcg_without": learned.without,
        "valid_ndcg_of_sum": learned.ndcg if learned.users else None,
        "components_cut": dict(learned.cut),
    }
    logger.info("components chosen on validation", extra=facts | {"weights": learned.weights})
    return choice, _summed(own, spec, components, weights, model), facts


def _tie_breaks(
    vectors: dict[str, Vectors],
    weights: dict[str, float],
    model: ItemToItemModel,
    histories: Histories,
) -> dict[str, float]:
    """Weights that rank by a component where the sum has nothing to say, and nowhere else.

    Items that nobody rated are in no map, users without ratings have no history: without the
    network they would all score alike.
    """
    users = np.arange(min(histories.shape[0], _JUDGED))
    rows = model.rows(histories)
    total = WeightedSum(vectors, weights, model).scores(rows, users)
    spread = {name: float(one.scores(rows, users).std()) for name, one in vectors.items()}
    whole = float(total.std())
    return {name: _TIE_BREAK * whole / own if own else 1.0 for name, own in spread.items()}


def fit_choice(spec: TrainingSpec, fitted: Fit, choice: Choice) -> ScoreSum:
    """The sum that was chosen, fitted to the edges of `spec`."""
    components = {
        name: _prepared(name, spec).fit(choice.settings[name])
        for name, weight in choice.weights.items()
        if weight and name != NETWORK
    }
    model = refit_from(
        choice.item_model, _histories(spec, spec.graph.edges), features=spec.item_text
    )
    return _summed(network_alone(spec, fitted), spec, components, choice.weights, model)


def placed_by_shown(spec: TrainingSpec, fitted: Fit, found: ScoreSum) -> ScoreSum:
    """The sum with users as lists place them (`TrainingSpec.shown`)."""
    if spec.shown is None:
        return found
    network = folded_in(spec, fitted.weights, spec.shown)
    users = found.users(network, spec.shown, spec.graph.user_attributes)
    return replace(found, user_vectors=users)


def held_out(edges: Edges, seed: int) -> tuple[Edges, Edges]:
    """Edges without a random tenth, and the tenth, to choose on where no validation is given."""
    taken = np.random.default_rng(seed).random(len(edges)) < _HELD_OUT
    return edges.where(~taken), edges.where(taken)


def _components_of(
    spec: TrainingSpec, found: ComponentSearch, network: Vectors
) -> tuple[dict[str, Component], dict[str, ChosenSettings], dict[str, str]]:
    """The dot-product components, what was chosen for each, and why one is missing."""
    fitted: dict[str, Component] = {}
    chosen: dict[str, ChosenSettings] = {}
    missing: dict[str, str] = {}
    best: tuple[float, Scorer] = (found.ndcg(network), network)
    for name, prepare in COMPONENTS.items():
        idle = NEEDLESS[name](spec) if name in NEEDLESS else ""
        fitter = idle or prepare(spec)
        if isinstance(fitter, str):
            missing[name] = fitter
            continue
        base = best[1] if fitter.beside else None
        chosen[name] = found.choose(fitter, base)
        fitted[name] = fitter.fit(chosen[name].settings)
        if fitter.grid and not fitter.beside and chosen[name].value > best[0]:
            best = chosen[name].value, vectors_of(fitted[name], spec.graph)
    return fitted, chosen, missing


def _facts_of(chosen: Mapping[str, ChosenSettings]) -> dict[str, object]:
    """What was chosen, of those that there was something to choose for."""
    return {name: one.facts() for name, one in chosen.items() if math.isfinite(one.value)}


def _prepared(name: str, spec: TrainingSpec) -> Fitter:
    """The component that was chosen.

    Raises:
        DataError: these rows or this machine do not allow it.
    """
    fitter = COMPONENTS[name](spec)
    if isinstance(fitter, str):
        raise DataError(
            f"The component {name} was chosen, and cannot be fitted here: {fitter}.",
            expected="rows and memory of the kind that the components were chosen with.",
            fix="train anew instead of taking an earlier choice.",
        )
    return fitter


def _summed(
    network: ScoreSum,
    spec: TrainingSpec,
    components: dict[str, Component],
    weights: dict[str, float],
    model: ItemToItemModel,
) -> ScoreSum:
    kept = {name: one for name, one in components.items() if weights[name]}
    weights = {name: weights[name] for name in (NETWORK, *kept)}
    columns = [weights[NETWORK] * network.user_vectors]
    columns += [weights[name] * one.of_training(spec.graph) for name, one in kept.items()]
    return ScoreSum(
        user_vectors=np.hstack(columns).astype(np.float32),
        item_vectors=np.hstack([network.item_vectors, *(one.items for one in kept.values())]),
        components=kept, weights=weights, item_model=model,
    )  # fmt: skip


def _histories(spec: TrainingSpec, edges: Edges) -> Histories:
    shape = spec.graph.n_users, spec.graph.n_items
    return histories_of(edges, shape, spec.config.neutral_weight, spec.data)


def _rated(graph: InteractionGraph) -> npt.NDArray[np.bool_]:
    """(n_items,) whether an item has an edge."""
    return np.bincount(graph.edges.items, minlength=graph.n_items) > 0
