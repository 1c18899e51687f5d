"""Items like an item, by the model: near in its vectors and in its item-to-item part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recsys_core.columns import GENRES, ITEM, TAGS, TITLE, USER, YEAR
from recsys_core.errors import DataError
from recsys_core.explanations.attributes import attributes, label, normalise_key
from recsys_core.graph.interaction_graph import Floats
from recsys_core.interactions.feedback import is_liked
from recsys_core.prompt_context.tables import item_facts
from recsys_core.serving.product.located import best_places
from recsys_core.serving.product.model import ServedModel


@dataclass(frozen=True, kw_only=True)
class Similar:
    """One item like another.

    Attributes:
        item: id.
        title: its title.
        year: or None.
        similarity: in standard deviations above the mean of all items.
        shares: genres, themes and decade that both have.
        liked_by: users who like both.
        of: users who like the other one.
    """

    item: Any
    title: str
    year: int | None
    similarity: float
    shares: tuple[str, ...]
    liked_by: int
    of: int


def similar_items(model: ServedModel, item: Any, k: int = 10) -> list[Similar]:
    """The k items that the model holds most alike, of those that may be recommended.

    Raises:
        DataError: the model does not have the item.
    """
    ids = model.items[ITEM]
    places = (ids == item).arg_true()
    if not places.len():
        raise DataError(
            f"The model has no item {item!r}.", expected="an item_id of the data set.",
            fix="look the title up.",
        )  # fmt: skip
    at = int(places[0])
    scores = closeness(model, at)
    scores[at] = -np.inf
    scores[~model.available] = -np.inf
    best = best_places(scores, k)
    facts = item_facts(model.items[[at, *best]], model.item_profiles)
    known = {row[ITEM]: row for row in facts.iter_rows(named=True)}
    own = _labels(known[item])
    fans = model.histories.filter((pl.col(ITEM) == item) & is_liked(model.scale.like_from))
    likes = model.histories.filter(is_liked(model.scale.like_from)).join(
        fans.select(USER), on=USER, how="semi"
    )
    both = dict(likes.group_by(ITEM).len().iter_rows())
    return [
        Similar(
            item=ids[int(place)], title=known[ids[int(place)]][TITLE],
            year=known[ids[int(place)]][YEAR], similarity=float(scores[place]),
            shares=tuple(
                own[key] for key in own if key in _labels(known[ids[int(place)]])
            ),
            liked_by=both.get(ids[int(place)], 0), of=fans.height,
        )
        for place in best
    ]  # fmt: skip


def closeness(model: ServedModel, at: int) -> Floats:
    """(n_items,) how alike the items are to the one at a place, in standard deviations."""
    n_trained = model.item_ids.len()
    if model.new_items is not None and at >= n_trained:
        row = model.new_items.mix[at - n_trained]
        parts = [
            share * closeness(model, int(one))
            for share, one in zip(row.data, row.indices, strict=True)
        ]
        mixed: Floats = np.sum(parts, axis=0, dtype=np.float32)
        return mixed
    lengths = np.maximum(np.linalg.norm(model.item_vectors, axis=1), 1e-12)
    found = _spread(model.item_vectors @ model.item_vectors[at] / lengths / lengths[at])
    if model.item_model is not None:
        # Added from the item and to it, so that neither popularity nor direction decides alone.
        for weights in model.item_model.maps.values():
            out = np.asarray(weights[at].todense(), np.float32).ravel()
            into = np.asarray(weights[:, at].todense(), np.float32).ravel()
            found = found + _spread(out) + _spread(into)
    if model.new_items is not None:
        found = np.concatenate([found, model.new_items.mix @ found])
    result: Floats = found.astype(np.float32)
    return result


def _spread(values: Floats) -> Floats:
    deviation = float(values.std())
    found: Floats = (values - values.mean()) / deviation if deviation else np.zeros_like(values)
    return found


def _labels(row: dict[str, Any]) -> dict[str, str]:
    keys = attributes(row[GENRES], row[TAGS], row[YEAR])
    return {normalise_key(key): label(key) for key in keys}
