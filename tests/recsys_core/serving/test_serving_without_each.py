"""Leaving each rating out by running sums is placing every such history anew."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys_core.graph.components.histories import HistoryInput, UsualRatings
from recsys_core.graph.inference.network_placing import NetworkPlacing
from recsys_core.graph.inference.user_placing import HistoryColumns
from recsys_core.graph.interaction_graph import Edges
from recsys_core.serving.causes import _one_by_one
from recsys_core.serving.product import without_each
from recsys_core.serving.product.excerpt import excerpt
from recsys_core.serving.product.located import Located
from recsys_core.serving.product.scoring import Scoring
from recsys_core.serving.product.without_each import scores_without_each
from tests.served_world import model

RATED = np.array([3, 9, 14, 20, 33, 41, 50])
SCORED = np.array([1, 9, 30, 58])


def scoring(**settings: Any) -> Scoring:
    """The world's, with other settings of its network."""
    found = model().scoring
    network = found.placing.network
    changed = replace(network, settings={**network.settings, **settings})
    return replace(found, placing=replace(found.placing, network=changed))


def compared(scoring: Scoring, *, count: int = len(RATED), timed: Any = True) -> None:
    rng = np.random.default_rng(count)
    items = RATED[:count]
    times = np.where(timed, rng.permutation(count).astype(float), np.nan)
    ratings = np.array([10, 2, 7, 5, 9, 1, 8], np.float32)[:count]
    own = Edges(
        users=np.zeros(count, np.int64), items=np.arange(count), ratings=ratings, times=times
    )
    part, columns = excerpt(scoring, items, SCORED)
    asked = np.arange(count)[:: 2 if count > 3 else 1]
    attributes = model().attributes_of("u01")
    text = rng.normal(size=(1, scoring.placing.text_width)).astype(np.float32)
    found = scores_without_each(part, own, asked, attributes, text)
    expected = _one_by_one(part, own, asked, attributes[0], text[0])
    assert found is not None
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # And the excerpt is no other model.
    nobody = np.empty(0, np.int64)
    for row, left in enumerate([-1, *asked.tolist()]):
        kept = np.arange(count) != left
        located = Located(
            trained=np.array([-1]), edges=replace(own, items=items).where(kept),
            seen=(nobody, nobody), attributes=attributes, texts=text,
        )  # fmt: skip
        alone = scoring.scores(located)[0, SCORED]
        np.testing.assert_allclose(found[row, columns], alone, atol=1e-5)


@pytest.mark.parametrize("edges", ["all", "liked"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("combined", ["mean", "last"])
def test_the_scores_are_those_of_every_history_placed_anew(edges, symmetric, combined) -> None:
    compared(scoring(
        edges=edges, symmetric_normalization=symmetric, layer_combination=combined,
        user_text_half_life=10.0,
    ))  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_histories(count: int) -> None:
    compared(scoring(), count=count)
    compared(scoring(edges="liked"), count=count)
    compared(scoring(), count=count, timed=False)


def test_layers_that_transform_and_normalise() -> None:
    found, rng = scoring(), np.random.default_rng(0)
    network = found.placing.network
    width = network.layers[0].target.size

    def layer(one: Any) -> Any:
        return replace(
            one, transform=rng.normal(size=(width, width)).astype(np.float32) / width,
            norm=rng.normal(size=(2, width)).astype(np.float32),
        )  # fmt: skip

    changed: NetworkPlacing = replace(network, layers=tuple(map(layer, network.layers)))
    compared(replace(found, placing=replace(found.placing, network=changed)))


def test_ratings_that_fade_and_deviate() -> None:
    found, rng = scoring(), np.random.default_rng(0)
    n_items = len(found.item_vectors)
    usual = UsualRatings(values=rng.uniform(3, 8, n_items).astype(np.float32), spread=2.0)
    columns = HistoryColumns(
        input=HistoryInput(kind="deviations", decay=0.9), usual=usual, length=2.0,
        rated=rng.normal(size=(n_items, 3)).astype(np.float32),
    )  # fmt: skip
    assert found.item_model is not None
    dense = rng.normal(size=(n_items, n_items)).astype(np.float32)
    maps = {HistoryInput(decay=0.8): sparse.csr_matrix(np.where(dense > 1, dense, 0))}
    low = rng.normal(size=(2, n_items, 3)).astype(np.float32)
    compared(
        replace(
            found, placing=replace(found.placing, columns=((0.5, columns),)),
            user_vectors=np.zeros((0, _network_width(found) + 3), np.float32),
            item_vectors=np.hstack(
                [found.item_vectors[:, : _network_width(found)], low[0]]
            ).astype(np.float32),
            item_model=replace(
                found.item_model, maps=maps, usual=usual,
                low_rank={HistoryInput(kind="deviations"): (low[0], low[1])},
            ),
        )
    )  # fmt: skip


def _network_width(found: Scoring) -> int:
    columns = sum(
        one.rated.shape[1] if isinstance(one, HistoryColumns) else one.windows.count
        for _, one in found.placing.columns
    )
    return found.item_vectors.shape[1] - columns


def test_what_sums_cannot_tell_is_placed_anew() -> None:
    part, _ = excerpt(scoring(), RATED, SCORED)
    count = len(RATED)
    own = Edges(
        users=np.zeros(count, np.int64), items=np.arange(count),
        ratings=np.full(count, 8, np.float32), times=np.array([*range(count - 1), np.nan]),
    )  # fmt: skip
    attributes = model().attributes_of("u01")
    text = np.zeros((1, part.placing.text_width), np.float32)
    assert scores_without_each(part, own, np.arange(2), attributes, text) is None
    layers = part.placing.network.layers
    alone = replace(layers[0], source_scores=layers[0].source_scores + np.eye(count, 2)[:, :1] * 99)
    network = replace(part.placing.network, layers=(alone, *layers[1:]))
    resting = replace(part, placing=replace(part.placing, network=network))
    timed = replace(own, times=np.arange(count, dtype=float))
    assert scores_without_each(resting, timed, np.arange(2), attributes, text) is None


def with_layers(found: Scoring, **factors: float) -> Scoring:
    """The same with parts of its attention multiplied."""
    network = found.placing.network
    layers = tuple(
        replace(one, **{name: getattr(one, name) * np.float32(by) for name, by in factors.items()})
        for one in network.layers
    )
    changed = replace(network, layers=layers)
    return replace(found, placing=replace(found.placing, network=changed))


def test_items_that_change_sides_with_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the least and the largest of the users' own parts: running sums tell of them."""
    running, plain = [], np.cumsum
    monkeypatch.setattr(
        without_each.np, "cumsum", lambda *some, **more: running.append(1) or plain(*some, **more)
    )
    compared(with_layers(scoring(), target=30.0, source_scores=2.0))
    assert running


@pytest.mark.parametrize("source", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("target", [1.0, -1e2, 1e4])
def test_logits_far_apart_are_told_or_placed_anew(source: float, target: float) -> None:
    """Never a number that is none: what single precision cannot hold is no answer."""
    part, _ = excerpt(with_layers(scoring(), source_scores=source, target=target), RATED, SCORED)
    count = len(RATED)
    own = Edges(
        users=np.zeros(count, np.int64), items=np.arange(count),
        ratings=np.full(count, 8, np.float32), times=np.arange(count, dtype=float),
    )  # fmt: skip
    attributes = model().attributes_of("u01")
    text = np.ones((1, part.placing.text_width), np.float32)
    found = scores_without_each(part, own, np.arange(count), attributes, text)
    expected = _one_by_one(part, own, np.arange(count), attributes[0], text[0])
    assert found is None or np.abs(found - expected).max() < 1e-4
    assert found is not None or max(abs(source), abs(target)) > 1
