from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.rerank.strategies.block_design import Batches, batches, design, repeated_meetings

sizes = st.tuples(st.integers(1, 24), st.integers(2, 8), st.integers(1, 4))


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 2**32 - 1))
def test_every_item_stands_in_exactly_repeats_different_batches(
    numbers: tuple[int, int, int], seed: int
) -> None:
    n_items, size, repeats = numbers
    found = batches(n_items, size, repeats, np.random.default_rng(seed))
    assert all(len(set(batch)) == len(batch) <= size for batch in found)
    assert Counter(item for batch in found for item in batch) == dict.fromkeys(
        range(n_items), repeats
    )


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_batches_are_as_few_and_as_even_as_can_be(numbers: tuple[int, int, int]) -> None:
    n_items, size, repeats = numbers
    lengths = [len(batch) for batch in design(n_items, size, repeats)]
    assert len(lengths) == max(repeats, -(-n_items * repeats // size))
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_of_twenty_items_in_batches_of_five_no_pair_meets_twice(seed: int) -> None:
    found = batches(20, 5, 3, np.random.default_rng(seed))
    assert len(found) == 12
    assert repeated_meetings(found) == 0
    companions = {
        item: set().union(*(batch for batch in found if item in batch)) - {item}
        for item in range(20)
    }
    assert {len(others) for others in companions.values()} == {3 * 4}


@pytest.mark.parametrize("n_items", [19, 21, 25, 40, 100, 200])
def test_no_pair_meets_twice_for_other_numbers_where_it_can_be_avoided(n_items: int) -> None:
    assert repeated_meetings(design(n_items, 5, 3)) == 0


def test_unavoidable_meetings_are_spread() -> None:
    # 10 items, 6 batches of 5: 60 meetings over 45 pairs.
    found = design(10, 5, 3)
    assert repeated_meetings(found) == 60 - 45
    met = Counter(pair for batch in found for pair in combinations(sorted(batch), 2))
    assert max(met.values()) == 2


def test_shuffles_depend_on_the_generator_only() -> None:
    def once(seed: int) -> Batches:
        return batches(20, 5, 3, np.random.default_rng(seed))

    assert once(1) == once(1) != once(2)


def test_position_in_the_prompt_is_shuffled() -> None:
    places: Counter[int] = Counter()
    for seed in range(300):
        for batch in batches(20, 5, 3, np.random.default_rng(seed)):
            places.update([batch.index(0)] if 0 in batch else [])
    assert all(140 < places[place] < 220 for place in range(5))  # 300 x 3 / 5 = 180


def test_no_item_gives_no_batch() -> None:
    assert batches(0, 5, 3, np.random.default_rng(0)) == ()


def test_one_item_is_asked_about_as_often_as_any() -> None:
    assert batches(1, 5, 3, np.random.default_rng(0)) == ((0,), (0,), (0,))
