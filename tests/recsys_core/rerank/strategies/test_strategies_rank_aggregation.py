from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from recsys_core.rerank.strategies.rank_aggregation import Comparisons

sizes = st.integers(1, 12)


@given(sizes.flatmap(lambda n: st.permutations(range(n))), st.data())
def test_orders_that_do_not_contradict_one_another_are_kept(
    truth: list[int], data: st.DataObject
) -> None:
    votes = Comparisons(len(truth))
    batches = data.draw(st.lists(st.sets(st.sampled_from(truth), max_size=5), max_size=8))
    for batch in batches:
        votes.add(sorted(batch, key=truth.index))
    merged = votes.order()
    assert sorted(merged) == sorted(truth)
    for batch in batches:
        for one, other in combinations(sorted(batch, key=truth.index), 2):
            assert merged.index(one) < merged.index(other)


@given(sizes.flatmap(lambda n: st.permutations(range(n))))
def test_neighbours_that_all_met_leave_one_order_only(truth: list[int]) -> None:
    votes = Comparisons(len(truth))
    for place in range(len(truth) - 1):
        votes.add(truth[place : place + 2])
    assert votes.order() == truth


@given(st.lists(st.permutations(range(6)).map(lambda order: order[:4]), max_size=12))
def test_contradictions_still_give_every_item_once(rankings: list[list[int]]) -> None:
    votes = Comparisons(6)
    for ranking in rankings:
        votes.add(ranking)
    assert sorted(votes.order()) == list(range(6))
    assert votes.order() == votes.order()


def test_without_a_vote_the_given_order_stays() -> None:
    assert Comparisons(5).order() == [0, 1, 2, 3, 4]


def test_the_clearer_majority_wins_a_circle() -> None:
    votes = Comparisons(3)
    for _ in range(3):
        votes.add([0, 1])
    for _ in range(2):
        votes.add([1, 2])
    votes.add([2, 0])  # 0 > 1 > 2 > 0: the circle breaks at its weakest link
    assert votes.order() == [0, 1, 2]


def test_a_tie_is_no_majority() -> None:
    votes = Comparisons(2)
    votes.add([1, 0])
    votes.add([0, 1])
    assert list(votes.majorities()) == []
    assert votes.seen == {(0, 1)}
    assert votes.order() == [0, 1]


def test_the_expected_place_by_hand() -> None:
    # 3 before 0, nothing known of 1 and 2: (0+1)/(0+1+2), 1/2, 1/2, (1+1)/(1+0+2)
    votes = Comparisons(4)
    votes.add([3, 0])
    assert votes.order() == [3, 1, 2, 0]
