import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.interactions.negative_sampling import NegativeSampler

Pairs = set[tuple[int, int]]


@st.composite
def known_pairs(draw: st.DrawFn) -> tuple[int, int, Pairs]:
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    return n_users, n_items, draw(st.sets(pair))


def sampler(n_users: int, n_items: int, known: Pairs) -> NegativeSampler:
    pairs = torch.tensor(sorted(known), dtype=torch.long).reshape(-1, 2)
    pairs = torch.cat([pairs, pairs[:1]])  # a pair that is there twice changes nothing
    return NegativeSampler(pairs[:, 0], pairs[:, 1], n_users=n_users, n_items=n_items)


@given(known_pairs(), st.integers(0, 2**31))
def test_a_negative_is_never_a_known_item(world: tuple[int, int, Pairs], seed: int) -> None:
    n_users, n_items, known = world
    users = torch.arange(n_users).repeat(20)
    generator = torch.Generator().manual_seed(seed)
    negatives, kept = sampler(n_users, n_items, known).draw(users, generator)
    assert ((negatives >= 0) & (negatives < n_items)).all()
    drawn = set(zip(users[kept].tolist(), negatives.tolist(), strict=True))
    assert not drawn & known
    full = {user for user in range(n_users) if sum(pair[0] == user for pair in known) == n_items}
    assert set(users[kept].tolist()) == set(range(n_users)) - full


@given(known_pairs())
def test_every_unknown_item_is_drawn(world: tuple[int, int, Pairs]) -> None:
    n_users, n_items, known = world
    users = torch.arange(n_users).repeat(400)  # 9 items: missing one has a chance of 1e-20
    negatives, kept = sampler(n_users, n_items, known).draw(users, torch.Generator().manual_seed(1))
    drawn = set(zip(users[kept].tolist(), negatives.tolist(), strict=True))
    assert drawn == {(u, i) for u in range(n_users) for i in range(n_items)} - known


def test_unknown_items_are_equally_likely() -> None:
    users = torch.zeros(60_000, dtype=torch.long)
    negatives, _ = sampler(1, 8, {(0, 2), (0, 3), (0, 7)}).draw(
        users, torch.Generator().manual_seed(3)
    )
    counts = torch.bincount(negatives, minlength=8)
    assert counts[[2, 3, 7]].sum() == 0
    assert (counts[[0, 1, 4, 5, 6]] / 60_000 - 1 / 5).abs().max() < 0.01


def test_no_positives_give_no_negatives() -> None:
    none = torch.empty(0, dtype=torch.long)
    negatives, kept = sampler(2, 3, {(0, 0)}).draw(none, torch.Generator())
    assert len(negatives) == len(kept) == 0


def test_more_pairs_than_32_bits_can_number() -> None:
    n_items = 40_000
    known = {(69_999, item) for item in range(n_items) if item not in {3, 39_999}}
    some = torch.full((500,), 69_999)
    negatives, _ = sampler(70_000, n_items, known).draw(some, torch.Generator().manual_seed(0))
    assert set(negatives.tolist()) == {3, 39_999}


@given(known_pairs(), st.integers(0, 99))
def test_numpy_draws_are_never_known_items(world: tuple[int, int, Pairs], seed: int) -> None:
    n_users, n_items, known = world
    of = sampler(n_users, n_items, known)
    users = np.repeat(np.flatnonzero(of.unknown_counts()), 50)
    drawn = of.draw_with_numpy(users, np.random.default_rng(seed))
    assert ((drawn >= 0) & (drawn < n_items)).all()
    assert not set(zip(users.tolist(), drawn.tolist(), strict=True)) & known


def test_numpy_draws_are_uniform() -> None:
    of = sampler(2, 7, {(0, 0), (0, 3), (0, 5), (1, 6)})
    users = np.repeat([0, 1], 12_000)
    drawn = of.draw_with_numpy(users, np.random.default_rng(0))
    for user, unknown in ((0, [1, 2, 4, 6]), (1, [0, 1, 2, 3, 4, 5])):
        counts = np.bincount(drawn[users == user], minlength=7)
        assert np.flatnonzero(counts).tolist() == unknown
        np.testing.assert_allclose(counts[unknown], 12_000 / len(unknown), rtol=0.06)
