import numpy as np
import pytest

from recsys_core.graph.training.early_stopping import Validator
from recsys_core.interactions.feedback import RatingScale
from tests.graph_world import edges_of


def test_validation_ndcg_by_hand() -> None:
    train = edges_of([0], [0], 1)
    held_out = edges_of([0, 0, 1, 1], [2, 3, 0, 1], [5, 5, 4, 1])
    validator = Validator(train, held_out, n_items=4, scale=RatingScale(), k=2)
    scores = np.array([[9, 3, 2, 1], [1, 2, 3, 0]], np.float32)  # lists: 0: 1 2, 1: 2 1
    first, second = 1 / np.log2(2), 1 / np.log2(3)
    wanted = (second / (first + second) + 0 / first) / 2
    assert validator.n_users == 2
    assert validator.ndcg(scores, np.eye(4, dtype=np.float32)) == pytest.approx(wanted)
