from math import exp, log

import pytest
import torch

from recsys_core.errors import TrainingError
from recsys_core.graph.model.csr import CSR
from recsys_core.graph.training import losses
from recsys_core.graph.training.losses import (
    bpr,
    cosine_alignment,
    pair_cosines,
    pair_scores,
    softmax_over_items,
)


def test_bpr_is_the_mean_of_minus_log_sigmoid() -> None:
    found = bpr(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]))
    assert found.item() == pytest.approx((log(1 + exp(-1)) + log(2)) / 2)


def test_bpr_stays_finite_for_extreme_scores() -> None:
    assert bpr(torch.tensor([-1e4]), torch.tensor([1e4])).item() == pytest.approx(2e4)


def test_cosine_alignment_is_zero_for_parallel_vectors() -> None:
    assert cosine_alignment(torch.tensor([1.0, 1.0])).item() == 0
    assert cosine_alignment(torch.tensor([1.0, -1.0, 0.0])).item() == pytest.approx((0 + 2 + 1) / 3)


USERS = torch.tensor([0, 0, 1, 3, 4, 4])  # user 2 has no pair
ITEMS = torch.tensor([1, 6, 2, 0, 3, 5])
PAIRS = CSR.of_sorted(USERS, ITEMS, (5, 7))


@pytest.fixture
def vectors() -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = ((5, 4), (7, 4))
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def gradients(loss: torch.Tensor, vectors: list[torch.Tensor]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, vectors))


@pytest.mark.parametrize("cells", [4_000_000, 14])  # all at once, or two users
def test_softmax_is_the_weighted_cross_entropy(
    vectors: list[torch.Tensor], cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_CELLS", cells)
    users, items = vectors
    weights = torch.rand(6)
    logs = (users @ items.T).log_softmax(1)[USERS, ITEMS]
    wanted = -(logs * weights).sum() / weights.sum()
    found = softmax_over_items(users, items, PAIRS, weights)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    for one, other in zip(gradients(found, vectors), gradients(wanted, vectors), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_sample_of_all_items_is_the_softmax_over_all(vectors: list[torch.Tensor]) -> None:
    weights = torch.rand(6)
    whole = softmax_over_items(*vectors, PAIRS, weights)
    shuffled = torch.tensor([3, 1, 0, 2, 6, 5, 4])
    found = softmax_over_items(*vectors, PAIRS, weights, shuffled)
    assert found.item() == pytest.approx(whole.item(), rel=1e-6)
    for one, other in zip(gradients(found, vectors), gradients(whole, vectors), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_sampled_softmax_is_written_out_by_hand(vectors: list[torch.Tensor]) -> None:
    users, items = vectors
    weights, sample = torch.rand(6), torch.tensor([0, 3, 5])
    scores = users @ items.T
    total = torch.logsumexp(scores[:, sample], 1) + log(7 / 3)
    wanted = (weights * (total[USERS] - scores[USERS, ITEMS])).sum() / weights.sum()
    found = softmax_over_items(users, items, PAIRS, weights, sample)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    for one, other in zip(gradients(found, vectors), gradients(wanted, vectors), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_softmax_of_scores_far_apart_is_finite() -> None:
    users, items = torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0]])
    pair = CSR.of_sorted(torch.tensor([0]), torch.tensor([1]), (1, 2))
    assert softmax_over_items(users, items, pair, torch.ones(1)).item() == pytest.approx(2000)


def test_pair_scores_are_dot_products_and_cosines_their_share(vectors: list[torch.Tensor]) -> None:
    users, items = vectors
    upstream = torch.randn(2, 6, dtype=torch.float64)
    dots = pair_scores(users, items, PAIRS)
    found = torch.stack([dots, pair_cosines(dots, users, items, PAIRS)])
    wanted = torch.stack(
        [
            (users[USERS] * items[ITEMS]).sum(1),
            torch.cosine_similarity(users[USERS], items[ITEMS]),
        ]
    )
    assert torch.allclose(found, wanted)
    mine, theirs = (gradients((one * upstream).sum(), vectors) for one in (found, wanted))
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other)


def test_a_pair_may_be_there_twice(vectors: list[torch.Tensor]) -> None:
    twice = CSR.of_sorted(torch.tensor([1, 1]), torch.tensor([2, 2]), (5, 7))
    to_users, to_items = gradients(pair_scores(*vectors, twice).sum(), vectors)
    assert torch.allclose(to_users[1], 2 * vectors[1][2])
    assert torch.allclose(to_items[2], 2 * vectors[0][1])


def test_no_pairs_have_no_scores(vectors: list[torch.Tensor]) -> None:
    none = torch.empty(0, dtype=torch.long)
    scores = pair_scores(*vectors, CSR.of_sorted(none, none, (5, 7)))
    assert len(scores) == 0
    assert all(not one.any() for one in gradients(scores.sum(), vectors))


def test_pairs_out_of_order_are_refused() -> None:
    with pytest.raises(TrainingError, match="ascending"):
        CSR.of_sorted(torch.tensor([1, 0]), torch.tensor([0, 0]), (2, 1))
