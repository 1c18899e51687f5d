"""Every item stands early and late equally often, and the order never depends on scores."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.rerank.strategies.prompt_order import drawn_order, rotated_blocks
from tests.rerank_world import context


@given(st.integers(0, 60), st.integers(1, 10))
def test_looks_are_permutations_and_the_first_is_the_order_itself(n: int, looks: int) -> None:
    order = list(np.random.default_rng(n).permutation(n))
    found = rotated_blocks(order, looks)
    assert len(found) == looks
    assert list(found[0]) == order
    assert all(sorted(look) == list(range(n)) for look in found)


@given(st.integers(1, 6), st.integers(1, 8))
def test_every_item_stands_early_and_late_equally_often(looks: int, size: int) -> None:
    n = looks * size
    found = rotated_blocks(range(n), looks)
    means = np.array([[look.index(item) for look in found] for item in range(n)]).mean(axis=1)
    # Blocks take every place once; within one, an odd number of looks leaves one turn unpaired.
    unpaired = (size - 1) / 2 / looks if looks % 2 else 0.0
    assert np.abs(means - (n - 1) / 2).max() <= unpaired + 1e-9


def test_by_hand() -> None:
    assert rotated_blocks([0, 1, 2, 3, 4, 5], 3) == [
        (0, 1, 2, 3, 4, 5), (3, 2, 5, 4, 1, 0), (4, 5, 0, 1, 2, 3),
    ]  # fmt: skip


def test_the_order_depends_on_ids_and_seed_and_not_on_the_graphs_order() -> None:
    def ids(candidates: int, seed: int, *, reverse: bool = False) -> list[str]:
        who = context(candidates)
        if reverse:
            who = replace(who, candidates=who.candidates[::-1])
        order = drawn_order(who, np.random.default_rng(seed))
        return [who.candidates[place].id for place in order]

    assert ids(20, 1) == ids(20, 1, reverse=True)
    assert ids(20, 1) != ids(20, 2)
