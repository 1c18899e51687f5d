from math import exp, log

import pytest
import torch

from recsys_core.graph import losses
from recsys_core.graph.losses import bpr, cosine_alignment, pair_scores, softmax_over_items


def test_bpr_is_the_mean_of_minus_log_sigmoid() -> None:
    found = bpr(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]))
    assert found.item() == pytest.approx((log(1 + exp(-1)) + log(2)) / 2)


def test_bpr_stays_finite_for_extreme_scores() -> None:
    assert bpr(torch.tensor([-1e4]), torch.tensor([1e4])).item() == pytest.approx(2e4)


def test_cosine_alignment_is_zero_for_parallel_vectors() -> None:
    assert cosine_alignment(torch.tensor([1.0, 1.0])).item() == 0
    assert cosine_alignment(torch.tensor([1.0, -1.0, 0.0])).item() == pytest.approx((0 + 2 + 1) / 3)


@pytest.fixture
def world() -> list[torch.Tensor]:
    torch.manual_seed(0)
    users, items = torch.randn(5, 4, requires_grad=True), torch.randn(7, 4, requires_grad=True)
    of = torch.tensor([0, 0, 1, 3, 4, 4])  # user 2 has no pair
    return [users, items, of, torch.tensor([1, 6, 2, 0, 3, 5]), torch.rand(6)]


def test_softmax_is_the_weighted_cross_entropy(world: list[torch.Tensor]) -> None:
    users, items, of, what, weights = world
    logs = (users @ items.T).log_softmax(1)[of, what]
    wanted = -(logs * weights).sum() / weights.sum()
    assert softmax_over_items(*world).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_blocks_change_neither_losses_nor_gradients(
    world: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def both() -> list[torch.Tensor]:
        world[0].grad = world[1].grad = None
        loss = softmax_over_items(*world) + pair_scores(*world[:4]).square().sum()
        loss.backward()
        assert world[0].grad is not None
        assert world[1].grad is not None
        return [loss.detach(), world[0].grad, world[1].grad]

    whole = both()
    monkeypatch.setattr(losses, "_CELLS", 14)  # two users or three pairs at a time
    for one, other in zip(whole, both(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_pair_scores_are_dot_products(world: list[torch.Tensor]) -> None:
    users, items, of, what, _ = world
    assert torch.allclose(pair_scores(users, items, of, what), (users[of] * items[what]).sum(1))
